#ifndef NOTIFY_H
#define NOTIFY_H

#include "lib/clock.h"

/*
 * The protocol of systemd's sd_notify(3). Every function does nothing if
 * NOTIFY_SOCKET is not set.
 */

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, removes them from the
 * environment, and connects, since the sandbox forbids that later.
 */
void	notify_open(void);
void	notify_close(void);

void	notify_ready(const char *status);
void	notify_reloading(void);		/* call notify_ready at its end */
void	notify_stopping(void);

/* Sends the watchdog's keep-alive when it is due. */
void	notify_watchdog(struct mono now);

/* Milliseconds until it is due; -1: never. */
int	notify_left(struct mono now);

#endif
