#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/sandbox.h"

/*
 * Locks the process into the system calls that its role may make, seccomp(2).
 * Any other one is not executed, is named in the log, and ends the process by
 * SIGSYS. `eased`: what sanitizers and valgrind need is allowed as well. Needs
 * no_new_privs. 1: the kernel has no seccomp filters; 0; or -1 with errno.
 */
int	seccomp_enter(enum sandbox_role, bool eased);

/*
 * The table, row by row, for the test that compares it with what roles do and
 * for the one in SECURITY.md: false after the last. `roles` has bits 1 << enum
 * sandbox_role, 0 for a row that only an eased build has. `rule` says in words
 * what the arguments must be, "" when they may be anything.
 */
struct seccomp_row {
	const char	*name;
	unsigned int	 roles;
	const char	*rule;
};
bool	seccomp_row(size_t, struct seccomp_row *);

#endif
