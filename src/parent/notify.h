#ifndef NOTIFY_H
#define NOTIFY_H

#include "lib/clock.h"

/*
 * systemd's sd_notify(3), spoken directly. All of it is silent where nobody
 * asked for it by NOTIFY_SOCKET.
 */

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the
 * environment; connects now, before anything forbids it.
 */
void	notify_open(void);
void	notify_close(void);

void	notify_ready(const char *status);
void	notify_reloading(void);		/* notify_ready when it is over */
void	notify_stopping(void);

/* Sends the watchdog's sign of life when it is due. */
void	notify_watchdog(struct mono now);

/* Milliseconds until it is due next, -1: never. */
int	notify_left(struct mono now);

#endif
