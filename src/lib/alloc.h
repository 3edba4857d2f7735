#ifndef ALLOC_H
#define ALLOC_H

#include <stddef.h>

/*
 * Memory that is there or ends the process: a role that cannot get memory says
 * so (log_fatal) and is started again by the parent. Everything returned
 * belongs to the caller and goes back by free(3).
 */

/*
 * `count` objects of `size` bytes, zeroed; count * size is checked for
 * overflow.
 */
void	*alloc_zero(size_t count, size_t size);

/* realloc(3) with the same check; new bytes are not zeroed. */
void	*alloc_resize(void *, size_t count, size_t size);

char	*alloc_string(const char *);

/* A copy of `len` bytes with a NUL behind them. */
void	*alloc_copy(const void *, size_t len);

char	*alloc_printf(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));

#endif
