#ifndef PIDLOCK_H
#define PIDLOCK_H

#include <sys/types.h>

#include <stdbool.h>

#include "parent/directories.h"

/*
 * The pid file: write-locked by fcntl(2) for as long as this instance lives,
 * its first line the pid. Everybody may read it, and nobody else can lock it.
 * A file that was there is never written to, only replaced, so a link that
 * leads elsewhere does no harm. What is there and is no file of root, of this
 * user or of the daemon's user is replaced, whatever it is.
 */
struct pidlock {
	struct place	place;
	int		fd;		/* holds the lock; -1: none */
	bool		written;
};

enum pidlock_result {
	PIDLOCK_OURS,
	PIDLOCK_RUNNING,	/* another instance holds it */
	PIDLOCK_FAILED		/* *why says it */
};

/*
 * Takes the lock, on a new, empty file or on what a dead instance left behind;
 * that is left as it is until pidlock_write.
 */
enum pidlock_result	pidlock_open(struct pidlock *, const char *path,
			    const struct directory_new *, char *why);

/* Puts the pid there. 0 or -1. */
int	pidlock_write(struct pidlock *, char *why);

/* Removes it, if it is ours, and gives the lock up. */
void	pidlock_close(struct pidlock *);

#endif
