#ifndef SIMULATION_H
#define SIMULATION_H

#include "ipc/message.h"
#include "ledger/ledger.h"

/*
 * The work of a ledger that was started for one question of policyctl: it reads
 * the rows that are kept, and tells the engine what limits would have done to
 * them (`try`), or which ids are first (`top`). It serves nobody else, and
 * rests as long as it works.
 */
#define SIMULATION_ROWS_MAX	20000000

struct simulation;

/* The parent sends the end of the engine's channel. -1: malformed. */
int	simulation_begin(struct ledger *, const struct message *);

/* The engine's channel, or NULL. */
struct channel	*simulation_channel(const struct simulation *);

/* The engine's question. -1: malformed, or the second one. */
int	simulation_on_engine(struct ledger *, const struct message *);

/* Takes a step, if one is due. */
void	simulation_step(struct ledger *);

/* Milliseconds until the next step; -1: there is none. */
int	simulation_wait(const struct simulation *);

#endif
