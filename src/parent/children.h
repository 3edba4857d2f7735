#ifndef CHILDREN_H
#define CHILDREN_H

#include "parent/parent.h"

/* Starts, watches, restarts and stops the processes under the parent. */

/*
 * After so many ends in quick succession the pause before the next start does
 * not grow any more, and the start of the daemon fails.
 */
#define CHILDREN_BACKOFF	6

/*
 * Starts the process of an empty slot, and sends it its identity, its settings
 * and, to the engine, the sockets. It then waits for MSG_START. 0, or -1 with
 * `why`, of WHY_MAX bytes.
 */
int	children_start(struct parent *, enum slot, const struct settings *,
	    const struct msg_identity *, char *why);

/*
 * Sends settings to the process of a slot, unless there is none or it was told
 * to stop.
 */
void	children_settings(struct parent *, enum slot, const struct settings *,
	    uint64_t generation);

/*
 * Connects two processes by a channel, which each gets in a message of this
 * type (MSG_PEER, MSG_SCAN); does nothing if one of them does not exist. 0, or
 * -1: that was logged, and the second one is killed.
 */
int	children_connect(struct parent *, enum slot, enum slot,
	    enum message_type);

/* Sends MSG_STOP, and kills the process if it does not end in time. */
void	children_stop(struct parent *, enum slot);

/*
 * Sets whether a slot's process is restarted when it ends, and forgets its
 * earlier ends and its fault.
 */
void	children_keep(struct parent *, enum slot, bool);

/* The engine or the ledger has sent READY. */
void	children_on_ready(struct parent *, enum slot);

/*
 * Plans the next start of a slot's process, which was started at `since`, after
 * a pause that grows with each end in quick succession; or, if its database is
 * away, soon.
 */
void	children_schedule(struct parent *, enum slot, struct mono since,
	    bool away);

/* Restarts and kills what is due. */
void	children_timers(struct parent *, struct mono now);

/* Milliseconds until children_timers has something to do; -1: nothing. */
int	children_left(const struct parent *, struct mono now);

/* Whether any process exists. */
bool	children_any(const struct parent *);

/* The name of a process in the log. */
const char	*children_name(const struct parent *, enum slot);

#endif
