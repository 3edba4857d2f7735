#ifndef COMMAND_TOP_H
#define COMMAND_TOP_H

#include "engine/control/control.h"

/*
 * `policyctl top`: by refusals the ledger looks through those that it keeps. By
 * fill and by used, a ledger that reads all rows (scan_queue.h) is asked; if
 * there is none, the one that decides about the ids that it has in memory.
 */
void	command_top_run(struct control *, const struct control_word *, size_t);
int	command_top_told(struct control *, const struct message *);
void	command_top_late(struct control *);

#endif
