#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which hashes are surely not in a set: Bloom's filter, with all bits of one
 * hash in one cache line. One in about a hundred that are not in it is taken
 * for one that is.
 */
struct filter {
	uint64_t	*words;
	size_t		 blocks;	/* a power of two, or 0 */
};

#define FILTER_BLOCK	8		/* words */

/* Empty, for up to so many hashes. */
void	filter_init(struct filter *, size_t hashes);

/* It has become no more than so many: makes it as small as it may be. */
void	filter_fold(struct filter *, size_t hashes);

/*
 * From bytes that filter_bytes() gave; of others comes a filter without blocks.
 */
void	filter_load(struct filter *, const void *, size_t);
void	filter_clear(struct filter *);		/* frees */
void	filter_add(struct filter *, uint64_t hash);

/* A filter without blocks knows nothing and says true. */
bool	filter_has(const struct filter *, uint64_t hash);

/* As bytes, the same on every machine; the caller's. */
void	*filter_bytes(const struct filter *, size_t *len);

#endif
