#ifndef SCRUB_H
#define SCRUB_H

/*
 * What libraries free without wiping, or leave on the stack, stays where it was
 * until somebody else gets that memory. This asks for blocks of all sizes that
 * a text or a read buffer may have had, and for stack, and wipes them: for
 * passwords that went through a library. Not all can be found like that.
 */
void	scrub_memory(void);

#endif
