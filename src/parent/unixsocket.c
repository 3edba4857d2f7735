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

static int
fail_call(const struct unixsocket *u, char *why, const char *call)
{
	directories_fault(why, u->path, call, errno);
	return -1;
}

/* Sets only the name, since the process is in the directory when it is used. */
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
 * Only FreeBSD has bindat(2), so the process changes into the directory and
 * back; it has one thread. If the old directory cannot be opened it returns to
 * "/".
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

/* Whether the user may be a running daemon's. */
static bool
is_daemon(const struct unixsocket *u, uid_t uid)
{
	/* Without root we cannot tell which other users are strangers. */
	return geteuid() != 0 || uid == 0 || uid == u->daemon;
}

/* Whether a socket answers and its listener may be a daemon. */
static int
check_dead(const struct unixsocket *u, const struct stat *sb, char *why)
{
	struct sockaddr_un	sun;
	uid_t			uid = sb->st_uid;
	gid_t			gid;
	int			fd, error;

	if (address(&sun, u->place.name) == -1)
		return fail(u, why, strerror(errno));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(u, why, strerror(errno));
	error = in_directory(u->place.dir, connect, fd, &sun) == -1 ? errno : 0;
	if (error == 0 && getpeereid(fd, &uid, &gid) == -1)
		uid = 0;
	close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	/*
	 * A full queue means that it is alive; if that cannot be told, the
	 * socket stays.
	 */
	if (!is_daemon(u, uid))
		return 0;
	if (error == 0 || error == EAGAIN || error == EINPROGRESS) {
		fail(u, why, "another process listens there");
		errno = EADDRINUSE;
		return -1;
	}
	return fail(u, why, strerror(error));
}

/*
 * Frees the name, unless a daemon answers there, or the file is not a socket
 * and may be an administrator's: root's, or without root anybody's. A child
 * that has been taken over can make files of the daemon's user, so root
 * replaces those.
 */
static int
make_free(const struct unixsocket *u, char *why)
{
	struct stat	sb;

	if (fstatat(u->place.dir, u->place.name, &sb,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : fail(u, why, strerror(errno));
	if (S_ISSOCK(sb.st_mode)) {
		if (check_dead(u, &sb, why) == -1)
			return -1;
	} else if (geteuid() != 0 || sb.st_uid == 0)
		return fail(u, why, "exists and is not a socket");
	if (directories_remove(&u->place, &sb) == 0)
		return 0;
	/* Another start has been faster. */
	if (errno == EEXIST) {
		fail(u, why, "another process listens there");
		errno = EADDRINUSE;
		return -1;
	}
	return fail_call(u, why, "rename");
}

static bool
is_ours(const struct unixsocket *u)
{
	struct stat	sb;

	return u->ino != 0 && fstatat(u->place.dir, u->place.name, &sb,
	    AT_SYMLINK_NOFOLLOW) == 0 && sb.st_dev == u->dev &&
	    sb.st_ino == u->ino;
}

/*
 * Moves it from our directory to its name; replaces an old socket only if that
 * is ours.
 */
static int
put_in_place(const struct unixsocket *u, int dir)
{
	const char	*name = u->place.name;

	if (is_ours(u))
		return renameat(dir, name, u->place.dir, name);
	if (linkat(dir, name, u->place.dir, name, 0) == 0)
		return unlinkat(dir, name, 0);
	if (errno == EEXIST) {
		errno = EADDRINUSE;
		return -1;
	}
	/* Some file systems have no hard links. */
	return renameat(dir, name, u->place.dir, name);
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
		return fail_call(u, why, "bind");
	if ((u->uid != (uid_t)-1 || u->gid != (gid_t)-1) &&
	    fchownat(dir, u->place.name, u->uid, u->gid,
	    AT_SYMLINK_NOFOLLOW) == -1) {
		if (geteuid() == 0)
			return fail_call(u, why, "chown");
		log_warning("%s: its owner stays as it is: %s", u->path,
		    strerror(errno));
	}
	if (fstatat(dir, u->place.name, &sb, AT_SYMLINK_NOFOLLOW) == -1 ||
	    listen(fd, SOMAXCONN) == -1 ||
	    put_in_place(u, dir) == -1) {
		fail_call(u, why, "link");
		unlinkat(dir, u->place.name, 0);
		return -1;
	}
	u->dev = sb.st_dev;
	u->ino = sb.st_ino;
	return 0;
}

/* Through a link to it where nobody can put another file in its place. */
static int
change_here(struct unixsocket *u, int dir, int fd, char *why)
{
	const char	*name = u->place.name;
	struct stat	 sb;
	int		 result = 0;

	(void)fd;
	if (linkat(u->place.dir, name, dir, name, 0) == -1)
		return fail_call(u, why, "link");
	if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) == -1 ||
	    sb.st_dev != u->dev || sb.st_ino != u->ino)
		result = fail(u, why, "another file is there");
	else if (fchownat(dir, name, u->uid != (uid_t)-1 ? u->uid : geteuid(),
	    u->gid != (gid_t)-1 ? u->gid : getegid(),
	    AT_SYMLINK_NOFOLLOW) == -1)
		result = fail_call(u, why, "chown");
	else if (fchmodat(dir, name, u->mode, 0) == -1)
		result = fail_call(u, why, "chmod");
	unlinkat(dir, name, 0);
	return result;
}

/* Makes the directory of our own, calls, removes it. */
static int
aside(struct unixsocket *u, int (*call)(struct unixsocket *, int dir, int fd,
    char *why), int fd, char *why)
{
	struct stat	sb;
	char		name[40];
	int		dir, result;

	directories_aside(name, sizeof(name));
	if (mkdirat(u->place.dir, name, 0700) == -1)
		return fail_call(u, why, "mkdir");
	dir = openat(u->place.dir, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1 || fstat(dir, &sb) == -1)
		result = fail(u, why, strerror(errno));
	else if (sb.st_uid != geteuid() || (sb.st_mode & 077) != 0)
		result = fail(u, why, "its directory was changed meanwhile");
	else
		result = call(u, dir, fd, why);
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
	errno = 0;
	result = is_ours(u) ? 0 : make_free(u, why);
	if (result == 0)
		result = aside(u, bind_here, fd, why);
	saved = errno;
	if (result == 0)
		return fd;
	close(fd);
	errno = saved;
	return -1;
}

int
unixsocket_change(struct unixsocket *u, char *why)
{
	return aside(u, change_here, -1, why);
}

void
unixsocket_remove(const struct unixsocket *u)
{
	if (u->place.dir != -1 && is_ours(u))
		unlinkat(u->place.dir, u->place.name, 0);
}
