#ifndef PIDLOCK_H
#define PIDLOCK_H

#include <sys/types.h>

#include <stdbool.h>

#include "parent/directories.h"

/*
 * The pid file. It holds the pid in its first line, and a write lock of
 * fcntl(2) for as long as this instance runs. Everybody may read it; nobody
 * else can lock it. An existing file is never written to, only replaced, so a
 * link to another file does no harm. A file that belongs to neither root nor
 * this user nor the daemon's user is replaced, whatever its kind.
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
