#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "parent/unixsocket.h"

static int
fail(const struct listener *l, char *why, const char *what)
{
	return directories_fail(why, "%s: %s", l->name, what);
}

static int
fail_call(const struct listener *l, char *why, const char *call)
{
	return directories_fault(why, l->name, call, errno);
}

static int
fail_in_use(const struct listener *l, char *why)
{
	fail(l, why, "another process listens there");
	errno = EADDRINUSE;
	return -1;
}

/*
 * Only FreeBSD has bindat(2), so the process changes into the directory and
 * back; it has one thread. If the old directory cannot be opened it returns to
 * "/".
 */
static int
in_directory(int dir, int (*call)(int, const struct sockaddr *, socklen_t),
    int fd, const char *name)
{
	struct sockaddr_un	sun;
	int			back, result, saved;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, name, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fchdir(dir) == -1) {
		saved = errno;
		result = -1;
	} else {
		result = call(fd, (const struct sockaddr *)&sun, sizeof(sun));
		saved = errno;
		if ((back == -1 || fchdir(back) == -1) && chdir("/") == -1)
			log_fatal("chdir: %s", strerror(errno));
	}
	if (back != -1)
		close(back);
	errno = saved;
	return result;
}

/*
 * 0 if no process listens at the socket, or for root only one of a user who
 * cannot be the daemon; -1 with `why` if a daemon may listen there.
 */
static int
check_dead(const struct listener *l, uid_t daemon, const struct stat *sb,
    char *why)
{
	uid_t	uid = sb->st_uid;
	gid_t	gid;
	int	fd, error;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(l, why, strerror(errno));
	error = in_directory(l->place.dir, connect, fd, l->place.name) == -1 ?
	    errno : 0;
	if (error == 0 && getpeereid(fd, &uid, &gid) == -1)
		uid = 0;
	close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	/* Without root we cannot tell which other users are strangers. */
	if (geteuid() == 0 && uid != 0 && uid != daemon)
		return 0;
	/*
	 * A full queue means that it is alive; if that cannot be told, the
	 * socket stays.
	 */
	if (error == 0 || error == EAGAIN || error == EINPROGRESS)
		return fail_in_use(l, why);
	return fail(l, why, strerror(error));
}

/*
 * Removes what has the name, unless it is a socket at which a daemon answers,
 * or another file that an administrator may have made. Without root that is any
 * file, and for root a file of root: a child that has been taken over can make
 * files of the daemon's user.
 */
static int
make_free(const struct listener *l, uid_t daemon, char *why)
{
	struct stat	sb;

	if (fstatat(l->place.dir, l->place.name, &sb,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : fail(l, why, strerror(errno));
	if (S_ISSOCK(sb.st_mode)) {
		if (check_dead(l, daemon, &sb, why) == -1)
			return -1;
	} else if (geteuid() != 0 || sb.st_uid == 0)
		return fail(l, why, "exists and is not a socket");
	if (directories_remove(&l->place, &sb) == 0)
		return 0;
	/* Another start has been faster. */
	return errno == EEXIST ? fail_in_use(l, why) :
	    fail_call(l, why, "rename");
}

/*
 * Moves it from our directory to its name; replaces an old socket only if that
 * is ours.
 */
static int
put_in_place(const struct listener *l, const struct listener *old, int dir)
{
	const char	*name = l->place.name;

	if (old == NULL || !directories_holds(&l->place, old->dev, old->ino)) {
		if (linkat(dir, name, l->place.dir, name, 0) == 0)
			return unlinkat(dir, name, 0);
		if (errno == EEXIST) {
			errno = EADDRINUSE;
			return -1;
		}
		/* Some file systems have no hard links. */
	}
	return renameat(dir, name, l->place.dir, name);
}

/* Makes and opens the directory of our own, whose name is written to `name`. */
static int
open_aside(const struct listener *l, char *name, size_t size, char *why)
{
	struct stat	sb;
	int		dir;

	directories_aside(name, size);
	if (mkdirat(l->place.dir, name, 0700) == -1)
		return fail_call(l, why, "mkdir");
	dir = openat(l->place.dir, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1 || fstat(dir, &sb) == -1)
		fail(l, why, strerror(errno));
	else if (sb.st_uid != geteuid() || (sb.st_mode & 077) != 0)
		fail(l, why, "its directory was changed meanwhile");
	else
		return dir;
	if (dir != -1)
		close(dir);
	unlinkat(l->place.dir, name, AT_REMOVEDIR);
	return -1;
}

static void
close_aside(const struct listener *l, const char *name, int dir)
{
	close(dir);
	unlinkat(l->place.dir, name, AT_REMOVEDIR);
}

static int
bind_here(struct listener *l, const struct listener *old, int dir, char *why)
{
	const char	*name = l->place.name;
	struct stat	 sb;
	mode_t		 mask;
	int		 result, saved;

	mask = umask(~l->mode & 0777);
	result = in_directory(dir, bind, l->fd, name);
	umask(mask);
	if (result == -1)
		return fail_call(l, why, "bind");
	if ((l->uid != (uid_t)-1 || l->gid != (gid_t)-1) &&
	    fchownat(dir, name, l->uid, l->gid, AT_SYMLINK_NOFOLLOW) == -1) {
		if (geteuid() == 0)
			return fail_call(l, why, "chown");
		log_warning("%s: its owner stays as it is: %s", l->name,
		    strerror(errno));
	}
	if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) == -1 ||
	    listen(l->fd, SOMAXCONN) == -1 ||
	    put_in_place(l, old, dir) == -1) {
		saved = errno;
		fail_call(l, why, "link");
		unlinkat(dir, name, 0);
		errno = saved;
		return -1;
	}
	l->dev = sb.st_dev;
	l->ino = sb.st_ino;
	return 0;
}

int
unixsocket_open(struct listener *l, const struct listener *old, uid_t daemon,
    char *why)
{
	char	aside[40];
	int	dir, result = -1, saved;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1)
		return fail(l, why, strerror(errno));
	errno = 0;
	if (((old != NULL && directories_holds(&l->place, old->dev,
	    old->ino)) || make_free(l, daemon, why) == 0) &&
	    (dir = open_aside(l, aside, sizeof(aside), why)) != -1) {
		result = bind_here(l, old, dir, why);
		saved = errno;
		close_aside(l, aside, dir);
		errno = saved;
	}
	if (result == 0)
		return 0;
	saved = errno;
	close(l->fd);
	l->fd = -1;
	errno = saved;
	return -1;
}

int
unixsocket_change(struct listener *l, char *why)
{
	const char	*name = l->place.name;
	struct stat	 sb;
	char		 aside[40];
	int		 dir, result = 0;

	/* Through a link that no other user can replace. */
	if ((dir = open_aside(l, aside, sizeof(aside), why)) == -1)
		return -1;
	if (linkat(l->place.dir, name, dir, name, 0) == -1)
		result = fail_call(l, why, "link");
	else if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) == -1 ||
	    sb.st_dev != l->dev || sb.st_ino != l->ino)
		result = fail(l, why, "another file is there");
	else if (fchownat(dir, name, l->uid != (uid_t)-1 ? l->uid : geteuid(),
	    l->gid != (gid_t)-1 ? l->gid : getegid(),
	    AT_SYMLINK_NOFOLLOW) == -1)
		result = fail_call(l, why, "chown");
	else if (fchmodat(dir, name, l->mode, 0) == -1)
		result = fail_call(l, why, "chmod");
	unlinkat(dir, name, 0);
	close_aside(l, aside, dir);
	return result;
}

void
unixsocket_remove(const struct listener *l)
{
	if (l->place.dir != -1 && directories_holds(&l->place, l->dev, l->ino))
		unlinkat(l->place.dir, l->place.name, 0);
}
