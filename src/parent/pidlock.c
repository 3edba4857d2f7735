#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/pidlock.h"

/*
 * Locks are those of fcntl(2), which need a writable descriptor. They belong to
 * the process and end when it closes any descriptor of the file, so the file
 * must not be opened a second time while its lock is held.
 */
#define TRIES	100	/* while other starts replace the file */
#define MODE	0644

static int
lock(int fd, int command, short type, struct flock *lock)
{
	memset(lock, 0, sizeof(*lock));
	lock->l_type = type;
	lock->l_whence = SEEK_SET;
	return fcntl(fd, command, lock);
}

static void
close_quietly(int fd)
{
	int	saved = errno;

	close(fd);
	errno = saved;
}

/*
 * Whether an instance may have created it: its owner is root, us, or the
 * daemon's user.
 */
static bool
is_instance(const struct stat *sb, const struct directory_new *new)
{
	return S_ISREG(sb->st_mode) && (sb->st_uid == 0 ||
	    sb->st_uid == geteuid() || (new->give && sb->st_uid == new->uid));
}

/*
 * Takes over the existing file: a locked descriptor, or -1 with errno. EBUSY:
 * an instance runs. EAGAIN: the file was removed, try again.
 */
static int
take_old(const struct place *place, const struct directory_new *new,
    const struct stat *sb)
{
	/* Non-blocking, since it may be a FIFO by now. */
	const int	flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct flock	held;
	struct stat	ours;
	int		fd = -1;

	if (is_instance(sb, new) && (fd = openat(place->dir, place->name,
	    O_RDWR | flags)) == -1)
		fd = openat(place->dir, place->name, O_RDONLY | flags);
	if (fd != -1) {
		if (fstat(fd, &ours) == -1 || !is_instance(&ours, new) ||
		    ours.st_dev != sb->st_dev || ours.st_ino != sb->st_ino)
			goto again;
		/*
		 * A read lock does not count: everybody who can read the file
		 * may take one.
		 */
		if (lock(fd, F_GETLK, F_RDLCK, &held) == 0 &&
		    held.l_type == F_WRLCK) {
			errno = EBUSY;
			goto fail;
		}
		if (lock(fd, F_SETLK, F_WRLCK, &held) == 0) {
			if (directories_holds(place, sb->st_dev, sb->st_ino))
				return fd;
			goto again;
		}
	}
	/*
	 * The file of no instance, or one on which somebody holds a read lock.
	 */
	if (directories_remove(place, sb) == -1 && errno != EEXIST)
		goto fail;
 again:
	errno = EAGAIN;
 fail:
	if (fd != -1)
		close_quietly(fd);
	return -1;
}

/*
 * Creates a new, empty, locked file; -1 with errno, EAGAIN if another start was
 * faster.
 */
static int
create(const struct place *place, const char *name)
{
	struct flock	held;
	struct stat	sb;
	struct place	made = { .dir = place->dir };
	int		fd;

	strlcpy(made.name, name, sizeof(made.name));
	fd = openat(place->dir, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
	if (fd == -1) {
		if (errno == EEXIST)
			errno = EAGAIN;
		return -1;
	}
	if (lock(fd, F_SETLK, F_WRLCK, &held) == 0 && fstat(fd, &sb) == 0 &&
	    directories_holds(&made, sb.st_dev, sb.st_ino))
		return fd;
	close(fd);
	errno = EAGAIN;
	return -1;
}

static int
take(const struct place *place, const struct directory_new *new)
{
	struct stat	sb;
	int		fd = -1, tries;

	for (tries = 0; fd == -1 && tries < TRIES; tries++) {
		if (fstatat(place->dir, place->name, &sb,
		    AT_SYMLINK_NOFOLLOW) == 0)
			fd = take_old(place, new, &sb);
		else if (errno == ENOENT)
			fd = create(place, place->name);
		else
			return -1;
		if (fd == -1 && errno != EAGAIN)
			return -1;
	}
	return fd;
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
	pidfile->fd = take(&pidfile->place, new);
	if (pidfile->fd != -1)
		return PIDLOCK_OURS;
	saved = errno;
	directories_leave(&pidfile->place);
	if (saved == EBUSY)
		snprintf(why, WHY_MAX, "%s: another instance holds its lock",
		    path);
	else
		directories_fault(why, path, "open", saved);
	return saved == EBUSY ? PIDLOCK_RUNNING : PIDLOCK_FAILED;
}

int
pidlock_write(struct pidlock *pidfile, char *why)
{
	const struct place	*place = &pidfile->place;
	char			 name[40];
	int			 fd;

	directories_aside(name, sizeof(name));
	if ((fd = create(place, name)) == -1)
		goto fail;
	/*
	 * An instance that has opened the old file finds it unlocked and
	 * removed.
	 */
	if (dprintf(fd, "%ld\n", (long)getpid()) < 0 ||
	    renameat(place->dir, name, place->dir, place->name) == -1) {
		unlinkat(place->dir, name, 0);
		close_quietly(fd);
		goto fail;
	}
	close(pidfile->fd);
	pidfile->fd = fd;
	pidfile->written = true;
	return 0;
 fail:
	return directories_fault(why, place->name, "open", errno);
}

void
pidlock_close(struct pidlock *pidfile)
{
	struct stat	ours;

	if (pidfile->fd == -1)
		return;
	if (fstat(pidfile->fd, &ours) == 0 &&
	    (pidfile->written || ours.st_size == 0) &&
	    directories_holds(&pidfile->place, ours.st_dev, ours.st_ino))
		unlinkat(pidfile->place.dir, pidfile->place.name, 0);
	close(pidfile->fd);
	pidfile->fd = -1;
	directories_leave(&pidfile->place);
}
