#ifndef RELOAD_H
#define RELOAD_H

#include "parent/parent.h"

/*
 * A new configuration. It is read and checked as a whole, its sockets are
 * bound, a new ledger becomes ready if the database, its settings or the user
 * changed, and engine and ledger accept the settings, or have not refused them
 * for five seconds. Only then is it put in force. If any step fails, the
 * failure is logged and the running configuration stays; a child that has got
 * the new one gets the running one again. A child that is not ready gets the
 * new one afterwards.
 */
void	reload_request(struct parent *);

/*
 * Reads the configuration and, except for --clean, checks the groups of
 * policyctl's sockets. The caller owns the settings; NULL: the faults have an
 * error.
 */
struct settings	*reload_read(const struct parent *, struct faults *);

/* Begins a wanted reload, or puts one in force, when that is due. */
void	reload_timers(struct parent *, struct mono now);

/* Milliseconds until reload_timers has something to do; -1: nothing. */
int	reload_left(const struct parent *, struct mono now);

/* The next ledger is ready, or has ended. */
void	reload_on_ready(struct parent *);
void	reload_on_gone(struct parent *);

/*
 * A serving process has ended. `was`: its state before; `away`: its database
 * cannot be reached.
 */
void	reload_on_lost(struct parent *, enum slot, const struct child *was,
	    bool away);

/* The parent stops. */
void	reload_abandon(struct parent *);

/* Logs every fault of a configuration, and appends it to `keep` (or NULL). */
void	reload_log_faults(const struct faults *, struct str *keep);

#endif
