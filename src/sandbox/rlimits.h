#ifndef RLIMITS_H
#define RLIMITS_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

/* No core file, which could hold passwords. 0 or -1 with errno. */
int	rlimits_prepare(void);

/*
 * No new process, no file written by who writes none, few descriptors, soft and
 * hard limits alike. `eased`: processes, files and descriptors stay possible. 0
 * or -1 with errno.
 */
int	rlimits_enter(enum sandbox_role, bool eased);

#endif
