#ifndef BLOOM_H
#define BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A Bloom filter: tells which hashes are certainly not in a set. All bits of
 * one hash lie in one cache line. About one in a hundred hashes that are not in
 * the set is reported as being in it.
 */
struct bloom {
	uint64_t	*words;
	size_t		 blocks;	/* a power of two, or 0 */
};

#define FILTER_BLOCK	8		/* words */

/* Makes an empty filter for up to `hashes` hashes. */
void	bloom_init(struct bloom *, size_t hashes);

/* Shrinks the filter to the size for `hashes` hashes, the number it holds. */
void	bloom_fold(struct bloom *, size_t hashes);

/*
 * Reads what bloom_bytes() wrote. Malformed bytes make a filter without
 * blocks.
 */
void	bloom_load(struct bloom *, const void *, size_t);
void	bloom_clear(struct bloom *);		/* frees */
void	bloom_add(struct bloom *, uint64_t hash);

/* False: the hash is certainly not in the set. Always true without blocks. */
bool	bloom_has(const struct bloom *, uint64_t hash);

/*
 * The filter as bytes, in the same form on every machine; the caller frees
 * them.
 */
void	*bloom_bytes(const struct bloom *, size_t *len);

#endif
