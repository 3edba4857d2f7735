#ifndef ALLOC_H
#define ALLOC_H

#include <stddef.h>

/*
 * Allocation that never returns NULL: without memory the process logs it and
 * exits (log_fatal), and the parent starts the next one. The caller owns
 * everything returned, and frees it with free(3).
 */

/*
 * `count` objects of `size` bytes, zeroed; count * size is checked for
 * overflow.
 */
void	*alloc_zero(size_t count, size_t size);

/* realloc(3) with the same check; added bytes are not zeroed. */
void	*alloc_resize(void *, size_t count, size_t size);

/*
 * The array, with room for one more than its `n` objects: if all of *room are
 * used, it is resized to at least twice as many, and *room is set.
 */
void	*alloc_room(void *, size_t n, size_t *room, size_t size);

char	*alloc_string(const char *);

/* A copy of `len` bytes, followed by a NUL. */
void	*alloc_copy(const void *, size_t len);

char	*alloc_printf(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));

#endif
