#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/pidlock.h"

/* A new file, locked before anybody opens it: the directory is locked. */
static int
create(const struct place *place)
{
	int	fd, saved;

	fd = openat(place->dir, place->name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* What is there already, opened and locked, or made. -1 with errno. */
static int
take(const struct place *place)
{
	struct stat	sb;
	int		fd, saved;

	/* O_NONBLOCK: it may be a FIFO that somebody left for us to wait at. */
	fd = openat(place->dir, place->name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? create(place) : -1;
	if (fstat(fd, &sb) == -1)
		goto fail;
	if (!S_ISREG(sb.st_mode)) {
		errno = EEXIST;
		goto fail;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		goto fail;
	return fd;
 fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

enum pidlock_result
pidlock_open(struct pidlock *pidfile, const char *path,
    const struct directory_new *new, char *why)
{
	int	saved;

	pidfile->fd = -1;
	pidfile->written = false;
	if (directories_place(&pidfile->place, path, new, why) == -1)
		return PIDLOCK_FAILED;
	directories_lock(pidfile->place.dir);
	pidfile->fd = take(&pidfile->place);
	saved = errno;
	directories_unlock(pidfile->place.dir);
	if (pidfile->fd != -1)
		return PIDLOCK_OURS;
	directories_leave(&pidfile->place);
	snprintf(why, WHY_MAX, "%s: %s", path,
	    saved == EWOULDBLOCK ? "another instance holds its lock" :
	    saved == EEXIST ? "is there and is no regular file" :
	    strerror(saved));
	return saved == EWOULDBLOCK ? PIDLOCK_RUNNING : PIDLOCK_FAILED;
}

int
pidlock_write(struct pidlock *pidfile, char *why)
{
	const struct place	*place = &pidfile->place;
	int			 fd, saved;

	directories_lock(place->dir);
	if (unlinkat(place->dir, place->name, 0) == -1 && errno != ENOENT)
		fd = -1;
	else
		fd = create(place);
	saved = errno;
	directories_unlock(place->dir);
	if (fd == -1) {
		errno = saved;
		goto fail;
	}
	close(pidfile->fd);
	pidfile->fd = fd;
	pidfile->written = true;
	if (dprintf(fd, "%ld\n", (long)getpid()) < 0)
		goto fail;
	return 0;
 fail:
	snprintf(why, WHY_MAX, "%s: %s", place->name, strerror(errno));
	return -1;
}

void
pidlock_close(struct pidlock *pidfile)
{
	struct stat	here, ours;

	if (pidfile->fd == -1)
		return;
	directories_lock(pidfile->place.dir);
	if (fstat(pidfile->fd, &ours) == 0 &&
	    (pidfile->written || ours.st_size == 0) &&
	    fstatat(pidfile->place.dir, pidfile->place.name, &here,
	    AT_SYMLINK_NOFOLLOW) == 0 &&
	    here.st_dev == ours.st_dev && here.st_ino == ours.st_ino)
		unlinkat(pidfile->place.dir, pidfile->place.name, 0);
	directories_unlock(pidfile->place.dir);
	close(pidfile->fd);
	pidfile->fd = -1;
	directories_leave(&pidfile->place);
}
