#ifndef SHOW_H
#define SHOW_H

#include "ctl/answer.h"

/* Answers as a person reads them, appended. `width`: columns there are. */
void	show_status(struct str *, const struct answer *, size_t width);
void	show_id(struct str *, const struct answer *, size_t width);
/* What is blocked and granted. */
void	show_overrides(struct str *, const struct answer *, size_t width);
void	show_reset(struct str *, const struct answer *, size_t width);
void	show_top(struct str *, const struct answer *, size_t width);
void	show_explain(struct str *, const struct answer *, size_t width);
void	show_text(struct str *, const struct answer *, size_t width);
void	show_metrics(struct str *, const struct answer *, size_t width);

/*
 * A text that may have several lines; anything else that a terminal would act
 * on is made visible.
 */
void	show_lines(struct str *, const char *printable);

#endif
