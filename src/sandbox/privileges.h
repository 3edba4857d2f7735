#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>

#include "ipc/message.h"

/*
 * Root is given up for good. All are no-ops when identity->drop is false (the
 * daemon was not started as root), and return 0 or -1 with errno.
 *
 * Who needs nothing of the file system any more calls privileges_drop. Who has
 * to resolve a name or to connect first calls privileges_drop_ids, then
 * privileges_jail; on systems where only root may chroot(2) the second does
 * nothing.
 */

/*
 * chroot(2) to `jail_fd` (a directory descriptor, or -1 for identity->jail),
 * all ids and groups become the user's, and it is verified that they do not
 * come back.
 */
int	privileges_drop(const struct msg_identity *, int jail_fd);

/*
 * The ids, as above. On Linux the capability to chroot(2) is all that stays.
 */
int	privileges_drop_ids(const struct msg_identity *);

/* chroot(2) to identity->jail; sets *jailed where that was possible. */
int	privileges_jail(const struct msg_identity *, bool *jailed);

#endif
