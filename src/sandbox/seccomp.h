#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/sandbox.h"

/*
 * Confines the process to the system calls of its role, seccomp(2). Any other
 * call is not executed, is named in the log, and ends the process with SIGSYS.
 * `eased`: also allows what sanitizers and valgrind need. Needs no_new_privs.
 * 0; 1: the kernel has no seccomp filters; -1 with errno.
 */
int	seccomp_enter(enum sandbox_role, bool eased);

/*
 * Row `n` of the table of allowed calls, for the tests that compare it with the
 * behaviour of roles and with SECURITY.md: false after the last. `roles` has
 * bits 1 << enum sandbox_role, or is 0 for a row of an eased build only. `rule`
 * describes what the arguments must be; "": anything.
 */
struct seccomp_row {
	const char	*names;		/* separated by blanks */
	unsigned int	 roles;
	const char	*rule;
};
bool	seccomp_row(size_t, struct seccomp_row *);

#endif
