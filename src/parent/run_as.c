#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/paths.h"
#include "lib/log.h"
#include "parent/run_as.h"

/* Says why getpwnam(3) or getgrnam(3) failed; returns -1. */
static int
nobody(const char *kind, const char *name, int error, char *why)
{
	/* The errors that systems return if there is no such name. */
	if (error == 0 || error == ENOENT || error == ESRCH ||
	    error == EBADF || error == EPERM)
		return directories_fail(why, "%s %s does not exist", kind,
		    name);
	return directories_fail(why, "%s %s: %s", kind, name, strerror(error));
}

int
run_as_user(const char *name, uid_t *uid, char *why)
{
	struct passwd	*pw;

	if (name == NULL)
		return 0;
	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return nobody("user", name, errno, why);
	*uid = pw->pw_uid;
	return 0;
}

int
run_as_group(const char *name, gid_t *gid, char *why)
{
	struct group	*gr;

	if (name == NULL)
		return 0;
	errno = 0;
	if ((gr = getgrnam(name)) == NULL)
		return nobody("group", name, errno, why);
	*gid = gr->gr_gid;
	return 0;
}

/* Whether this process may give a file of its own to the group. */
static bool
may_give(gid_t gid)
{
	gid_t	list[NGROUPS_MAX + 1];
	int	i, n;

	if (geteuid() == 0 || gid == getegid())
		return true;
	n = getgroups(NGROUPS_MAX + 1, list);
	for (i = 0; i < n; i++)
		if (list[i] == gid)
			return true;
	return false;
}

void
run_as_check_groups(const struct settings *settings, bool member,
    struct faults *faults)
{
	const struct {
		const char	*setting;
		const char	*group;
	}			 groups[] = {
		{ "control_group", settings->control_group },
		{ "operator_group", settings->operator_group }
	};
	const struct value	*v;
	char			 why[WHY_MAX];
	gid_t			 gid = 0;
	size_t			 i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (groups[i].group == NULL || settings->control_socket == NULL)
			continue;
		v = settings_lookup(settings, groups[i].setting);
		if (run_as_group(groups[i].group, &gid, why) == -1)
			fault_error(faults, v->line, v->column, "%s: %s",
			    groups[i].setting, why);
		else if (member && !may_give(gid))
			fault_error(faults, v->line, v->column, "%s: the "
			    "daemon was not started as root and is not a "
			    "member of the group %s; a unit of systemd needs "
			    "SupplementaryGroups=%s", groups[i].setting,
			    groups[i].group, groups[i].group);
	}
}

int
run_as_find(struct msg_identity *identity, const struct settings *settings,
    char *why)
{
	struct passwd	*pw;
	gid_t		 gid = 0, groups[IDENTITY_GROUPS_MAX];
	int		 n = IDENTITY_GROUPS_MAX, i;

	memset(identity, 0, sizeof(*identity));
	identity->drop = geteuid() == 0;
	if (!identity->drop) {
		identity->uid = geteuid();
		identity->gid = getegid();
		if ((pw = getpwuid(geteuid())) != NULL) {
			strlcpy(identity->user, pw->pw_name,
			    sizeof(identity->user));
			strlcpy(identity->home, pw->pw_dir,
			    sizeof(identity->home));
		}
		log_debug("not root: user and group stay as they are");
		return 0;
	}
	if (run_as_group(settings->group, &gid, why) == -1)
		return -1;
	errno = 0;
	if ((pw = getpwnam(settings->user)) == NULL)
		return nobody("user", settings->user, errno, why);
	if (pw->pw_uid == 0 || gid == 0)
		return directories_fail(why,
		    "user and group may not be root's");
	identity->uid = pw->pw_uid;
	identity->gid = gid;
	if (strlcpy(identity->user, pw->pw_name, sizeof(identity->user)) >=
	    sizeof(identity->user) ||
	    strlcpy(identity->home, pw->pw_dir, sizeof(identity->home)) >=
	    sizeof(identity->home))
		return directories_fail(why, "user %s: name or home is too "
		    "long", settings->user);
	if (getgrouplist(identity->user, gid, groups, &n) == -1)
		return directories_fail(why, "user %s is in more than %d "
		    "groups", identity->user, IDENTITY_GROUPS_MAX);
	for (i = 0; i < n; i++)
		identity->groups[i] = groups[i];
	identity->ngroups = n;
	return 0;
}

bool
run_as_equal(const struct msg_identity *a, const struct msg_identity *b)
{
	return a->drop == b->drop && a->uid == b->uid && a->gid == b->gid &&
	    a->ngroups == b->ngroups &&
	    memcmp(a->groups, b->groups,
	    a->ngroups * sizeof(a->groups[0])) == 0 &&
	    strcmp(a->home, b->home) == 0;
}

/*
 * Whether the directory belongs to root, only root may write to it, and it is
 * empty.
 */
static bool
is_jail(const char *path, const struct directory_new *new, char *why)
{
	struct dirent	*entry;
	struct stat	 sb;
	DIR		*dir;
	bool		 good;
	int		 fd;

	if ((fd = directories_open(path, new, why)) == -1)
		return false;
	good = fstat(fd, &sb) == 0 && sb.st_uid == 0 &&
	    (sb.st_mode & (S_IWGRP | S_IWOTH)) == 0;
	if ((dir = fdopendir(fd)) == NULL) {
		close(fd);
		good = false;
	} else {
		while (good && (entry = readdir(dir)) != NULL)
			good = strcmp(entry->d_name, ".") == 0 ||
			    strcmp(entry->d_name, "..") == 0;
		closedir(dir);
	}
	if (!good)
		directories_fail(why,
		    "%s: is not an empty directory of root's", path);
	return good;
}

int
run_as_jail(struct msg_identity *identity, char *why)
{
	const struct directory_new	 ours = { .mode = 0755 };
	const char *const		 shared = "/var/empty";
	int				 n;

	if (!identity->drop)
		return 0;
	/* The system's directory, if it exists: nobody can move it. */
	if (is_jail(shared, NULL, why)) {
		strlcpy(identity->jail, shared, sizeof(identity->jail));
		return 0;
	}
	n = snprintf(identity->jail, sizeof(identity->jail), "%s/empty",
	    paths_rundir);
	if (n < 0 || (size_t)n >= sizeof(identity->jail))
		return directories_fail(why, "%s: %s", paths_rundir,
		    strerror(ENAMETOOLONG));
	return is_jail(identity->jail, &ours, why) ? 0 : -1;
}

struct directory_new
run_as_directory(const struct msg_identity *identity, mode_t mode)
{
	struct directory_new	new = { .mode = mode };

	new.give = identity->drop;
	new.uid = identity->uid;
	new.gid = identity->gid;
	return new;
}
