#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

/*
 * A role states what it needs; this directory knows how each system confines
 * it. A role calls sandbox_prepare early (not dumpable, resource limits, and
 * what must be opened before). A role that resolves names or connects calls
 * sandbox_connect before that. It calls sandbox_enter when everything is set
 * up. None of the three can be undone.
 */
enum sandbox_role {
	SANDBOX_PARENT,
	SANDBOX_ENGINE,
	SANDBOX_LEDGER_SQLITE,
	SANDBOX_LEDGER_SERVER,	/* pgsql, mysql: one connection is open */
	SANDBOX_REPORT,
	SANDBOX_CONNECTING,	/* SERVER and REPORT, after sandbox_connect */
	SANDBOX__MAX
};

struct sandbox_needs {
	enum sandbox_role	 role;
	const char		*directory;	/* its path, after chroot(2) */
	int			 directory_fd;	/* the same, as a descriptor */
	bool			 jailed;	/* chroot(2) is done */
	bool			 required;	/* fail if a layer is missing */
};

/* Fatal if it fails. */
void	sandbox_prepare(enum sandbox_role);

/*
 * The first step, for a role that resolves names or connects: no new
 * privileges, the role's resource limits, no exec, fork, ptrace or mount, no
 * file written or created, as far as the system can enforce it. Libraries may
 * still load plugins. 0, or -1 with errno.
 */
int	sandbox_connect(const struct sandbox_needs *);

/*
 * Enters the sandbox. 0, or -1 with errno if that failed (fatal for the
 * caller). If the system lacks a layer, logs a warning that says which layers
 * remain, or fails if needs->required.
 */
int	sandbox_enter(const struct sandbox_needs *);

/*
 * The layers that were entered, such as "landlock-7 seccomp no_new_privs";
 * static.
 */
const char	*sandbox_description(void);

#endif
