#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What was recorded for one id, by second, with running totals: the exact sum
 * over a window of any length, at a cost that does not grow with the number of
 * mails (one search among the seconds). Two seconds take no memory but the
 * struct's 48 bytes, more of them 8 bytes each. Pure: no clock, no I/O; times
 * are seconds since 1970, amounts are mails.
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

/*
 * Seconds that a date may lie in the future, by clocks that differ. What is
 * dated later than now + this never counts, and cleaning deletes it.
 */
#define WINDOW_AHEAD	INT64_C(86400)

void	 window_limits_copy(struct limits *, const struct limits *);
void	 window_limits_clear(struct limits *);
int	 window_limits_equal(const struct limits *, const struct limits *);

/*
 * Complete, so that it can lie among the other things that are known of an id;
 * what is in it is window.c's own business.
 */
#define WINDOW_IN_PLACE	2	/* seconds that take no memory more */

struct window_second {
	uint32_t	when;		/* since base */
	uint32_t	before;
};

struct window_wide_second {
	int64_t		when;
	uint64_t	before;
};

struct window {
	union {
		struct {
			int64_t		base;
			uint32_t	total;
			uint32_t	mass;
		}	narrow;
		struct {
			uint64_t	total;
			int64_t		mass;
		}	wide;
	}		sum;
	uint32_t	head;		/* what is before it is forgotten */
	uint32_t	count;
	uint32_t	size;		/* room in entries, from the start */
	bool		wide;
	union {
		struct window_second		 here[WINDOW_IN_PLACE];
		struct window_second		*narrow;
		struct window_wide_second	*wide;
	}		list;
};

void		 window_init(struct window *);

/* Empty it is, and holds no memory. */
void		 window_clear(struct window *);

/* Bytes of memory that this window holds beside its struct. */
size_t		 window_memory(const struct window *);

/*
 * Records `amount` (negative: a correction) at `when`, in any order of time;
 * cheapest near the newest. The sum of a second may become 0 and is then
 * forgotten, or negative and then stays. What does not fit into int64_t in all
 * is held at its ends.
 */
void		 window_add(struct window *, int64_t when, int64_t amount);

/* The newest will be asked for soon: as map_ahead. */
void		 window_ahead(const struct window *);

/*
 * Sum of what was recorded from now - seconds to now + WINDOW_AHEAD.
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
