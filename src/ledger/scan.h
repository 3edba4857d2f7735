#ifndef SCAN_H
#define SCAN_H

#include "ipc/message.h"
#include "ledger/ledger.h"

/*
 * The work of a ledger that was started for one command of policyctl: it reads
 * all rows of the database, tries limits on them (try_rows.h) or counts them
 * for each id (top_rows.h), and tells the engine the result. It does nothing
 * else, and after each step it pauses for as long as the step took.
 */
struct scan;

/* The parent sends the end of the engine's channel. -1: malformed. */
int	scan_begin(struct ledger *, const struct message *);

/* The engine's channel, or NULL. */
struct channel	*scan_channel(const struct scan *);

/* The engine's question. -1: malformed, or the second one. */
int	scan_on_engine(struct ledger *, const struct message *);

/* Takes a step, if one is due. */
void	scan_step(struct ledger *);

/* Milliseconds until the next step; -1: there is none. */
int	scan_wait(const struct scan *);

#endif
