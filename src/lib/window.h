#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What was recorded for one id, by second, with running totals: the exact sum
 * over a window of any length, at a cost that does not grow with the number of
 * mails (one search among the seconds). A window with entries in one or two
 * different seconds needs only the struct's 48 bytes; otherwise each takes 8
 * bytes, or 16 if the sums or times are very large, and there is room for more.
 * Pure: no clock, no I/O. Times are seconds since 1970, amounts are mails.
 */

/* One [mails, seconds] of the configuration: at most `mails` in `seconds`. */
struct limit {
	int64_t	mails;		/* 0 or more */
	int64_t	seconds;	/* 1 or more */
};

/* In the order written. count 0: no limit. */
struct limits {
	size_t		 count;
	struct limit	*list;		/* owned in settings, else borrowed */
};

#define LIMITS_MAX	16		/* windows in one list */

/*
 * A date may lie this many seconds in the future, since clocks differ. What is
 * dated later than now + WINDOW_SKEW never counts, and cleaning deletes it.
 */
#define WINDOW_SKEW	INT64_C(86400)

void	 window_limits_clear(struct limits *);

/* The length of the longest window, at least `least`. */
int64_t	 window_longest(const struct limits *, int64_t least);

/*
 * Declared here so that other structs can contain it; only window.c uses its
 * members.
 */
#define WINDOW_IN_PLACE	2	/* seconds held in the struct itself */

struct window_second {
	uint32_t	when;		/* seconds since base */
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
	uint32_t	head;		/* entries before it are forgotten */
	uint32_t	count;
	uint32_t	size;		/* allocated entries */
	bool		wide;
	union {
		struct window_second		 here[WINDOW_IN_PLACE];
		struct window_second		*narrow;
		struct window_wide_second	*wide;
	}		list;
};

void		 window_init(struct window *);

/* Empties the window and frees its memory. */
void		 window_clear(struct window *);

/* Bytes of memory that the window holds besides its struct. */
size_t		 window_memory(const struct window *);

/*
 * Records `amount` (negative: a correction) at `when`, in any order of time;
 * cheapest near the newest. A second whose sum becomes 0 is forgotten; one with
 * a negative sum stays. The total is clamped to the range of int64_t.
 */
void		 window_add(struct window *, int64_t when, int64_t amount);

/*
 * Sum of what was recorded from now - seconds to now + WINDOW_SKEW.
 */
int64_t		 window_used(const struct window *, int64_t seconds,
		    int64_t now);

/*
 * Seconds until `amount` more would fit into every limit, seen at `now`; 0 if
 * it fits now, -1 if it can never fit.
 */
int64_t		 window_retry_after(const struct window *,
		    const struct limits *, int64_t amount, int64_t now);

/* Forgets entries before `before`. */
void		 window_forget(struct window *, int64_t before);

/* The newest second with an entry; INT64_MIN if there is none. */
int64_t		 window_newest(const struct window *);

/* Calls `each` for every entry, the oldest first; it must not add any. */
void		 window_each(const struct window *, void (*each)(void *,
		    int64_t when, int64_t amount), void *);

#endif
