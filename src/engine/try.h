#ifndef TRY_H
#define TRY_H

#include "engine/control.h"

/*
 * `policyctl try`: has the parent start a ledger that reads the rows that are
 * kept, sends it the limits to try, and passes its results on. One at a time.
 */
void	try_init(void);
void	try_run(struct control *, const struct control_word *, size_t);

/* Takes over the channel to that ledger; -1: closes it. */
void	try_channel(int fd);

#endif
