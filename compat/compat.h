#ifndef COMPAT_H
#define COMPAT_H

/*
 * Functions that a system lacks, declared here and written in the file of their
 * name. The build puts this header in front of every source on those systems,
 * so that the sources include plain headers everywhere.
 */
#include <stddef.h>

#ifdef __NetBSD__
void	explicit_bzero(void *, size_t);
#endif

#if defined(__NetBSD__) || defined(__FreeBSD__)
/* Overwrites and frees; NULL is legal. */
void	freezero(void *, size_t);
#endif

#endif
