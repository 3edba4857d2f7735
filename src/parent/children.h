#ifndef CHILDREN_H
#define CHILDREN_H

#include "parent/parent.h"

/* Starts, watches, restarts and stops the processes under the parent. */

/*
 * Starts the process of a slot, and sends it its identity, its settings and, to
 * the engine, the sockets. It then waits for children_begin. 0, or -1 with
 * *why.
 */
int	children_start(struct parent *, enum slot, const struct settings *,
	    const struct msg_identity *, char *why);

/*
 * Sends settings to the process of a slot, unless there is none or it was told
 * to stop.
 */
void	children_settings(struct parent *, enum slot, const struct settings *,
	    uint64_t generation);

/* Connects two processes by a channel; does nothing if one does not exist. */
void	children_connect(struct parent *, enum slot, enum slot);

/* Sends MSG_START, the end of the start messages. */
void	children_begin(struct parent *, enum slot);

/* Sends MSG_STOP, and kills the process if it does not end in time. */
void	children_stop(struct parent *, enum slot);

/* Whether a slot's process is restarted when it ends. */
void	children_keep(struct parent *, enum slot, bool);

/* The engine or the ledger has sent READY. */
void	children_on_ready(struct parent *, enum slot);

/* Handles every process that has ended. */
void	children_reap(struct parent *);

/* Restarts and kills what is due. */
void	children_timers(struct parent *, struct mono now);

/* Milliseconds until children_timers has something to do; -1: nothing. */
int	children_left(const struct parent *, struct mono now);

/* Whether any process exists. */
bool	children_any(const struct parent *);

/* The name of a process in the log. */
const char	*children_name(const struct parent *, enum slot);

/* The ledger's executable for this backend. */
const char	*children_ledger(const struct settings *);

#endif
