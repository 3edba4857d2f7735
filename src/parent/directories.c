#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "parent/directories.h"
#include "search.h"

#define COMPONENT_MAX	(NAME_MAX + 2)
#define LINKS_MAX	32	/* in one path, as systems allow */
#define UNFINISHED	0400	/* mode until it is given away */

struct walk {
	const char	*path;			/* whole, for messages */
	int		 at;
	char		 rest[PATH_MAX];	/* still to be walked */
	unsigned int	 links;
	char		*why;
};

static const struct {
	const char	*call;
	const char	*capability;
} capabilities[] = {
	{ "bind",	"CAP_NET_BIND_SERVICE" },
	{ "chown",	"CAP_CHOWN" },
	{ "chmod",	"CAP_FOWNER" },
	{ NULL,		"CAP_DAC_OVERRIDE" }
};

int
directories_fail(char *why, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(why, WHY_MAX, fmt, ap);
	va_end(ap);
	return -1;
}

int
directories_fault(char *why, const char *path, const char *call, int error)
{
	size_t	i, len;

	directories_fail(why, "%s: %s: %s", path, call, strerror(error));
	len = strlen(why);
	if (error == EROFS)
		strlcat(why, "; name a path that can be written to", WHY_MAX);
	else if (error != EPERM && error != EACCES)
		return -1;
	else if (geteuid() != 0)
		snprintf(why + len, WHY_MAX - len, "; uid %lu lacks the right: "
		    "name another path, or have root prepare this one",
		    (unsigned long)geteuid());
	else {
		for (i = 0; capabilities[i].call != NULL &&
		    strcmp(capabilities[i].call, call) != 0; i++)
			continue;
		snprintf(why + len, WHY_MAX - len, "; root lacks a capability, "
		    "as in a container: grant %s, or start it as the user of "
		    "the service", capabilities[i].capability);
	}
	return -1;
}

static int
fail(const struct walk *w, const char *what)
{
	return directories_fail(w->why, "%s: %s", w->path, what);
}

static int
fail_call(const struct walk *w, const char *call)
{
	return directories_fault(w->why, w->path, call, errno);
}

static void
step_to(struct walk *w, int fd)
{
	close(w->at);
	w->at = fd;
}

/*
 * Follows a link. In a directory that others may write to, another user may
 * have placed it.
 */
static int
follow(struct walk *w, const char *name)
{
	char		 target[PATH_MAX], rest[PATH_MAX];
	struct stat	 sb;
	ssize_t		 n;
	int		 fd;

	if (fstat(w->at, &sb) == -1)
		return fail(w, strerror(errno));
	if ((sb.st_uid != 0 && sb.st_uid != geteuid()) ||
	    (sb.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return directories_fail(w->why, "%s: the symbolic link %s is "
		    "not followed: others may write to its directory",
		    w->path, name);
	if (++w->links > LINKS_MAX)
		return fail(w, strerror(ELOOP));
	if ((n = readlinkat(w->at, name, target, sizeof(target) - 1)) == -1)
		return fail(w, strerror(errno));
	target[n] = '\0';
	strlcpy(rest, w->rest, sizeof(rest));
	if ((size_t)snprintf(w->rest, sizeof(w->rest), "%s/%s", target, rest) >=
	    sizeof(w->rest))
		return fail(w, strerror(ENAMETOOLONG));
	if (target[0] == '/') {
		fd = open("/", OPEN_SEARCH | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			return fail(w, strerror(errno));
		step_to(w, fd);
	}
	return 0;
}

/* Whether we created it to give it away and were interrupted. */
static bool
unfinished(int fd, const struct directory_new *new)
{
	struct stat	sb;

	return fstat(fd, &sb) == 0 && (sb.st_mode & 0777) == UNFINISHED &&
	    (sb.st_uid == geteuid() || (new->give && sb.st_uid == new->uid));
}

/*
 * Enters a directory that was just created, or that an interrupted start left
 * unfinished. Only the last directory of a path is given away.
 */
static int
finish(struct walk *w, const char *name, bool made,
    const struct directory_new *new)
{
	bool		last = w->rest[0] == '\0';
	struct stat	sb;
	int		fd;

	fd = openat(w->at, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return fail_call(w, "open");
	/*
	 * Another start may have finished it and given it away: if it is no
	 * longer ours, treat it as an existing one.
	 */
	if ((made && fstat(fd, &sb) == 0 && sb.st_uid == geteuid()) ||
	    unfinished(fd, new)) {
		if (last && new->give && fchown(fd, new->uid, new->gid) == -1) {
			fail_call(w, "chown");
			goto fail;
		}
		/* Last, since its mode marks it as unfinished. */
		if (fchmod(fd, last ? new->mode : 0755) == -1) {
			fail_call(w, "chmod");
			goto fail;
		}
	}
	step_to(w, fd);
	return 0;
 fail:
	close(fd);
	return -1;
}

static int
make(struct walk *w, const char *name, const struct directory_new *new)
{
	mode_t	mode = w->rest[0] != '\0' ? 0755 : 0700;
	bool	made;

	if (w->rest[0] == '\0' && new->give)
		mode = UNFINISHED;
	made = mkdirat(w->at, name, mode) == 0;
	if (!made && errno != EEXIST)
		return fail_call(w, "mkdir");
	if (finish(w, name, made, new) == 0)
		return 0;
	/* An unfinished directory must not obstruct the next start. */
	if (made)
		unlinkat(w->at, name, AT_REMOVEDIR);
	return -1;
}

static int
step(struct walk *w, const char *name, const struct directory_new *new)
{
	struct stat	 sb;
	int		 fd, saved;

	fd = openat(w->at, name,
	    OPEN_SEARCH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1 && (new == NULL || w->rest[0] != '\0' ||
	    !unfinished(fd, new))) {
		step_to(w, fd);
		return 0;
	}
	if (fd != -1) {
		close(fd);
		return finish(w, name, false, new);
	}
	saved = errno;
	if (saved == ENOENT && new != NULL)
		return make(w, name, new);
	/* Systems return different errors for a link, so look at what it is. */
	if (fstatat(w->at, name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(sb.st_mode))
		return follow(w, name);
	errno = saved;
	return fail_call(w, "open");
}

int
directories_open(const char *path, const struct directory_new *new, char *why)
{
	struct walk	w = { .path = path, .why = why };
	char		name[COMPONENT_MAX], *p;
	size_t		len;
	int		fd;

	if (path[0] == '\0')
		return fail(&w, strerror(ENOENT));
	if (strlcpy(w.rest, path, sizeof(w.rest)) >= sizeof(w.rest))
		return fail(&w, strerror(ENAMETOOLONG));
	w.at = open(path[0] == '/' ? "/" : ".",
	    OPEN_SEARCH | O_DIRECTORY | O_CLOEXEC);
	if (w.at == -1)
		return fail(&w, strerror(errno));
	for (;;) {
		p = w.rest + strspn(w.rest, "/");
		if ((len = strcspn(p, "/")) == 0)
			break;
		/* The system rejects a name that is too long. */
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, p);
		p += len + strspn(p + len, "/");
		memmove(w.rest, p, strlen(p) + 1);
		if (step(&w, name, new) == -1) {
			close(w.at);
			return -1;
		}
	}
	/* Readable if permitted, and passed to a child. */
	fd = openat(w.at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1)
		step_to(&w, fd);
	return w.at;
}

int
directories_place(struct place *place, const char *path,
    const struct directory_new *new, char *why)
{
	const char	*base = strrchr(path, '/');
	char		 dir[PATH_MAX];
	size_t		 len;

	place->dir = -1;
	base = base == NULL ? path : base + 1;
	len = base - path;
	if (len >= sizeof(dir) || strlen(base) >= sizeof(place->name))
		return directories_fail(why, "%s: %s", path,
		    strerror(ENAMETOOLONG));
	if (base[0] == '\0' || strcmp(base, ".") == 0 ||
	    strcmp(base, "..") == 0)
		return directories_fail(why, "%s: names a directory", path);
	strlcpy(place->name, base, sizeof(place->name));
	memcpy(dir, path, len);
	dir[len] = '\0';
	place->dir = directories_open(len == 0 ? "." : dir, new, why);
	return place->dir == -1 ? -1 : 0;
}

void
directories_leave(struct place *place)
{
	if (place->dir != -1)
		close(place->dir);
	place->dir = -1;
}

bool
directories_holds(const struct place *place, dev_t dev, ino_t ino)
{
	struct stat	sb;

	return ino != 0 && fstatat(place->dir, place->name, &sb,
	    AT_SYMLINK_NOFOLLOW) == 0 && sb.st_dev == dev && sb.st_ino == ino;
}

int
directories_remove(const struct place *place, const struct stat *sb)
{
	struct stat	is;
	char		aside[40];
	int		dir = place->dir;

	directories_aside(aside, sizeof(aside));
	if (renameat(dir, place->name, dir, aside) == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstatat(dir, aside, &is, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (is.st_dev != sb->st_dev || is.st_ino != sb->st_ino) {
		/* Moves it back, unless another file is there now. */
		if (linkat(dir, aside, dir, place->name, 0) == 0 ||
		    errno == EEXIST)
			unlinkat(dir, aside, 0);
		else
			renameat(dir, aside, dir, place->name);
		errno = EEXIST;
		return -1;
	}
	if (unlinkat(dir, aside, S_ISDIR(is.st_mode) ? AT_REMOVEDIR : 0) == -1)
		log_warning("%s was in the way and is called %s now",
		    place->name, aside);
	return 0;
}

void
directories_aside(char *name, size_t size)
{
	snprintf(name, size, ".policyd-%08x%08x", arc4random(), arc4random());
}
