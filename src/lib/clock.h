#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Two kinds of time that the compiler keeps apart: struct mono for deadlines
 * and durations (CLOCK_MONOTONIC, comparable between our processes), and
 * int64_t seconds since 1970 for what is stored.
 */
struct mono {
	int64_t	ns;
};

struct mono	clock_mono(void);

/* Clamped to the range of struct mono. */
struct mono	clock_after(struct mono, int64_t milliseconds);
bool		clock_passed(struct mono deadline, struct mono now);

/* Milliseconds until the deadline, rounded up; 0 when passed. Fits poll(2). */
int		clock_left(struct mono deadline, struct mono now);

/* The shorter of two timeouts of poll(2); -1 is none. */
int		clock_sooner(int, int);

/* Nanoseconds from `then` to `now`; negative if `then` is later. */
int64_t		clock_between(struct mono then, struct mono now);

/* Seconds since 1970, rounded down. */
int64_t		clock_wall(void);

#endif
