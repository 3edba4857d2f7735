#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include <stddef.h>

/*
 * Drops all capabilities but those of `keep` from every set of the process,
 * capabilities(7); needs no privilege. The bounding set stays unchanged if the
 * process may not change it. 0 or -1 with errno.
 */
int	capabilities_keep(const unsigned int *keep, size_t nkeep);

#endif
