#include <stdlib.h>
#include <string.h>

#include "ledger/sqlite/bloom.h"
#include "lib/alloc.h"

#define BITS		10		/* bits per hash */
#define PROBES		6
#define BLOCK_BYTES	(FILTER_BLOCK * sizeof(uint64_t))

static size_t
bloom_blocks(size_t hashes)
{
	size_t	blocks = 1;

	while (blocks * BLOCK_BYTES * 8 < hashes * BITS)
		blocks *= 2;
	return blocks;
}

void
bloom_init(struct bloom *f, size_t hashes)
{
	f->blocks = bloom_blocks(hashes);
	f->words = alloc_zero(f->blocks, BLOCK_BYTES);
}

/*
 * The first bits of a hash choose its block, so halving the number of blocks
 * merges each pair of neighbours.
 */
void
bloom_fold(struct bloom *f, size_t hashes)
{
	size_t	i, j, blocks = bloom_blocks(hashes);

	while (f->blocks > blocks) {
		f->blocks /= 2;
		for (i = 0; i < f->blocks; i++)
			for (j = 0; j < FILTER_BLOCK; j++)
				f->words[i * FILTER_BLOCK + j] =
				    f->words[2 * i * FILTER_BLOCK + j] |
				    f->words[(2 * i + 1) * FILTER_BLOCK + j];
	}
}

void
bloom_clear(struct bloom *f)
{
	free(f->words);
	f->words = NULL;
	f->blocks = 0;
}

/*
 * The upper half of the hash chooses the block; groups of nine bits in the
 * lower half choose bits in it.
 */
static uint64_t *
bloom_block(const struct bloom *f, uint64_t hash)
{
	return f->words +
	    (size_t)((hash >> 32) * f->blocks >> 32) * FILTER_BLOCK;
}

static uint64_t
bloom_mix(uint64_t hash)
{
	return hash * UINT64_C(0x9e3779b97f4a7c15);
}

void
bloom_add(struct bloom *f, uint64_t hash)
{
	uint64_t	*block = bloom_block(f, hash), bits = bloom_mix(hash);
	unsigned int	 i;

	for (i = 0; i < PROBES; i++, bits >>= 9)
		block[bits >> 6 & 7] |= UINT64_C(1) << (bits & 63);
}

bool
bloom_has(const struct bloom *f, uint64_t hash)
{
	const uint64_t	*block;
	uint64_t	 bits = bloom_mix(hash);
	unsigned int	 i;

	if (f->blocks == 0)
		return true;
	block = bloom_block(f, hash);
	for (i = 0; i < PROBES; i++, bits >>= 9)
		if ((block[bits >> 6 & 7] >> (bits & 63) & 1) == 0)
			return false;
	return true;
}

void *
bloom_bytes(const struct bloom *f, size_t *len)
{
	uint8_t	*bytes;
	size_t	 i, j;

	*len = f->blocks * BLOCK_BYTES;
	bytes = alloc_zero(*len + 1, 1);
	for (i = 0; i < f->blocks * FILTER_BLOCK; i++)
		for (j = 0; j < 8; j++)
			bytes[i * 8 + j] = (uint8_t)(f->words[i] >> 8 * j);
	return bytes;
}

void
bloom_load(struct bloom *f, const void *src, size_t len)
{
	const uint8_t	*bytes = src;
	size_t		 i, j;

	f->blocks = len / BLOCK_BYTES;
	f->words = NULL;
	if ((f->blocks & (f->blocks - 1)) != 0 || len % BLOCK_BYTES != 0)
		f->blocks = 0;
	if (f->blocks == 0)
		return;
	f->words = alloc_zero(f->blocks, BLOCK_BYTES);
	for (i = 0; i < f->blocks * FILTER_BLOCK; i++)
		for (j = 0; j < 8; j++)
			f->words[i] |= (uint64_t)bytes[i * 8 + j] << 8 * j;
}
