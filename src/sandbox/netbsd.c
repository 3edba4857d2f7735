#include <errno.h>

#include "lib/log.h"
#include "sandbox/rlimits.h"
#include "sandbox/sandbox.h"

/*
 * NetBSD cannot deny system calls to a process. The confinement is resource
 * limits and, when started as root, what privileges.c does: the ids of an
 * unprivileged user, and chroot(2) for the engine (an empty directory) and
 * ledger-sqlite (the directory of its database), but not for the roles that
 * connect first. Each of them can open connections. The description claims no
 * more than that.
 */
static const char	*entered = "none";

void
sandbox_prepare(enum sandbox_role role)
{
	(void)role;
	rlimits_prepare();
}

int
sandbox_connect(const struct sandbox_needs *needs)
{
	return rlimits_enter(needs->role, false);
}

int
sandbox_enter(const struct sandbox_needs *needs)
{
	if (rlimits_enter(needs->role, false) == -1)
		return -1;
	if (needs->required) {
		log_error("sandbox: sandbox_required is set, and NetBSD cannot "
		    "take system calls away");
		errno = ENOTSUP;
		return -1;
	}
	entered = "limits only";
	return 0;
}

const char *
sandbox_description(void)
{
	return entered;
}
