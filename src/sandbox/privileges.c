#include <sys/types.h>
#ifdef __linux__
#include <sys/prctl.h>

#include <linux/capability.h>
#endif

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include "sandbox/capabilities.h"
#endif
#include "sandbox/privileges.h"

/*
 * Makes the directory the root, and the working directory, from which ".."
 * could leave it.
 */
static int
enter_jail(const char *path, int fd)
{
	if (fd != -1) {
		if (fchdir(fd) == -1)
			return -1;
	} else if (chdir(path) == -1)
		return -1;
	if (chroot(".") == -1)
		return -1;
	return chdir("/");
}

/* Changes all groups and ids to the user's. */
static int
ids_drop(const struct msg_identity *identity)
{
	uid_t	uid = (uid_t)identity->uid;
	gid_t	gid = (gid_t)identity->gid;
	gid_t	list[IDENTITY_GROUPS_MAX];
	size_t	i, n = identity->ngroups;

	if (n > IDENTITY_GROUPS_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < n; i++)
		list[i] = (gid_t)identity->groups[i];
#ifndef __linux__
	/* The BSDs need the effective group in the list. */
	if (n == 0)
		list[n++] = gid;
#endif
	if (setgroups(n, list) == -1)
		return -1;
#ifdef __NetBSD__
	/*
	 * No setresuid(2) here; called by root, these two set the saved ids as
	 * well.
	 */
	return setgid(gid) == -1 ? -1 : setuid(uid);
#else
	return setresgid(gid, gid, gid) == -1 ? -1 : setresuid(uid, uid, uid);
#endif
}

static bool
ids_are(uid_t uid, gid_t gid)
{
#ifndef __NetBSD__
	uid_t	ruid, euid, suid;
	gid_t	rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) == -1 ||
	    getresgid(&rgid, &egid, &sgid) == -1)
		return false;
	if (ruid != uid || euid != uid || suid != uid ||
	    rgid != gid || egid != gid || sgid != gid)
		return false;
#endif
	return getuid() == uid && geteuid() == uid &&
	    getgid() == gid && getegid() == gid;
}

/*
 * A remaining group of root's would be a way back; a missing group would cause
 * puzzling failures.
 */
static bool
groups_are(const struct msg_identity *identity)
{
	gid_t	*list;
	size_t	 j;
	int	 count, i;
	bool	 same = true;

	if ((count = getgroups(0, NULL)) == -1)
		return false;
	if ((list = calloc((size_t)count + 1, sizeof(*list))) == NULL)
		return false;
	if ((count = getgroups(count, list)) == -1)
		same = false;
	for (i = 0; i < count && same; i++) {
		same = list[i] == (gid_t)identity->gid;
		for (j = 0; j < identity->ngroups && !same; j++)
			same = list[i] == (gid_t)identity->groups[j];
	}
	for (j = 0; j < identity->ngroups && same; j++) {
		same = false;
		for (i = 0; i < count && !same; i++)
			same = list[i] == (gid_t)identity->groups[j];
	}
	free(list);
	return same;
}

/* Also tries every call that could restore root; all must fail. */
static int
ids_check(const struct msg_identity *identity)
{
	if (ids_are((uid_t)identity->uid, (gid_t)identity->gid) &&
	    groups_are(identity) &&
	    setuid(0) == -1 && seteuid(0) == -1 &&
	    setreuid((uid_t)-1, 0) == -1 && setgid(0) == -1 &&
	    setegid(0) == -1 && setregid((gid_t)-1, 0) == -1)
		return 0;
	errno = EPERM;
	return -1;
}

static bool
is_root(const struct msg_identity *identity)
{
	errno = EINVAL;
	return identity->uid == 0 || identity->gid == 0;
}

int
privileges_drop(const struct msg_identity *identity, int jail_fd)
{
	if (!identity->drop)
		return 0;
	if (is_root(identity) || enter_jail(identity->jail, jail_fd) == -1 ||
	    ids_drop(identity) == -1)
		return -1;
	return ids_check(identity);
}

#ifdef __linux__
static const unsigned int	to_chroot[] = { CAP_SYS_CHROOT };

int
privileges_drop_ids(const struct msg_identity *identity)
{
	if (!identity->drop)
		return 0;
	if (is_root(identity) || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1 ||
	    ids_drop(identity) == -1 || capabilities_keep(to_chroot, 1) == -1 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
		return -1;
	return ids_check(identity);
}

int
privileges_jail(const struct msg_identity *identity, bool *jailed)
{
	if (!identity->drop)
		return 0;
	if (enter_jail(identity->jail, -1) == -1 ||
	    capabilities_keep(NULL, 0) == -1)
		return -1;
	*jailed = true;
	return 0;
}
#else
int
privileges_drop_ids(const struct msg_identity *identity)
{
	if (!identity->drop)
		return 0;
	if (is_root(identity) || ids_drop(identity) == -1)
		return -1;
	return ids_check(identity);
}

int
privileges_jail(const struct msg_identity *identity, bool *jailed)
{
	(void)identity;
	(void)jailed;
	return 0;
}
#endif
