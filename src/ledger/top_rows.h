#ifndef TOP_ROWS_H
#define TOP_ROWS_H

#include "ipc/channel.h"
#include "role/top.h"

/*
 * `policyctl top` by fill and by used, of all rows that are kept: a question
 * (inquiry.h) that reads them into the cache of a ledger that decides nothing,
 * and lists its ids.
 */
struct ledger;

/* What a ledger knows. */
struct top_source	 top_rows_source(struct ledger *);

/* Takes MSG_TOP; -1: it is malformed, or another question was asked. */
int			 top_rows_on_top(struct ledger *,
			    const struct message *);

#endif
