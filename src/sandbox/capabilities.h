#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include <stddef.h>

/*
 * Leaves at most those of `keep` in every set of the process, capabilities(7);
 * needs no right that a normal user lacks. The bounding set stays as it is
 * where it may not be changed. 0 or -1 with errno.
 */
int	capabilities_keep(const unsigned int *keep, size_t nkeep);

#endif
