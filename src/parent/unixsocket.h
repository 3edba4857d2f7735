#ifndef UNIXSOCKET_H
#define UNIXSOCKET_H

#include <sys/types.h>

#include "parent/directories.h"

/*
 * A listening UNIX socket in a directory that others may write to.
 *
 * It is bound in a new directory that only we can enter, gets its owner there,
 * listens, and is then renamed into place. So nobody sees it with another mode
 * or owner, nobody can redirect chown(2), and a stale socket is replaced in one
 * step.
 */
struct unixsocket {
	const char	*path;		/* for messages */
	mode_t		 mode;
	uid_t		 uid;		/* -1: not set */
	gid_t		 gid;
	/*
	 * A socket that belongs to root or this user may be a running daemon's.
	 */
	uid_t		 daemon;
	/* If we are root, any other socket may be replaced. */
	struct place	 place;		/* borrowed */
	/* The file; before unixsocket_open an old one of ours, */
	dev_t		 dev;
	/* which is replaced even if it answers. 0: none. */
	ino_t		 ino;
};

/*
 * The listening descriptor; or -1 with *why if a daemon answers at that name
 * (errno EADDRINUSE), or the file there belongs to root and is not a socket.
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
