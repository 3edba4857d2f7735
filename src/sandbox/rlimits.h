#ifndef RLIMITS_H
#define RLIMITS_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

/* Forbids core files, which could hold passwords. Fatal if it fails. */
void	rlimits_prepare(void);

/*
 * Sets soft and hard limits: no new process, no file to write for roles that
 * write none, few descriptors except for the engine. `eased`: processes, files
 * and descriptors stay as they are. 0 or -1 with errno.
 */
int	rlimits_enter(enum sandbox_role, bool eased);

#endif
