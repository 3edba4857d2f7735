#ifndef SANDBOX_H
#define SANDBOX_H

/*
 * A role says what it needs; this room knows how each system confines it. Two
 * calls: sandbox_prepare early (not dumpable, resource limits, what must be
 * opened before), sandbox_enter when everything is set up; after it there is no
 * way back.
 */
enum sandbox_role {
	SANDBOX_PARENT,
	SANDBOX_ENGINE,
	SANDBOX_LEDGER_SQLITE,
	SANDBOX_LEDGER_SERVER,	/* pgsql, mysql: one connection is open */
	SANDBOX_REPORT,
	SANDBOX__MAX
};

struct sandbox_needs {
	enum sandbox_role	 role;
	const char		*directory;	/* seen after chroot */
	int			 directory_fd;	/* the same, open */
};

void	sandbox_prepare(enum sandbox_role);

/*
 * 0, or -1 with errno when the sandbox could not be entered (fatal to the
 * caller). A kernel that lacks one layer is said in the log once and is no
 * failure.
 */
int	sandbox_enter(const struct sandbox_needs *);

/* What was entered, such as "landlock-7 seccomp no_new_privs"; static. */
const char	*sandbox_description(void);

#endif
