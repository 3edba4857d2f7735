#include <string.h>

#include "histogram.h"

#define NPARTS	(sizeof(((struct histogram *)0)->part) / sizeof(uint64_t))

void
histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

/*
 * Parts 0 to 255 hold one value each; from there on a value is shifted right
 * until it is below 256, and each shift moves on by the 128 parts of one
 * doubling.
 */
static size_t
part_of(uint64_t value)
{
	size_t	shift, part;

	for (shift = 0; value >> shift >= 2 * HISTOGRAM_PARTS; shift++)
		continue;
	part = shift * HISTOGRAM_PARTS + (size_t)(value >> shift);
	return part < NPARTS ? part : NPARTS - 1;
}

static uint64_t
middle_of(size_t part)
{
	size_t	shift;

	if (part < 2 * HISTOGRAM_PARTS)
		return part;
	shift = part / HISTOGRAM_PARTS - 1;
	return ((uint64_t)(part - shift * HISTOGRAM_PARTS) << shift) +
	    ((uint64_t)1 << shift) / 2;
}

void
histogram_add(struct histogram *h, int64_t ns)
{
	uint64_t	value;

	value = ns < 0 ? 0 : (uint64_t)ns;
	if (value > h->max)
		h->max = value;
	h->total++;
	h->sum += value;
	h->part[part_of(value)]++;
}

uint64_t
histogram_at(const struct histogram *h, double share)
{
	uint64_t	value, seen, wanted;
	size_t		i;

	if (h->total == 0)
		return 0;
	wanted = (uint64_t)(share * (double)h->total + 0.5);
	if (wanted < 1)
		wanted = 1;
	for (i = 0, seen = 0; i < NPARTS; i++) {
		seen += h->part[i];
		if (seen >= wanted) {
			value = middle_of(i);
			return value < h->max ? value : h->max;
		}
	}
	return h->max;
}

uint64_t
histogram_mean(const struct histogram *h)
{
	return h->total == 0 ? 0 : h->sum / h->total;
}
