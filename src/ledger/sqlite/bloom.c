#include <stdlib.h>

#include "ledger/sqlite/bloom.h"
#include "lib/alloc.h"

#define BITS		10		/* bits per hash */
#define PROBES		6
#define BLOCK		64		/* bytes */
#define MIX		UINT64_C(0x9e3779b97f4a7c15)

static size_t
filter_size(size_t hashes)
{
	size_t	len = BLOCK;

	while (len * 8 < hashes * BITS)
		len *= 2;
	return len;
}

void
bloom_init(struct bloom *f, size_t hashes)
{
	f->len = filter_size(hashes);
	f->bytes = alloc_zero(f->len, 1);
}

/*
 * The first bits of a hash choose its block, so halving the number of blocks
 * merges each pair of neighbours.
 */
void
bloom_fold(struct bloom *f, size_t hashes)
{
	uint8_t	*to, *from;
	size_t	 i, j, len = filter_size(hashes);

	for (; f->len > len; f->len /= 2)
		for (i = 0; i < f->len / 2; i += BLOCK) {
			to = f->bytes + i;
			from = f->bytes + 2 * i;
			for (j = 0; j < BLOCK; j++)
				to[j] = from[j] | from[BLOCK + j];
		}
}

void
bloom_load(struct bloom *f, const void *bytes, size_t len)
{
	f->bytes = NULL;
	f->len = 0;
	if (len < BLOCK || (len & (len - 1)) != 0)
		return;
	f->bytes = alloc_copy(bytes, len);
	f->len = len;
}

void
bloom_clear(struct bloom *f)
{
	free(f->bytes);
	f->bytes = NULL;
	f->len = 0;
}

/*
 * The upper half of the hash chooses the block. Groups of nine bits, taken from
 * a product with the hash, choose bits in it.
 */
static uint8_t *
block_of(const struct bloom *f, uint64_t hash)
{
	return f->bytes +
	    (size_t)((hash >> 32) * (f->len / BLOCK) >> 32) * BLOCK;
}

void
bloom_add(struct bloom *f, uint64_t hash)
{
	uint8_t		*block = block_of(f, hash);
	uint64_t	 bits = hash * MIX;
	unsigned int	 i;

	for (i = 0; i < PROBES; i++, bits >>= 9)
		block[bits >> 3 & 63] |= (uint8_t)(1U << (bits & 7));
}

bool
bloom_has(const struct bloom *f, uint64_t hash)
{
	const uint8_t	*block;
	uint64_t	 bits = hash * MIX;
	unsigned int	 i;

	if (f->len == 0)
		return true;
	block = block_of(f, hash);
	for (i = 0; i < PROBES; i++, bits >>= 9)
		if ((block[bits >> 3 & 63] >> (bits & 7) & 1) == 0)
			return false;
	return true;
}
