#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

/*
 * A role says what it needs; this room knows how each system confines it.
 * sandbox_prepare comes early (not dumpable, resource limits, what must be
 * opened before). A role that has to resolve or connect calls sandbox_connect
 * before it does. sandbox_enter comes when everything is set up. Neither can be
 * undone.
 */
enum sandbox_role {
	SANDBOX_PARENT,
	SANDBOX_ENGINE,
	SANDBOX_LEDGER_SQLITE,
	SANDBOX_LEDGER_SERVER,	/* pgsql, mysql: one connection is open */
	SANDBOX_REPORT,
	SANDBOX_CONNECTING,	/* the last two, after sandbox_connect */
	SANDBOX__MAX
};

struct sandbox_needs {
	enum sandbox_role	 role;
	const char		*directory;	/* seen after chroot */
	int			 directory_fd;	/* the same, open */
	bool			 jailed;	/* chroot(2) is done */
	bool			 required;	/* no layer may be missing */
};

void	sandbox_prepare(enum sandbox_role);

/*
 * For a role that resolves names or connects: no new privileges, the role's
 * resource limits, no exec, fork, ptrace or mount, no file written or made, as
 * far as the system can. Libraries may still load plugins. 0, or -1 with errno.
 */
int	sandbox_connect(const struct sandbox_needs *);

/*
 * 0, or -1 with errno when the sandbox could not be entered (fatal to the
 * caller). A layer that the system lacks is a warning that says what is left,
 * and a failure where needs->required.
 */
int	sandbox_enter(const struct sandbox_needs *);

/* What was entered, such as "landlock-7 seccomp no_new_privs"; static. */
const char	*sandbox_description(void);

#endif
