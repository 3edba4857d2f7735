#ifndef SHOW_H
#define SHOW_H

#include "ctl/answer.h"

/* Append answers formatted for people. `width`: columns of the terminal. */
void	show_status(struct str *, const struct answer *, size_t width);
void	show_id(struct str *, const struct answer *, size_t width);
/* The blocks and grants. */
void	show_overrides(struct str *, const struct answer *, size_t width);
void	show_charge(struct str *, const struct answer *, size_t width);
void	show_reset(struct str *, const struct answer *, size_t width);
void	show_top(struct str *, const struct answer *, size_t width);
void	show_explain(struct str *, const struct answer *, size_t width);
void	show_try(struct str *, const struct answer *, size_t width);
void	show_text(struct str *, const struct answer *, size_t width);
void	show_metrics(struct str *, const struct answer *, size_t width);

/* Refusals; show_why.c. */
void	show_why(struct str *, const struct answer *, size_t width);

/* "refused: ", "blocked by ": what comes before the id of a refusal. */
const char	*show_why_outcome(const struct answer_record *);

#define SHOW_NARROW	60	/* columns: there is no room for all fields */

/* Appends a bar, and the percentage of the limit that is used. */
#define SHOW_BAR_MOST	40
void	show_bar(struct str *, int64_t used, int64_t limit, size_t width);

/* An id is near its limit from this percentage on. */
#define SHOW_NEAR	80

/* The percentage of the limit that is used, at most 999. */
int	show_percent(int64_t used, int64_t limit);

/*
 * Format the length of a window ("24 h"), an uptime ("2:00:05") and a time that
 * is left ("23 h 35 min"). Return the buffer.
 */
const char	*show_period(int64_t seconds, char *, size_t);
const char	*show_uptime(int64_t seconds, char *, size_t);
const char	*show_left(int64_t seconds, char *, size_t);

/* Appends a time_t as local time, to the minute or to the second. */
enum show_precision {
	SHOW_MINUTE,		/* with the day of the week */
	SHOW_SECOND
};
void	show_time(struct str *, int64_t, enum show_precision);

/* Appends the value of a field between two texts, unless it is empty. */
void	show_field(struct str *, const struct answer_record *,
	    const char *name, const char *before, const char *after);

/* Appends who set a block, with the names that this host has for the ids. */
void	show_who(struct str *, const char *);

/*
 * Appends a text of one or more lines, without empty ones. All bytes but the
 * newlines that a terminal would interpret are made visible.
 */
void	show_lines(struct str *, const char *printable);

#endif
