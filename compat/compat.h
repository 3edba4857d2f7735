#ifndef COMPAT_H
#define COMPAT_H

/*
 * Functions that a system lacks, declared here and defined in files of the same
 * names. On such a system the build includes this header before every source,
 * so that all sources can include only standard headers.
 */
#include <stddef.h>

#ifdef __NetBSD__
void	explicit_bzero(void *, size_t);
#endif

#if defined(__NetBSD__) || defined(__FreeBSD__)
/* Overwrites and frees the memory; NULL is legal. */
void	freezero(void *, size_t);
#endif

#endif
