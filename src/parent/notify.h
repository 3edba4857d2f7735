#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

#include "lib/clock.h"

/*
 * The protocol of systemd's sd_notify(3). Every function does nothing if
 * NOTIFY_SOCKET was not set.
 */
struct notify {
	int		fd;		/* -1: none */
	int64_t		interval_ms;	/* of the watchdog; 0: none */
	struct mono	next;
};

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, removes them from the
 * environment, and connects, since the sandbox forbids that later.
 */
void	notify_open(struct notify *);
void	notify_close(struct notify *);

void	notify_ready(const struct notify *, const char *status);
void	notify_stopping(const struct notify *);

/* Call notify_ready at its end. */
void	notify_reloading(const struct notify *);

/* Sends the watchdog's keep-alive when it is due. */
void	notify_watchdog(struct notify *, struct mono now);

/* Milliseconds until it is due; -1: never. */
int	notify_left(const struct notify *, struct mono now);

#endif
