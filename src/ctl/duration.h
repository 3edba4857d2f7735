#ifndef DURATION_H
#define DURATION_H

#include <time.h>

#include "lib/str.h"

/* Seconds of "90", "15m", "2h", "3d" or "2w"; -1: it is none of these. */
int64_t	duration_length(const char *);

/*
 * How long something holds, as an administrator writes it: "3600" (seconds),
 * "15m", "2h", "3d", "2w", "until 06:00", "until Mon 06:00",
 * "until 2026-12-24", "until 2026-12-24 06:00", "forever". Times are local; one
 * that has passed today is tomorrow's, a day of the week is the next one.
 *
 * Looks at up to `n` words, of which one may hold several with blanks between.
 * Appends what the daemon is told: "forever", or "@" and a time_t. Returns how
 * many words were used, 0 where they are no duration.
 */
int	duration_parse(struct str *, char *const *words, int n, time_t now);

#endif
