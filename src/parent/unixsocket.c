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
fail(const struct unixsocket *u, char *why, const char *what)
{
	snprintf(why, WHY_MAX, "%s: %s", u->path, what);
	return -1;
}

/* The name alone: the process stands in the directory when it is used. */
static int
address(struct sockaddr_un *sun, const char *name)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlcpy(sun->sun_path, name, sizeof(sun->sun_path)) >=
	    sizeof(sun->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/*
 * There is no bindat(2) but on FreeBSD: step into the directory and back. The
 * process has one thread. Where we came from may be a directory that we cannot
 * open; then "/".
 */
static int
in_directory(int dir, int (*call)(int, const struct sockaddr *, socklen_t),
    int fd, const struct sockaddr_un *sun)
{
	int	back, result, saved;

	back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fchdir(dir) == -1) {
		saved = errno;
		result = -1;
	} else {
		result = call(fd, (const struct sockaddr *)sun, sizeof(*sun));
		saved = errno;
		if ((back == -1 || fchdir(back) == -1) && chdir("/") == -1)
			log_fatal("chdir: %s", strerror(errno));
	}
	if (back != -1)
		close(back);
	errno = saved;
	return result;
}

/* Whether the name is free, or a socket at which nobody answers. */
static int
check_free(const struct unixsocket *u, char *why)
{
	struct sockaddr_un	sun;
	struct stat		sb;
	int			fd, error;

	if (fstatat(u->place.dir, u->place.name, &sb,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : fail(u, why, strerror(errno));
	if (u->ino != 0 && sb.st_dev == u->dev && sb.st_ino == u->ino)
		return 0;
	if (!S_ISSOCK(sb.st_mode))
		return fail(u, why, "is there and is no socket");
	if (address(&sun, u->place.name) == -1)
		return fail(u, why, strerror(errno));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(u, why, strerror(errno));
	error = in_directory(u->place.dir, connect, fd, &sun) == -1 ? errno : 0;
	close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	/*
	 * A full queue is a sign of life too; what cannot be told is left
	 * alone.
	 */
	if (error == 0 || error == EAGAIN || error == EINPROGRESS) {
		fail(u, why, "another process listens there");
		errno = EADDRINUSE;
		return -1;
	}
	return fail(u, why, strerror(error));
}

static int
bind_here(struct unixsocket *u, int dir, int fd, char *why)
{
	struct sockaddr_un	sun;
	struct stat		sb;
	mode_t			mask;
	int			result;

	if (address(&sun, u->place.name) == -1)
		return fail(u, why, strerror(errno));
	mask = umask(~u->mode & 0777);
	result = in_directory(dir, bind, fd, &sun);
	umask(mask);
	if (result == -1)
		return fail(u, why, strerror(errno));
	if ((u->uid != (uid_t)-1 || u->gid != (gid_t)-1) &&
	    fchownat(dir, u->place.name, u->uid, u->gid,
	    AT_SYMLINK_NOFOLLOW) == -1) {
		if (geteuid() == 0)
			return fail(u, why, strerror(errno));
		log_warning("%s: its owner stays as it is: %s", u->path,
		    strerror(errno));
	}
	if (fstatat(dir, u->place.name, &sb, AT_SYMLINK_NOFOLLOW) == -1 ||
	    listen(fd, SOMAXCONN) == -1 ||
	    renameat(dir, u->place.name, u->place.dir, u->place.name) == -1) {
		fail(u, why, strerror(errno));
		unlinkat(dir, u->place.name, 0);
		return -1;
	}
	u->dev = sb.st_dev;
	u->ino = sb.st_ino;
	return 0;
}

/* Makes the directory of our own, binds in it, removes it. */
static int
bind_aside(struct unixsocket *u, int fd, char *why)
{
	struct stat	sb;
	char		name[40];
	int		dir, result;

	snprintf(name, sizeof(name), ".policyd-%08x%08x", arc4random(),
	    arc4random());
	if (mkdirat(u->place.dir, name, 0700) == -1)
		return fail(u, why, strerror(errno));
	dir = openat(u->place.dir, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1 || fstat(dir, &sb) == -1)
		result = fail(u, why, strerror(errno));
	else if (sb.st_uid != geteuid() || (sb.st_mode & 077) != 0)
		result = fail(u, why, "its directory was changed meanwhile");
	else
		result = bind_here(u, dir, fd, why);
	if (dir != -1)
		close(dir);
	unlinkat(u->place.dir, name, AT_REMOVEDIR);
	return result;
}

int
unixsocket_open(struct unixsocket *u, char *why)
{
	int	fd, result, saved;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(u, why, strerror(errno));
	directories_lock(u->place.dir);
	errno = 0;
	result = check_free(u, why);
	if (result == 0)
		result = bind_aside(u, fd, why);
	saved = errno;
	directories_unlock(u->place.dir);
	if (result == 0)
		return fd;
	close(fd);
	errno = saved;
	return -1;
}

void
unixsocket_remove(const struct unixsocket *u)
{
	struct stat	sb;

	if (u->place.dir == -1 || u->ino == 0)
		return;
	directories_lock(u->place.dir);
	if (fstatat(u->place.dir, u->place.name, &sb,
	    AT_SYMLINK_NOFOLLOW) == 0 &&
	    sb.st_dev == u->dev && sb.st_ino == u->ino)
		unlinkat(u->place.dir, u->place.name, 0);
	directories_unlock(u->place.dir);
}
