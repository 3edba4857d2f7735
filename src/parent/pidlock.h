#ifndef PIDLOCK_H
#define PIDLOCK_H

#include <sys/types.h>

#include <stdbool.h>

#include "parent/directories.h"

/*
 * The pid file. It holds the pid in its first line, and a write lock of
 * fcntl(2) for as long as this instance runs. Everybody may read it; nobody
 * else can lock it. An existing file is never written to, only replaced, so a
 * link to another file does no harm. What is not a regular file of root, this
 * user or the daemon's user is replaced, and so is a file with only a read
 * lock.
 */
struct pidlock {
	struct place	place;
	int		fd;		/* holds the lock; -1: none */
	bool		written;
};

enum pidlock_result {
	PIDLOCK_OURS,
	PIDLOCK_RUNNING,	/* another instance holds it */
	PIDLOCK_FAILED
};

/*
 * Takes the lock, on a new, empty file or on what a dead instance left behind;
 * that is left as it is until pidlock_write. If it is not ours, `why`, of
 * WHY_MAX bytes, has the reason.
 */
enum pidlock_result	pidlock_open(struct pidlock *, const char *path,
			    const struct directory_new *, char *why);

/* Replaces the file by one with the pid, locked. 0, or -1 with `why`. */
int	pidlock_write(struct pidlock *, char *why);

/* Removes it, if it is ours, and gives the lock up. */
void	pidlock_close(struct pidlock *);

#endif
