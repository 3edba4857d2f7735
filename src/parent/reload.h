#ifndef RELOAD_H
#define RELOAD_H

#include "parent/parent.h"

/*
 * A new configuration: read and checked whole, sockets bound, where the
 * database changed a new ledger ready, and only then put in force, all at once.
 * Whatever fails before that is logged and nothing has changed.
 */
void	reload_want(struct parent *);

/* Begins what is wanted when its time has come. */
void	reload_timers(struct parent *, struct mono now);
int	reload_left(const struct parent *, struct mono now);

/* The next ledger is ready, or is gone. */
void	reload_on_ready(struct parent *);
void	reload_on_gone(struct parent *);

/* The parent stops. */
void	reload_abandon(struct parent *);

/* Logs every fault of a configuration. */
void	reload_log_faults(const struct faults *);

#endif
