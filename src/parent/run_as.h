#ifndef RUN_AS_H
#define RUN_AS_H

#include "conf/settings.h"
#include "ipc/message.h"
#include "parent/directories.h"

/*
 * The user of the children: `user` and `group` of the settings with that user's
 * supplementary groups if we are root; else our own user, and nothing changes.
 */

/*
 * 0, or -1 with `why`, of WHY_MAX bytes: one of them does not exist, is root's,
 * or does not fit into the identity.
 */
int	run_as_find(struct msg_identity *, const struct settings *,
	    char *why);

/* Whether two identities have the same ids, groups and home directory. */
bool	run_as_equal(const struct msg_identity *,
	    const struct msg_identity *);

/*
 * Finds or creates the empty directory for chroot(2) that only root can write
 * to, and writes its path into the identity. Does nothing if we are not root. 0
 * or -1.
 */
int	run_as_jail(struct msg_identity *, char *why);

/*
 * Describes how to create a missing directory: this mode, and these ids as
 * owners.
 */
struct directory_new	run_as_directory(const struct msg_identity *, mode_t);

/*
 * Ids by name, for socket_user and socket_group. 0 or -1; NULL leaves *id
 * unchanged.
 */
int	run_as_user(const char *name, uid_t *, char *why);
int	run_as_group(const char *name, gid_t *, char *why);

/*
 * Adds an error for each of control_group and operator_group that does not
 * exist, or, with `member`, that this process may not give a socket to.
 */
void	run_as_check_groups(const struct settings *, bool member,
	    struct faults *);

#endif
