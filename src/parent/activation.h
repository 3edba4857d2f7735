#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <sys/socket.h>

/*
 * Listening sockets that systemd hands over (sd_listen_fds(3), spoken
 * directly): they are taken for the addresses of SOCKET that they match.
 */

/*
 * Reads LISTEN_PID and LISTEN_FDS, takes them out of the environment, makes the
 * descriptors close-on-exec. Before any other descriptor is opened and before a
 * fork. The highest descriptor that is in use by it, or 2.
 */
int	activation_take(void);

/*
 * The listening stream socket bound to this address, the caller's from now on;
 * -1.
 */
int	activation_claim(const struct sockaddr *, socklen_t);

/* Closes what nobody claimed, and says so in the log. */
void	activation_end(void);

#endif
