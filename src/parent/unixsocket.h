#ifndef UNIXSOCKET_H
#define UNIXSOCKET_H

#include <sys/types.h>

#include "parent/sockets.h"

/*
 * A listening UNIX socket in a directory that others may write to.
 *
 * It is bound in a new directory that only we can enter, gets its owner there,
 * listens, and is then linked into place. So no other user sees it with
 * another mode or owner, or can redirect chown(2).
 */

/*
 * Opens a listener with a name, mode, owner and place. A socket at which no
 * process answers is removed first. `old`, a socket of ours or NULL, is
 * replaced in one step, though it answers. 0; or -1 with `why`, of WHY_MAX
 * bytes, if something else has that name: a socket at which another process
 * answers, with errno EADDRINUSE, or a file that is not a socket. But if we are
 * root, a socket is replaced unless a process of root or of the user `daemon`
 * answers, and another file unless it is root's.
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
