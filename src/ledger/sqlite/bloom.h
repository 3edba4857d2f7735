#ifndef BLOOM_H
#define BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A Bloom filter: tells which hashes are certainly not in a set. All bits of
 * one hash lie in one block of 64 bytes. About one in a hundred hashes that are
 * not in the set is reported as being in it.
 */
struct bloom {
	uint8_t	*bytes;		/* the same on every machine */
	size_t	 len;		/* a power of two of at least 64, or 0 */
};

/* Makes an empty filter for up to `hashes` hashes. */
void	bloom_init(struct bloom *, size_t hashes);

/* Shrinks the filter to the size for the `hashes` hashes that it holds. */
void	bloom_fold(struct bloom *, size_t hashes);

/*
 * Copies a filter's bytes. If their length is not one of a filter, it becomes a
 * filter without bytes.
 */
void	bloom_load(struct bloom *, const void *, size_t);
void	bloom_clear(struct bloom *);		/* frees */
void	bloom_add(struct bloom *, uint64_t hash);

/*
 * False: the hash is certainly not in the set. Always true for a filter without
 * bytes.
 */
bool	bloom_has(const struct bloom *, uint64_t hash);

#endif
