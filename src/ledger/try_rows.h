#ifndef TRY_ROWS_H
#define TRY_ROWS_H

#include "ipc/channel.h"

/*
 * `policyctl try`: a question (inquiry.h) that collects the rows that are kept
 * by rule and id, decides on them by the limits to try, and tells the engine
 * what would have been refused. Without limits to try, it tells how much ids
 * had in the windows in force.
 */
struct ledger;

/* Takes MSG_SIMULATE; -1: it is malformed, or another question was asked. */
int	try_rows_on_simulate(struct ledger *, const struct message *);

#endif
