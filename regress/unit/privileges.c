#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sandbox/privileges.h"

#define UID	54321
#define GID	54322

static char	directory[] = "/tmp/privileges-XXXXXXXX";

static struct msg_identity
somebody(void)
{
	struct msg_identity	identity;

	memset(&identity, 0, sizeof(identity));
	identity.drop = true;
	identity.uid = UID;
	identity.gid = GID;
	identity.ngroups = 2;
	identity.groups[0] = GID;
	identity.groups[1] = GID + 1;
	strlcpy(identity.jail, directory, sizeof(identity.jail));
	return identity;
}

/*
 * Ids cannot be had back, so each case is a process: true is what it returns.
 */
static void
check(bool (*body)(void))
{
	pid_t	pid;
	int	status;

	assert_true((pid = fork()) != -1);
	if (pid == 0)
		_exit(body() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
dropped(const char *inside)
{
	gid_t	groups[8];
	int	n = getgroups(8, groups), i;
	bool	second = false;

	for (i = 0; i < n; i++) {
		if (groups[i] != GID && groups[i] != GID + 1)
			return false;
		second = second || groups[i] == GID + 1;
	}
	return second && getuid() == UID && geteuid() == UID &&
	    getgid() == GID && getegid() == GID &&
	    seteuid(0) == -1 && setegid(0) == -1 &&
	    setgroups(0, NULL) == -1 && access(inside, F_OK) == 0 &&
	    access("/etc/passwd", F_OK) == -1 && access("../etc", F_OK) == -1;
}

static bool
drop_at_once(void)
{
	struct msg_identity	identity = somebody();

	return privileges_drop(&identity, -1) == 0 && dropped("/mark");
}

/* Root does not come back, though the way into the jail is still open. */
static bool
ids_then_jail(void)
{
	struct msg_identity	identity = somebody();
	bool			jailed = false;

	if (privileges_drop_ids(&identity) == -1 || getuid() != UID ||
	    geteuid() != UID || getgid() != GID || seteuid(0) != -1 ||
	    setgroups(0, NULL) != -1 || open("/etc/shadow", O_RDONLY) != -1 ||
	    access("/etc/passwd", F_OK) == -1 ||
	    privileges_jail(&identity, &jailed) == -1)
		return false;
#ifdef __linux__
	return jailed && dropped("/mark") && chroot(".") == -1;
#else
	return !jailed;
#endif
}

/* The descriptor is the jail, not the path. */
static bool
drop_into_descriptor(void)
{
	struct msg_identity	identity = somebody();
	int			fd;

	strlcpy(identity.jail, "/nowhere", sizeof(identity.jail));
	if ((fd = open(directory, O_RDONLY | O_DIRECTORY)) == -1)
		return false;
	return privileges_drop(&identity, fd) == 0 && dropped("/mark");
}

static bool
no_groups(void)
{
	struct msg_identity	identity = somebody();
	gid_t			groups[8];
	int			i, n;

	identity.ngroups = 0;
	if (privileges_drop(&identity, -1) == -1)
		return false;
	n = getgroups(8, groups);
	for (i = 0; i < n; i++)
		if (groups[i] != GID)
			return false;
	return n != -1;
}

static bool
no_jail(void)
{
	struct msg_identity	identity = somebody();

	strlcpy(identity.jail, "/nowhere/at/all", sizeof(identity.jail));
	return privileges_drop(&identity, -1) == -1 && errno == ENOENT &&
	    getuid() == 0;
}

static bool
root_is_nobody_to_become(void)
{
	struct msg_identity	user = somebody(), group = somebody();

	user.uid = 0;
	group.gid = 0;
	return privileges_drop(&user, -1) == -1 && errno == EINVAL &&
	    privileges_drop(&group, -1) == -1 && errno == EINVAL;
}

static bool
too_many_groups(void)
{
	struct msg_identity	identity = somebody();

	identity.ngroups = IDENTITY_GROUPS_MAX + 1;
	return privileges_drop_ids(&identity) == -1 && errno == EINVAL &&
	    privileges_drop(&identity, -1) == -1 && errno == EINVAL;
}

/* Whoever cannot drop must be told, not believe that it did. */
static bool
not_root(void)
{
	struct msg_identity	identity = somebody();

	if (geteuid() == 0 && (setgid(GID) == -1 || setuid(UID) == -1))
		return false;
	identity.uid++;
	return privileges_drop(&identity, -1) == -1 &&
	    privileges_drop_ids(&identity) == -1;
}

static bool
nothing_to_drop(void)
{
	struct msg_identity	identity = somebody();
	uid_t			before = geteuid();

	identity.drop = false;
	return privileges_drop_ids(&identity) == 0 &&
	    privileges_drop(&identity, -1) == 0 && geteuid() == before &&
	    access("/etc/passwd", F_OK) == 0;
}

#define TEST(name)				\
static void					\
test_##name(void **state)			\
{						\
	(void)state;				\
	check(name);				\
}

TEST(drop_at_once)
TEST(ids_then_jail)
TEST(drop_into_descriptor)
TEST(no_groups)
TEST(no_jail)
TEST(root_is_nobody_to_become)
TEST(too_many_groups)
TEST(not_root)
TEST(nothing_to_drop)

static int
make_jail(void **state)
{
	char	path[sizeof(directory) + 8];
	int	fd;

	(void)state;
	if (mkdtemp(directory) == NULL || chmod(directory, 0755) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/mark", directory);
	if ((fd = open(path, O_WRONLY | O_CREAT, 0644)) == -1)
		return -1;
	return close(fd);
}

static int
remove_jail(void **state)
{
	char	path[sizeof(directory) + 8];

	(void)state;
	snprintf(path, sizeof(path), "%s/mark", directory);
	if (unlink(path) == -1)
		return -1;
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest	as_root[] = {
		cmocka_unit_test(test_drop_at_once),
		cmocka_unit_test(test_ids_then_jail),
		cmocka_unit_test(test_drop_into_descriptor),
		cmocka_unit_test(test_no_groups),
		cmocka_unit_test(test_no_jail),
		cmocka_unit_test(test_root_is_nobody_to_become),
		cmocka_unit_test(test_too_many_groups),
		cmocka_unit_test(test_not_root),
		cmocka_unit_test(test_nothing_to_drop)
	};
	const struct CMUnitTest	as_user[] = {
		cmocka_unit_test(test_not_root),
		cmocka_unit_test(test_nothing_to_drop)
	};

	if (geteuid() == 0)
		return cmocka_run_group_tests(as_root, make_jail, remove_jail);
	return cmocka_run_group_tests(as_user, make_jail, remove_jail);
}
