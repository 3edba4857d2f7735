#ifndef SIMULATE_H
#define SIMULATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/window.h"

/*
 * What limits would have done to mails that were recorded earlier. Pure.
 */
struct simulate_row {
	uint32_t	date;		/* seconds since 1970 */
	int32_t		amount;		/* negative: a correction */
};

struct simulate_result {
	int64_t		refusals;	/* rows */
	int64_t		refused;	/* their amounts */
	int64_t		total;		/* all amounts, less corrections */
	int64_t		first;		/* date of the first refusal */
	struct limit	limit;		/* the window that it hit */
};

/* Sorts rows of one id by date; those of one second keep their order. */
void	simulate_sort(struct simulate_row *, size_t n);

/*
 * Decides on each row in turn, as decision_make does, seen at its date. `rows`
 * are sorted; what is refused does not count afterwards. A correction is
 * reduced to what counts at its date, so that no sum becomes negative.
 */
void	simulate_limits(const struct simulate_row *rows, size_t n,
	    const struct limits *, struct simulate_result *);

/* The largest sum of any period of this length; `rows` are sorted. */
int64_t	simulate_peak(const struct simulate_row *rows, size_t n,
	    int64_t seconds);

/*
 * The quantile `part` / `of` of n > 0 sorted numbers, such as 50 / 100 for the
 * median: the least of them that is not exceeded by that share of them.
 */
int64_t	simulate_quantile(const int64_t *sorted, size_t n, size_t part,
	    size_t of);

#endif
