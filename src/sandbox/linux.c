#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "sandbox/landlock.h"
#include "sandbox/rlimits.h"
#include "sandbox/sandbox.h"
#include "sandbox/seccomp.h"

/*
 * A build with sanitizers, or with SANDBOX=eased for valgrind, keeps the
 * sandbox but with holes for what those tools do behind the program's back.
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
 * What the parent does as root: binds to low ports, makes directories and
 * sockets and gives them to their owners, starts children that give up root and
 * can be killed.
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

/*
 * glibc opens files where nobody expects it: localtime(3) looks at
 * /etc/localtime on each call unless TZ is set, and the first long qsort(3)
 * asks for the size of memory.
 */
static void
warm_up_libc(void)
{
	static unsigned char	bytes[4096];

	setenv("TZ", ":/etc/localtime", 0);
	tzset();
	qsort(bytes, sizeof(bytes), 1, compare_bytes);
}

void
sandbox_prepare(enum sandbox_role role)
{
	if (!EASED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_fatal("prctl(PR_SET_DUMPABLE): %s", strerror(errno));
	if (rlimits_prepare() == -1)
		log_fatal("setrlimit: %s", strerror(errno));
	if (role == SANDBOX_PARENT && landlock_abi() == 0)
		log_notice("sandbox: no Landlock on this system (%s), "
		    "the other layers hold", strerror(errno));
	if (role != SANDBOX_PARENT)
		warm_up_libc();
}

/* Leaves those of `keep`; needs no right that a normal user lacks. */
static int
set_capabilities(const unsigned int *keep, size_t nkeep)
{
	struct __user_cap_header_struct	header;
	struct __user_cap_data_struct	data[_LINUX_CAPABILITY_U32S_3];
	uint32_t			wanted[_LINUX_CAPABILITY_U32S_3];
	uint32_t			surplus = 0;
	size_t				i;
	unsigned int			cap;

	memset(wanted, 0, sizeof(wanted));
	for (i = 0; i < nkeep; i++)
		wanted[keep[i] / 32] |= 1U << keep[i] % 32;
	/* Kernels older than 4.3 have no ambient set to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 &&
	    errno != EINVAL)
		return -1;
	for (cap = 0; cap < 64; cap++) {
		/* The last one that this kernel knows. */
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == -1)
			break;
		if ((wanted[cap / 32] & 1U << cap % 32) != 0 ||
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* Not root: what is in the set cannot be had anyway. */
		if (errno == EPERM)
			break;
		return -1;
	}

	memset(&header, 0, sizeof(header));
	header.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		surplus |= (data[i].permitted & ~wanted[i]) |
		    data[i].inheritable;
		data[i].permitted &= wanted[i];
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	/* Who never had any may lack the call too, in a service's filter. */
	if (surplus == 0)
		return 0;
	return syscall(SYS_capset, &header, data) == -1 ? -1 : 0;
}

/* Valgrind does not know the calls of the newer layers. */
static int
failed(const char *layer)
{
	if (!EASED)
		return -1;
	log_warning("sandbox: without %s: %s", layer, strerror(errno));
	return 0;
}

static int
enter_landlock(const struct sandbox_needs *needs)
{
	char	name[24];
	int	abi;

	if ((abi = landlock_abi()) == 0) {
		log_debug("sandbox: no Landlock: %s", strerror(errno));
		return 0;
	}
	if (landlock_enter(abi, needs->role == SANDBOX_LEDGER_SQLITE ?
	    needs->directory_fd : -1, EASED) == -1)
		return failed("Landlock");
	snprintf(name, sizeof(name), "landlock-%d", abi);
	describe(name);
	return 0;
}

static int
enter_seccomp(const struct sandbox_needs *needs)
{
	switch (seccomp_enter(needs->role, EASED)) {
	case 0:
		describe("seccomp");
		return 0;
	case 1:
		log_warning("sandbox: this kernel has no seccomp filters");
		return 0;
	default:
		return failed("seccomp");
	}
}

static int
enter_parent(void)
{
	if (set_capabilities(parent_capabilities, sizeof(parent_capabilities) /
	    sizeof(parent_capabilities[0])) == -1)
		return -1;
	describe("capabilities");
	return 0;
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	description[0] = '\0';
	if (EASED) {
		log_warning("sandbox: EASED for sanitizers or valgrind, "
		    "not for use in earnest");
		describe("EASED");
	}
	/* Children that were exec'd by a parent with it have it from birth. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	describe("no_new_privs");
	if (needs->role == SANDBOX_PARENT)
		return enter_parent();

	/* The change of ids may have made the process dumpable again. */
	if (!EASED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return -1;
	if (rlimits_enter(needs->role, EASED) == -1)
		return -1;
	if (set_capabilities(NULL, 0) == -1)
		return -1;
	if (enter_landlock(needs) == -1)
		return -1;
	return enter_seccomp(needs);
}

const char *
sandbox_description(void)
{
	return description[0] != '\0' ? description : "none";
}
