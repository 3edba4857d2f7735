#ifndef SHOW_H
#define SHOW_H

#include "ctl/answer.h"

/* Append answers formatted for people. `width`: columns of the terminal. */
void	show_status(struct str *, const struct answer *, size_t width);
void	show_id(struct str *, const struct answer *, size_t width);
/* The blocks and grants. */
void	show_overrides(struct str *, const struct answer *, size_t width);
void	show_reset(struct str *, const struct answer *, size_t width);
void	show_top(struct str *, const struct answer *, size_t width);
void	show_explain(struct str *, const struct answer *, size_t width);
void	show_text(struct str *, const struct answer *, size_t width);
void	show_metrics(struct str *, const struct answer *, size_t width);

/*
 * Prints a text of one or more lines; other bytes that a terminal would
 * interpret are made visible.
 */
void	show_lines(struct str *, const char *printable);

#endif
