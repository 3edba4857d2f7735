#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>

#include "role/role.h"

/*
 * A process beside the ledger that copies SQLite's write-ahead log into the
 * file. That waits for the disk, often for many milliseconds, and decisions
 * must not. It is a copy of the ledger before it opened anything, is locked in
 * like it, shares nothing with it but one socket, and ends with it.
 */
struct keeper;

/*
 * Before the database is opened and before role_lock, which is called in the
 * new process. NULL with errno when there can be none.
 */
struct keeper	*keeper_start(struct role_start *, struct sandbox_needs *,
		    const char *name);

/* Asks for one copy; one that is under way is enough. */
void		 keeper_ask(struct keeper *);

/*
 * 1: what was asked for is done, *left pages of the log are not copied (-1: it
 * failed); 0: nothing new; -1: the process is gone.
 */
int		 keeper_answer(struct keeper *, int *left);

/* Whether an answer is still to come. */
bool		 keeper_busy(const struct keeper *);

/*
 * The files are to be closed by everybody: it does, and waits to be asked
 * again. -1: it did not within half a second, or is gone.
 */
int		 keeper_release(struct keeper *);

/* Lets it close the file and waits, two seconds at the most, until it has. */
void		 keeper_stop(struct keeper *);


/* Waits for nothing: it ends when it finds out. */
void		 keeper_leave(struct keeper *);

#endif
