#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "engine/control.h"

/*
 * What a request would be answered and why, and what the windows of an id
 * hold: both are charges that the ledger weighs as it weighs all others, but
 * for recording them.
 */
void	explain_run(struct control *, const struct control_word *, size_t);
int	explain_told(struct control *, const struct message *);
void	explain_late(struct control *);

void	explain_show(struct control *, const struct control_word *, size_t);
int	explain_show_told(struct control *, const struct message *);

#endif
