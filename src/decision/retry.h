#ifndef RETRY_H
#define RETRY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/window.h"

/*
 * When a refused charge would be accepted: when it fits into every window of
 * every key that may refuse it. Pure.
 */
struct retry_key {
	const struct window	*window;
	size_t			 nlimits;
	struct limit		 limits[LIMITS_MAX];	/* without grants */
	int64_t			 amount;	/* the part that is new */
	int64_t			 granted;	/* added to each limit, */
	int64_t			 granted_until;	/* before this time_t */
	int64_t			 not_before;	/* time_t; 0: no such time */
};

/*
 * Seconds from `now` (seconds since 1970) until all amounts fit; 0: they fit
 * now; -1: never.
 */
int64_t	retry_after(const struct retry_key *, size_t nkeys, int64_t now);

#endif
