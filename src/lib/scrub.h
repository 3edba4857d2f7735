#ifndef SCRUB_H
#define SCRUB_H

/*
 * Overwrites freed memory and unused stack, for passwords that went through a
 * library: a library may free memory without wiping it. This allocates blocks
 * of all sizes that a text or a read buffer may have had, and wipes them. It
 * cannot find every copy.
 */
void	scrub_memory(void);

#endif
