#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "engine/control/control.h"

/*
 * The commands explain and show. Both send a charge to the ledger, which
 * decides it like any other charge but records nothing.
 */
void	explain_run(struct control *, const struct control_word *, size_t);
int	explain_on_answer(struct control *, const struct message *);
void	explain_on_timeout(struct control *);

void	explain_show(struct control *, const struct control_word *, size_t);
int	explain_show_on_answer(struct control *, const struct message *);
void	explain_show_on_timeout(struct control *);

#endif
