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
 * Tells the waiting process the status. Only the first call after
 * background_begin has an effect. `detach`: closes stderr too.
 */
void	background_end(int status, bool detach);

#endif
