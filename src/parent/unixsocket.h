#ifndef UNIXSOCKET_H
#define UNIXSOCKET_H

#include <sys/types.h>

#include "parent/directories.h"

/*
 * A listening UNIX socket under a name in a directory that others may write to.
 *
 * It is bound in a new directory that only we can enter, gets its owner there,
 * listens, and is then renamed into place: nobody sees it with another mode or
 * owner, nobody can put something else in the way of chown(2), and a stale
 * socket is replaced in one step.
 */
struct unixsocket {
	const char	*path;		/* for what is said */
	mode_t		 mode;
	uid_t		 uid;		/* -1: as it comes */
	gid_t		 gid;
	/* Root and this user may be a daemon that listens there, */
	uid_t		 daemon;
	/* Any other is not, if we are root. */
	struct place	 place;		/* taken over, not closed here */
	/* Which file it is; an old one's at first, */
	dev_t		 dev;
	/* Or 0: that one may be replaced unasked. */
	ino_t		 ino;
};

/*
 * The listening descriptor, or -1 with *why: a daemon answers at that name
 * (errno EADDRINUSE), or what is there is root's and no socket.
 */
int	unixsocket_open(struct unixsocket *, char *why);

/*
 * The same socket, with another mode and owner from now on: its listeners and
 * clients stay. 0, or -1 with *why where it is another file, or may not be
 * changed.
 */
int	unixsocket_change(struct unixsocket *, char *why);

/* Removes the name if it is still that file. */
void	unixsocket_remove(const struct unixsocket *);

#endif
