#ifndef DURATION_H
#define DURATION_H

#include <time.h>

#include "lib/str.h"

/* Seconds of "90", "15m", "2h", "3d" or "2w"; -1: it is not a length. */
int64_t	duration_length(const char *);

/*
 * A duration as an administrator writes it: "3600" (seconds), "15m", "2h",
 * "3d", "2w", "until 06:00", "until Mon 06:00", "until 2026-12-24", "until
 * 2026-12-24 06:00", "forever". Times are local; a time that has passed today
 * is tomorrow's, a day of the week is the next one.
 *
 * Reads up to `n` words, each of which may contain blanks. Appends the form for
 * the daemon: "forever", or "@" and a time_t. Returns the number of words used;
 * 0: they are not a duration.
 */
int	duration_parse(struct str *, char *const *words, int n, time_t now);

/*
 * A time in the past: a length, so long ago, or a local day such as
 * "2026-12-24" or "2026-12-24 06:00". Appends "@" and a time_t; returns the
 * number of words used, 0: they are not a time in the past.
 */
int	duration_since(struct str *, char *const *words, int n, time_t now);

#endif
