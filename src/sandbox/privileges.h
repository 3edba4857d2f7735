#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>

#include "ipc/message.h"

/*
 * These functions give up root for good. They return 0, or -1 with errno; if
 * identity->drop is false (the daemon was not started as root), they do nothing
 * and return 0.
 *
 * A process that no longer needs the file system calls privileges_drop. One
 * that must first resolve a name or connect calls privileges_drop_ids, then
 * privileges_jail; on systems where only root may chroot(2) the latter does
 * nothing.
 */

/*
 * Calls chroot(2) on `jail_fd` (a directory descriptor, or -1 for
 * identity->jail), changes all ids and groups to the user's, and verifies that
 * they cannot be changed back.
 */
int	privileges_drop(const struct msg_identity *, int jail_fd);

/*
 * Changes the ids, as above. On Linux only the capability to chroot(2) is kept.
 */
int	privileges_drop_ids(const struct msg_identity *);

/* Calls chroot(2) on identity->jail; sets *jailed if that was possible. */
int	privileges_jail(const struct msg_identity *, bool *jailed);

#endif
