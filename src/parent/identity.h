#ifndef IDENTITY_H
#define IDENTITY_H

#include "conf/settings.h"
#include "ipc/message.h"
#include "parent/directories.h"

/*
 * Who the children become: `user` and `group` of the settings with the
 * supplementary groups of that user, when started as root; else who we are, and
 * nothing is changed.
 */

/* 0, or -1 when one of them does not exist, or is root. */
int	identity_find(struct msg_identity *, const struct settings *,
	    char *why);

/* Whether the children would be somebody else. */
bool	identity_equal(const struct msg_identity *,
	    const struct msg_identity *);

/*
 * Finds or makes the empty directory that nobody can write to, for chroot(2),
 * and writes its path into the identity. No-op when not root. 0 or -1.
 */
int	identity_jail(struct msg_identity *, char *why);

/* A missing directory is made with this mode and given to these ids. */
struct directory_new	identity_directory(const struct msg_identity *, mode_t);

/*
 * Ids by name for socket_user and socket_group; 0 or -1. NULL leaves *id alone.
 */
int	identity_user(const char *name, uid_t *, char *why);
int	identity_group(const char *name, gid_t *, char *why);

#endif
