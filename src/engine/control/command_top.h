#ifndef COMMAND_TOP_H
#define COMMAND_TOP_H

#include "engine/control/control.h"

/*
 * `policyctl top`. By refusals: the ledger that decides searches those that are
 * kept. By fill and by used: a ledger reads all rows (scan_queue.h); if that
 * fails, the ledger that decides lists the ids in its cache; without a ledger
 * the engine lists those in its memory.
 */
void	command_top_run(struct control *, const struct control_word *, size_t);
int	command_top_on_answer(struct control *, const struct message *);
void	command_top_on_timeout(struct control *);

#endif
