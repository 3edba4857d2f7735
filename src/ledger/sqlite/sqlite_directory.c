#include <sys/types.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ledger/sqlite/sqlite_directory.h"

#define UNLOCK_TRIES	3

static int	base = -1;

/* SQLite calls these functions with its own types; its off_t has 64 bits. */
_Static_assert(sizeof(off_t) == 8, "off_t must have 64 bits, as in SQLite");

static int
inside_open(const char *name, int flags, int mode)
{
	return openat(base, name, flags | O_NOFOLLOW, mode);
}

static int
inside_access(const char *name, int mode)
{
	return faccessat(base, name, mode, 0);
}

static int
inside_stat(const char *name, struct stat *sb)
{
	return fstatat(base, name, sb, 0);
}

static int
inside_unlink(const char *name)
{
	return unlinkat(base, name, 0);
}

/*
 * After a complete checkpoint SQLite truncates the file to the size it has
 * already. That has no effect but to make the following sync slow, and charges
 * wait for it.
 */
static int
inside_truncate(int fd, off_t size)
{
	struct stat	sb;

	if (fstat(fd, &sb) == 0 && sb.st_size == size)
		return 0;
	return ftruncate(fd, size);
}

/*
 * SQLite ignores a failure to release a lock of the write-ahead log. This
 * process then holds the lock, and SQLite takes it for another's: try again.
 */
static int
inside_fcntl(int fd, int command, ...)
{
	struct flock	*lock;
	va_list		 ap;
	int		 tries, number, result;

	va_start(ap, command);
	if (command != F_SETLK && command != F_SETLKW &&
	    command != F_GETLK) {
		number = va_arg(ap, int);
		va_end(ap);
		return fcntl(fd, command, number);
	}
	lock = va_arg(ap, struct flock *);
	va_end(ap);
	result = fcntl(fd, command, lock);
	for (tries = 0; result == -1 && command == F_SETLK &&
	    lock->l_type == F_UNLCK && tries < UNLOCK_TRIES; tries++)
		result = fcntl(fd, command, lock);
	return result;
}

/*
 * Names are relative to the directory, such as "./db.sqlite3". A link to
 * another name in the directory is replaced by that name, as SQLite does, so
 * that the log is beside the file that the link names.
 */
static int
inside_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	char	target[256];
	ssize_t	len;
	int	n;

	(void)vfs;
	len = readlinkat(base, name, target, sizeof(target));
	if (len <= 0 || (size_t)len == sizeof(target) ||
	    memchr(target, '/', (size_t)len) != NULL)
		n = snprintf(out, (size_t)size, "%s", name);
	else
		n = snprintf(out, (size_t)size, "./%.*s", (int)len, target);
	return n >= 0 && n < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

int
sqlite_directory_use(int directory)
{
	static const struct {
		const char		*name;
		sqlite3_syscall_ptr	 call;
	} calls[] = {
		{ "open",	(sqlite3_syscall_ptr)inside_open },
		{ "access",	(sqlite3_syscall_ptr)inside_access },
		{ "stat",	(sqlite3_syscall_ptr)inside_stat },
		{ "fcntl",	(sqlite3_syscall_ptr)inside_fcntl },
		{ "unlink",	(sqlite3_syscall_ptr)inside_unlink },
		{ "ftruncate",	(sqlite3_syscall_ptr)inside_truncate }
	};
	sqlite3_vfs	*vfs;
	size_t		 i;

	if ((vfs = sqlite3_vfs_find("unix")) == NULL || vfs->iVersion < 3)
		return -1;
	base = directory;
	vfs->xFullPathname = inside_name;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) !=
		    SQLITE_OK)
			return -1;
	return 0;
}
