#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/trust.h"

#define TRUST_LINKS_MAX	32	/* about as many as systems follow */

struct trust {
	char		 at[PATH_MAX];		/* absolute, without links */
	char		 rest[PATH_MAX];	/* still to be resolved */
	unsigned int	 links;
	char		*why;
	size_t		 size;
};

static int
refuse_path(const struct trust *t, const char *path, const char *what)
{
	snprintf(t->why, t->size, "%s %s", path, what);
	return -1;
}

static int
check_directory(const struct trust *t, const struct stat *st)
{
	char	what[64];

	if (st->st_uid != 0) {
		snprintf(what, sizeof(what), "belongs to uid %lu",
		    (unsigned long)st->st_uid);
		return refuse_path(t, t->at, what);
	}
	if ((st->st_mode & S_ISVTX) != 0)
		return 0;
	if ((st->st_mode & S_IWOTH) != 0)
		return refuse_path(t, t->at, "can be written to by everybody");
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0) {
		snprintf(what, sizeof(what), "can be written to by gid %lu",
		    (unsigned long)st->st_gid);
		return refuse_path(t, t->at, what);
	}
	return 0;
}

/* Prepends the target of the link at `path` to the rest. */
static int
follow_link(struct trust *t, const char *path, const struct stat *st)
{
	char	target[PATH_MAX], rest[PATH_MAX];
	ssize_t	n;

	if (st->st_uid != 0)
		return refuse_path(t, path, "is a symbolic link of another "
		    "user");
	if (++t->links > TRUST_LINKS_MAX)
		return refuse_path(t, path, strerror(ELOOP));
	if ((n = readlink(path, target, sizeof(target) - 1)) == -1)
		return refuse_path(t, path, strerror(errno));
	target[n] = '\0';
	if (target[0] == '/')
		t->at[0] = '\0';
	strlcpy(rest, t->rest, sizeof(rest));
	if ((size_t)snprintf(t->rest, sizeof(t->rest), "%s/%s", target,
	    rest) >= sizeof(t->rest))
		return refuse_path(t, path, strerror(ENAMETOOLONG));
	return 0;
}

/* Resolves one component. 1: go on; 0: the end; -1: not trusted. */
static int
resolve_next(struct trust *t)
{
	char		name[PATH_MAX], path[PATH_MAX], *p, *slash;
	struct stat	st;
	size_t		len;

	p = t->rest + strspn(t->rest, "/");
	if ((len = strcspn(p, "/")) == 0)
		return 0;
	memcpy(name, p, len);
	name[len] = '\0';
	memmove(t->rest, p + len, strlen(p + len) + 1);
	if (strcmp(name, ".") == 0)
		return 1;
	if (strcmp(name, "..") == 0) {
		if ((slash = strrchr(t->at, '/')) != NULL)
			*slash = '\0';
		return 1;
	}
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", t->at, name) >=
	    sizeof(path))
		return refuse_path(t, t->at, strerror(ENAMETOOLONG));
	/* A component that is not found cannot be opened either. */
	if (lstat(path, &st) == -1)
		return 0;
	if (S_ISLNK(st.st_mode))
		return follow_link(t, path, &st) == -1 ? -1 : 1;
	if (!S_ISDIR(st.st_mode))
		return 0;
	strlcpy(t->at, path, sizeof(t->at));
	return check_directory(t, &st) == -1 ? -1 : 1;
}

int
trust_path(const char *path, char *why, size_t size)
{
	struct trust	t = { .why = why, .size = size };
	char		here[PATH_MAX];
	int		result;

	here[0] = '\0';
	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return refuse_path(&t, ".", strerror(errno));
	if ((size_t)snprintf(t.rest, sizeof(t.rest), "%s/%s", here, path) >=
	    sizeof(t.rest))
		return refuse_path(&t, path, strerror(ENAMETOOLONG));
	while ((result = resolve_next(&t)) == 1)
		continue;
	return result;
}
