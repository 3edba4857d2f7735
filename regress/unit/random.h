#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/*
 * Numbers that look random and are the same in every run: a failure can be
 * repeated.
 */
struct random {
	uint64_t	state;		/* not 0 */
};

static inline uint64_t
random_next(struct random *r)
{
	/* Marsaglia, "Xorshift RNGs", 2003; the multiplier is Vigna's. */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 to n - 1 */
static inline uint64_t
random_below(struct random *r, uint64_t n)
{
	return (random_next(r) >> 16) % n;
}

/* min to max */
static inline int64_t
random_from(struct random *r, int64_t min, int64_t max)
{
	return min + (int64_t)random_below(r, (uint64_t)(max - min) + 1);
}

#endif
