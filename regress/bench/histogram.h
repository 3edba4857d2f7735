#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

/*
 * Counts of durations in nanoseconds, exact below 256 and within 1/256 above:
 * each doubling of the value is cut into 128 equal parts.
 */
#define HISTOGRAM_PARTS		128
#define HISTOGRAM_DOUBLINGS	40	/* longer than 39 hours counts so */

struct histogram {
	uint64_t	 total;
	uint64_t	 max;		/* exact */
	uint64_t	 sum;
	uint64_t	 part[(HISTOGRAM_DOUBLINGS + 2) * HISTOGRAM_PARTS];
};

void	histogram_clear(struct histogram *);

/* Negative values count as 0. */
void	histogram_add(struct histogram *, int64_t ns);

/*
 * The value that `share` (0 to 1) of all that was added does not exceed: the
 * middle of its part, never more than the largest value. 0 when nothing was
 * added.
 */
uint64_t	histogram_at(const struct histogram *, double share);

/* The mean, 0 when nothing was added. */
uint64_t	histogram_mean(const struct histogram *);

#endif
