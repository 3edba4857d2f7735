#ifndef UNIXSOCKET_H
#define UNIXSOCKET_H

#include <sys/types.h>

#include "parent/sockets.h"

/*
 * A listening UNIX socket in a directory that others may write to.
 *
 * It is bound in a new directory that only we can enter, gets its owner there,
 * listens, and is then renamed into place. So nobody sees it with another mode
 * or owner, nobody can redirect chown(2), and a stale socket is replaced in one
 * step.
 */

/*
 * Opens a listener with a name, mode, owner and place. A socket there that
 * belongs to root or the user `daemon` may be a running daemon's; if we are
 * root, any other socket is replaced. So is `old` (or NULL), a socket of ours,
 * even if it answers. 0; or -1 with *why if a daemon answers at that name
 * (errno EADDRINUSE), or the file there belongs to root and is not a socket.
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
