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

/* Adds a bar, and what per cent of the limit is used. */
#define SHOW_BAR_MOST	40
void	show_bar(struct str *, int64_t used, int64_t limit, size_t width);

/* Formats the length of a window, "24 h"; appends a time_t as local time. */
const char	*show_period(int64_t seconds, char *, size_t);
void	show_time(struct str *, int64_t);

/*
 * Prints a text of one or more lines; other bytes that a terminal would
 * interpret are made visible.
 */
void	show_lines(struct str *, const char *printable);

#endif
