#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>

#include "role/role.h"

/*
 * The keeper: a process beside the ledger that copies SQLite's write-ahead log
 * into the file (a checkpoint). A checkpoint waits for the disk, often for many
 * milliseconds, which must not delay decisions. The keeper is forked from the
 * ledger before the ledger opens anything, enters the same sandbox, shares only
 * one socket with the ledger, and ends with it.
 */
struct keeper;

/*
 * Call it before the database is opened and before role_lock, which it calls in
 * the new process. NULL with errno when the process cannot be started.
 */
struct keeper	*keeper_start(struct role_start *, struct sandbox_needs *,
		    const char *name);

/* Asks for one checkpoint, unless an answer is outstanding. */
void		 keeper_ask(struct keeper *);

/*
 * Reads an outstanding answer, without waiting. 1: the request is done; after a
 * checkpoint *left is the number of pages of the log that are not copied (-1:
 * it failed). 0: no answer yet, or none outstanding. -1: the process is gone.
 */
int		 keeper_answer(struct keeper *, int *left);

/* Whether an answer is outstanding. */
bool		 keeper_busy(const struct keeper *);

/*
 * Makes the keeper close the files and waits until it has. -1: it did not
 * within half a second, or is gone.
 */
int		 keeper_release(struct keeper *);

/*
 * Ends the keeper, waits at most two seconds until it has closed the files, and
 * frees it. NULL is legal.
 */
void		 keeper_stop(struct keeper *);


/* Frees it without waiting: the process ends when it sees the closed socket. */
void		 keeper_leave(struct keeper *);

#endif
