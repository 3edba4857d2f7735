#include <sys/prctl.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"
#include "sandbox/rlimits.h"
#include "sandbox/sandbox.h"
#include "sandbox/seccomp.h"

/*
 * A build with sanitizers, or with SANDBOX=eased for valgrind, keeps the
 * sandbox, with exceptions for what those tools do by themselves.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer) || __has_feature(leak_sanitizer)
#define EASED	true
#endif
#endif
#if defined(SANDBOX_EASED) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
#undef EASED
#define EASED	true
#endif
#ifndef EASED
#define EASED	false
#endif

/*
 * What the parent needs of root: to bind low ports, to create directories and
 * sockets and change their owners, to start children that give up root, and to
 * kill them.
 */
static const unsigned int	parent_capabilities[] = {
	CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_NET_BIND_SERVICE,
	CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT
};

static char	description[64];

static void
describe(const char *layer)
{
	if (description[0] != '\0')
		strlcat(description, " ", sizeof(description));
	strlcat(description, layer, sizeof(description));
}

static int
compare_bytes(const void *a, const void *b)
{
	const unsigned char	*x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
sandbox_prepare(enum sandbox_role role)
{
	static unsigned char	bytes[4096];

	if (!EASED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_fatal("prctl(PR_SET_DUMPABLE): %s", strerror(errno));
	rlimits_prepare();
	if (role == SANDBOX_PARENT)
		return;
	/*
	 * glibc opens files unexpectedly: localtime(3) looks at /etc/localtime
	 * on each call unless TZ is set, and the first long qsort(3) reads the
	 * size of memory. So call both before the lock.
	 */
	setenv("TZ", ":/etc/localtime", 0);
	tzset();
	qsort(bytes, sizeof(bytes), 1, compare_bytes);
}

/* Valgrind does not support the calls of the newer layers. */
static int
failed(const char *layer)
{
	if (!EASED)
		return -1;
	log_warning("sandbox: without %s: %s", layer, strerror(errno));
	return 0;
}

/* Reports a layer that this system lacks, and the layers that remain. */
static int
missing(const struct sandbox_needs *needs, const char *layer,
    const char *reason, const char *left)
{
	if (needs->required) {
		log_error("sandbox: sandbox_required is set, and there is no "
		    "%s: %s", layer, reason);
		errno = ENOTSUP;
		return -1;
	}
	log_warning("sandbox: no %s (%s); %s", layer, reason, left);
	return 0;
}

/*
 * An unprivileged user may chroot(2) in a user namespace, if the system permits
 * one. The privileges in the namespace are given up at once.
 */
static bool
enter_namespace(int directory)
{
	bool	entered;

	if (unshare(CLONE_NEWUSER) == -1)
		return false;
	entered = fchdir(directory) == 0 && chroot(".") == 0 &&
	    chdir("/") == 0;
	if (capabilities_keep(NULL, 0) == -1)
		log_fatal("capabilities of a user namespace: %s",
		    strerror(errno));
	return entered;
}

static int
enter_landlock(const struct sandbox_needs *needs)
{
	bool		 sqlite = needs->role == SANDBOX_LEDGER_SQLITE;
	const char	*left = "the ledger can open, write and remove every "
			    "file that its user can";
	const char	*reason;
	char		 name[24];
	int		 abi;

	if ((abi = landlock_abi()) != 0) {
		if (landlock_enter(abi, sqlite ? needs->directory_fd : -1,
		    EASED) == -1)
			return failed("Landlock");
		snprintf(name, sizeof(name), "landlock-%d", abi);
		describe(name);
		return 0;
	}
	reason = strerror(errno);
	if (!sqlite)
		left = "seccomp alone forbids to open files and connections";
	else if (needs->jailed)
		left = "chroot(2) alone keeps the ledger in the directory of "
		    "the database";
	else if (enter_namespace(needs->directory_fd)) {
		describe("chroot-userns");
		left = "chroot(2) in a user namespace keeps the ledger in the "
		    "directory of the database";
	}
	return missing(needs, "Landlock", reason, left);
}

/* The beginning of both steps. */
static int
enter_first(const struct sandbox_needs *needs)
{
	/* A child inherits it from a parent that has it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	describe("no_new_privs");
	if (needs->role == SANDBOX_PARENT)
		return 0;
	/* The change of ids may have made the process dumpable again. */
	if (!EASED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return -1;
	/*
	 * The process must end with its parent; the change of ids cleared that.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		return -1;
	return rlimits_enter(needs->role, EASED);
}

int
sandbox_connect(const struct sandbox_needs *needs)
{
	static const unsigned int	chroot_only[] = { CAP_SYS_CHROOT };
	int				abi;

	description[0] = '\0';
	if (enter_first(needs) == -1 || capabilities_keep(chroot_only, 1) == -1)
		return -1;
	/* The second step reports a missing layer. */
	abi = landlock_abi();
	if (abi != 0 && landlock_enter_connecting(abi) == -1 &&
	    failed("Landlock") == -1)
		return -1;
	if (seccomp_enter(SANDBOX_CONNECTING, EASED) == -1)
		return failed("seccomp");
	return 0;
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	description[0] = '\0';
	if (EASED) {
		log_warning("sandbox: EASED for sanitizers or valgrind, "
		    "not for use in production");
		describe("EASED");
	}
	if (enter_first(needs) == -1)
		return -1;
	if (needs->role == SANDBOX_PARENT) {
		describe("capabilities");
		return capabilities_keep(parent_capabilities,
		    sizeof(parent_capabilities) /
		    sizeof(parent_capabilities[0]));
	}
	if (capabilities_keep(NULL, 0) == -1 || enter_landlock(needs) == -1)
		return -1;
	switch (seccomp_enter(needs->role, EASED)) {
	case 0:
		describe("seccomp");
		return 0;
	case 1:
		return missing(needs, "seccomp", "this kernel has no filters "
		    "for system calls", "ids, chroot(2) and Landlock hold as "
		    "far as they are named at the start");
	default:
		return failed("seccomp");
	}
}

const char *
sandbox_description(void)
{
	return description[0] != '\0' ? description : "none";
}
