#ifndef RELOAD_H
#define RELOAD_H

#include "parent/parent.h"

/*
 * A new configuration: read and checked whole, sockets bound, where the
 * database changed a new ledger ready, taken by the engine and the ledger, and
 * only then put in force. Whatever fails before that is logged, and the running
 * configuration stays: a child that has taken the new one gets it again.
 */
void	reload_want(struct parent *);

/* Begins what is wanted when its time has come. */
void	reload_timers(struct parent *, struct mono now);
int	reload_left(const struct parent *, struct mono now);

/* The next ledger is ready, or is gone. */
void	reload_on_ready(struct parent *);
void	reload_on_gone(struct parent *);

/*
 * A process that serves was lost: `was` as it was, `away` when its database is.
 */
void	reload_on_lost(struct parent *, enum slot, const struct child *was,
	    bool away);

/* The parent stops. */
void	reload_abandon(struct parent *);

/* Logs every fault of a configuration. */
void	reload_log_faults(const struct faults *);

#endif
