#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "sandbox/landlock.h"

/*
 * libc has no wrappers, and a distribution's kernel headers may be older than
 * the running kernel, so the numbers and structures of the ABI are defined
 * here.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_add_rule		445
#define SYS_landlock_restrict_self	446
#endif

#define CREATE_RULESET_VERSION	(1U << 0)
#define RULE_PATH_BENEATH	1

enum {
	FS_EXECUTE	= 1 << 0,
	FS_WRITE_FILE	= 1 << 1,
	FS_READ_FILE	= 1 << 2,
	FS_READ_DIR	= 1 << 3,
	FS_REMOVE_DIR	= 1 << 4,
	FS_REMOVE_FILE	= 1 << 5,
	FS_MAKE_CHAR	= 1 << 6,
	FS_MAKE_DIR	= 1 << 7,
	FS_MAKE_REG	= 1 << 8,
	FS_MAKE_SOCK	= 1 << 9,
	FS_MAKE_FIFO	= 1 << 10,
	FS_MAKE_BLOCK	= 1 << 11,
	FS_MAKE_SYM	= 1 << 12,
	FS_REFER	= 1 << 13,
	FS_TRUNCATE	= 1 << 14,
	FS_IOCTL_DEV	= 1 << 15
};

#define FS_OF_ABI_1	((uint64_t)FS_REFER - 1)

enum {
	NET_BIND_TCP	= 1 << 0,
	NET_CONNECT_TCP	= 1 << 1
};

enum {
	SCOPE_ABSTRACT_UNIX	= 1 << 0,
	SCOPE_SIGNAL		= 1 << 1
};

struct ruleset {
	uint64_t	fs;
	uint64_t	net;		/* since ABI 4 */
	uint64_t	scoped;		/* since ABI 6 */
};

struct path_beneath {
	uint64_t	allowed;
	int32_t		fd;
} __attribute__((__packed__));

/* The rights that each ABI added; ABI 7 only changed the audit of denials. */
static const struct {
	int		abi;
	struct ruleset	added;
} additions[] = {
	{ 1, { .fs = FS_OF_ABI_1 } },
	{ 2, { .fs = FS_REFER } },
	{ 3, { .fs = FS_TRUNCATE } },
	{ 4, { .net = NET_BIND_TCP | NET_CONNECT_TCP } },
	{ 5, { .fs = FS_IOCTL_DEV } },
	{ 6, { .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL } }
};

int
landlock_abi(void)
{
	long	abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
	    CREATE_RULESET_VERSION);
	if (abi > 0)
		return abi > 1000 ? 1000 : (int)abi;
	if (abi == 0)
		errno = ENOSYS;
	return 0;
}

/* A rule must not name rights that the kernel does not know. */
static int
allow(int ruleset, const struct ruleset *handled, int fd, uint64_t rights)
{
	struct path_beneath	rule;

	rule.allowed = rights & handled->fs;
	rule.fd = fd;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule,
	    0) == 0 ? 0 : -1;
}

/* All rights of the ABI. */
static struct ruleset
known(int abi)
{
	struct ruleset	handled = { 0, 0, 0 };
	size_t		i;

	for (i = 0; i < sizeof(additions) / sizeof(additions[0]); i++) {
		if (additions[i].abi > abi)
			continue;
		handled.fs |= additions[i].added.fs;
		handled.net |= additions[i].added.net;
		handled.scoped |= additions[i].added.scoped;
	}
	return handled;
}

/* As landlock_enter, with these rights denied. */
static int
enter(const struct ruleset *handled, int directory, bool eased)
{
	int	fd, root = -1, result = -1, saved;

	/*
	 * An older kernel accepts the longer structure if the members it lacks
	 * are zero.
	 */
	fd = (int)syscall(SYS_landlock_create_ruleset, handled,
	    sizeof(*handled), 0);
	if (fd == -1)
		return -1;
	/*
	 * SQLite opens the directory itself, to sync the creation of its
	 * journal.
	 */
	if (directory != -1 && allow(fd, handled, directory, FS_READ_FILE |
	    FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG |
	    FS_REMOVE_FILE) == -1)
		goto out;
	if (eased && ((root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) ==
	    -1 || allow(fd, handled, root, FS_EXECUTE | FS_READ_FILE |
	    FS_READ_DIR) == -1))
		goto out;
	if (syscall(SYS_landlock_restrict_self, fd, 0) == 0)
		result = 0;
 out:
	saved = errno;
	close(fd);
	if (root != -1)
		close(root);
	errno = saved;
	return result;
}

int
landlock_enter_connecting(int abi)
{
	struct ruleset	handled = known(abi);

	handled.fs &= ~(uint64_t)(FS_READ_FILE | FS_READ_DIR | FS_IOCTL_DEV);
	handled.net &= NET_BIND_TCP;
	handled.scoped &= SCOPE_SIGNAL;
	return enter(&handled, -1, false);
}

int
landlock_enter(int abi, int directory, bool eased)
{
	const struct ruleset	handled = known(abi);

	return enter(&handled, directory, eased);
}
