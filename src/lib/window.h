#ifndef WINDOW_H
#define WINDOW_H

#include <stddef.h>
#include <stdint.h>

/*
 * What was recorded for one id, by second, with running totals: the exact sums
 * of SPEC.md 3 for any length of window at a cost that does not grow with the
 * number of mails (one search among the seconds). A handful of seconds takes 88
 * bytes in all, a further one 8. Pure: no clock, no I/O; times are seconds
 * since 1970, amounts are mails.
 */

/* One [mails, seconds] of the configuration: at most `mails` in `seconds`. */
struct limit {
	int64_t	mails;		/* 0 or more */
	int64_t	seconds;	/* 1 or more */
};

/* In the order written. No limit at all: count 0. */
struct limits {
	size_t		 count;
	struct limit	*list;		/* owned */
};

#define LIMITS_MAX	16		/* windows in one list */

void	 window_limits_copy(struct limits *, const struct limits *);
void	 window_limits_clear(struct limits *);
int	 window_limits_equal(const struct limits *, const struct limits *);

struct window;

struct window	*window_new(void);
void		 window_free(struct window *);

/* Bytes of memory that this window holds, its own struct included. */
size_t		 window_size(const struct window *);

/*
 * Records `amount` (negative: a correction) at `when`, in any order of time;
 * cheapest near the newest. The sum of a second may become 0 and is then
 * forgotten, or negative and then stays. What does not fit into int64_t in all
 * is held at its ends.
 */
void		 window_add(struct window *, int64_t when, int64_t amount);

/*
 * Sum of what was recorded at or after now - seconds, later than now included.
 */
int64_t		 window_used(const struct window *, int64_t seconds,
		    int64_t now);

/*
 * The first limit, in the order written, for which used + amount > mails; -1
 * when `amount` fits everywhere. *used (may be NULL) is the sum for the limit
 * returned.
 */
int		 window_full(const struct window *, const struct limits *,
		    int64_t amount, int64_t now, int64_t *used);

/*
 * Seconds until `amount` more would fit into every limit, seen at `now`; 0 if
 * it fits now, -1 if it can never fit.
 */
int64_t		 window_retry_after(const struct window *,
		    const struct limits *, int64_t amount, int64_t now);

/* Forgets what was recorded before `before`. */
void		 window_forget(struct window *, int64_t before);

/* The newest second something was recorded at; INT64_MIN when empty. */
int64_t		 window_newest(const struct window *);

/* Every second that something is recorded at, oldest first. */
void		 window_each(const struct window *, void (*each)(void *,
		    int64_t when, int64_t amount), void *);

#endif
