#ifndef CHILDREN_H
#define CHILDREN_H

#include "parent/parent.h"

/*
 * The processes under the parent: started, watched, started again when they
 * die, stopped.
 */

/*
 * Starts the process for a slot and tells it who it is, its settings and, the
 * engine, its sockets. It waits for children_begin. 0, or -1 with *why.
 */
int	children_start(struct parent *, enum slot, const struct settings *,
	    const struct msg_identity *, char *why);

/* Sends settings to a slot's process, if there is one that goes on. */
void	children_settings(struct parent *, enum slot, const struct settings *,
	    uint64_t generation);

/*
 * Joins two of them by a channel of their own; nothing where one is not there.
 */
void	children_connect(struct parent *, enum slot, enum slot);

/* MSG_START: nothing more to come. */
void	children_begin(struct parent *, enum slot);

/* MSG_STOP, and the end by force when it stays too long. */
void	children_stop(struct parent *, enum slot);

/* Keeps a slot filled from now on, or no longer. */
void	children_keep(struct parent *, enum slot, bool);

/* The engine or the ledger says that it serves. */
void	children_on_ready(struct parent *, enum slot);

/* Every process that ended is taken leave of. */
void	children_reap(struct parent *);

/* What is due: starts again, ends by force. */
void	children_timers(struct parent *, struct mono now);

/* Milliseconds until children_timers has something to do; -1: nothing. */
int	children_left(const struct parent *, struct mono now);

/* Whether any process is there. */
bool	children_any(const struct parent *);

/* What a process is called where a person reads it. */
const char	*children_name(const struct parent *, enum slot);

/* The ledger's executable for this backend. */
const char	*children_ledger(const struct settings *);

#endif
