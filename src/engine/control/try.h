#ifndef TRY_H
#define TRY_H

#include "engine/control/control.h"

/*
 * `policyctl try`: sends the limits to try to a ledger that reads all rows
 * (scan_queue.h), and passes its results on.
 */
void	try_run(struct control *, const struct control_word *, size_t);
void	try_on_timeout(struct control *);

#endif
