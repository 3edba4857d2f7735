#ifndef TASKS_H
#define TASKS_H

#include "parent/parent.h"

/*
 * Requests of policyctl to the parent. They come through the engine, which may
 * be taken over. So each can do little harm, and is limited in its rate.
 */

/* Handles MSG_TASK. 0, or -1 if it is malformed or not allowed. */
int	tasks_on_request(struct parent *, enum slot, const struct message *);

/*
 * The ledger that reads all rows for `policyctl try` and `top` is ready, or has
 * ended. There is one at a time. When it is ready it is connected to the
 * engine, and it ends when the engine closes that channel.
 */
void	tasks_on_scanner_ready(struct parent *);
void	tasks_on_scanner_gone(struct parent *);

#endif
