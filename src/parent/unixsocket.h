#ifndef UNIXSOCKET_H
#define UNIXSOCKET_H

#include <sys/types.h>

#include "parent/sockets.h"

/*
 * A listening UNIX socket in a directory that others may write to.
 *
 * It is bound in a new directory that only we can enter, gets its owner there,
 * listens, and is then linked into place. So nobody sees it with another mode
 * or owner, and nobody can redirect chown(2).
 */

/*
 * Opens a listener with a name, mode, owner and place. A socket at which nobody
 * answers is removed first. `old`, a socket of ours or NULL, is replaced in one
 * step, though it answers. 0; or -1 with `why`, of WHY_MAX bytes, and errno
 * EADDRINUSE if another process answers at that name. A file that is not a
 * socket is in the way too. If we are root, only processes of root and of the
 * user `daemon`, and files of root, are in the way; all others are replaced.
 */
int	unixsocket_open(struct listener *, const struct listener *old,
	    uid_t daemon, char *why);

/*
 * The same socket gets another mode and owner: its listeners and clients stay.
 * 0, or -1 with *why where it is another file, or may not be changed.
 */
int	unixsocket_change(struct listener *, char *why);

/* Removes the name if it is still that file. */
void	unixsocket_remove(const struct listener *);

#endif
