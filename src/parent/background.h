#ifndef BACKGROUND_H
#define BACKGROUND_H

#include <stdbool.h>

/*
 * -b: the daemon runs in the background. The process that was started waits
 * until the start has succeeded or failed, and exits with that status.
 */

/* Returns only in the daemon. Fatal if it fails. */
void	background_begin(void);

/*
 * Tells the waiting process the status, and opens /dev/null as stdin, stdout
 * and, with `detach`, stderr. Without background_begin, and when it is called
 * again, does nothing.
 */
void	background_end(int status, bool detach);

#endif
