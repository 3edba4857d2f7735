#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include "ipc/message.h"

/*
 * The change of ids, in the two halves that "connect, then lock" needs. Both
 * are no-ops when identity->drop is false (the daemon was not started as root).
 */

/*
 * Effective ids and groups become the user's, root stays the saved id: what is
 * opened or connected from here on is done as the user. 0 or -1 with errno.
 */
int	privileges_borrow(const struct msg_identity *);

/*
 * chroot(2) to `jail_fd` (a directory descriptor, or -1 for identity->jail),
 * all ids and groups become the user's for good, and it is verified that they
 * do not come back. 0 or -1 with errno.
 */
int	privileges_drop(const struct msg_identity *, int jail_fd);

#endif
