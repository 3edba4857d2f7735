#ifndef CHECKPOINTER_H
#define CHECKPOINTER_H

#include <stdbool.h>

#include "role/role.h"

/*
 * The checkpointer: a process beside the ledger that copies SQLite's
 * write-ahead log into the file (a checkpoint). A checkpoint waits for the
 * disk, often for many milliseconds, which must not delay decisions. The
 * checkpointer is forked from the ledger before the ledger opens anything,
 * enters the same sandbox, shares only one socket with the ledger, and ends
 * with it.
 */
struct checkpointer;

/*
 * Call it before the database is opened and before role_lock, which it calls in
 * the new process. NULL with errno when the process cannot be started.
 */
struct checkpointer	*checkpointer_start(struct role_start *,
			    struct sandbox_needs *, const char *name);

/* Asks for one checkpoint, unless an answer is outstanding. */
void		 checkpointer_ask(struct checkpointer *);

/*
 * Reads an outstanding answer, without waiting. 1: the request is done, or
 * failed. 0: no answer yet, or none outstanding. -1: the process is gone.
 */
int		 checkpointer_answer(struct checkpointer *);

/* Whether an answer is outstanding. */
bool		 checkpointer_busy(const struct checkpointer *);

/*
 * Makes the checkpointer close the files and waits until it has. -1: it did not
 * within `ms`, or is gone.
 */
int		 checkpointer_release(struct checkpointer *, int ms);

/*
 * Frees it without waiting: the process ends when it sees the closed socket.
 * NULL is legal.
 */
void		 checkpointer_leave(struct checkpointer *);

#endif
