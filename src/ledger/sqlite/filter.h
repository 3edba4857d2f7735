#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A Bloom filter: tells which hashes are certainly not in a set. All bits of
 * one hash lie in one cache line. About one in a hundred hashes that are not in
 * the set is reported as being in it.
 */
struct filter {
	uint64_t	*words;
	size_t		 blocks;	/* a power of two, or 0 */
};

#define FILTER_BLOCK	8		/* words */

/* Makes an empty filter for up to `hashes` hashes. */
void	filter_init(struct filter *, size_t hashes);

/* Shrinks the filter to the size for `hashes` hashes, the number it holds. */
void	filter_fold(struct filter *, size_t hashes);

/*
 * Reads what filter_bytes() wrote. Malformed bytes make a filter without
 * blocks.
 */
void	filter_load(struct filter *, const void *, size_t);
void	filter_clear(struct filter *);		/* frees */
void	filter_add(struct filter *, uint64_t hash);

/* False: the hash is certainly not in the set. Always true without blocks. */
bool	filter_has(const struct filter *, uint64_t hash);

/*
 * The filter as bytes, in the same form on every machine; the caller frees
 * them.
 */
void	*filter_bytes(const struct filter *, size_t *len);

#endif
