#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <sys/socket.h>

#include <stddef.h>

/*
 * Listening sockets that systemd passes (the protocol of sd_listen_fds(3)).
 * They are used for the addresses of SOCKET that they match.
 */
#define ACTIVATION_MAX	64

struct activation {
	int	fd[ACTIVATION_MAX];	/* -1: claimed */
	size_t	count;
};

/*
 * Reads LISTEN_PID and LISTEN_FDS, removes them from the environment, and makes
 * the descriptors close-on-exec. Call it before any other descriptor is opened
 * and before a fork. Returns the highest descriptor that was passed, or 2 if
 * none was.
 */
int	activation_take(struct activation *);

/*
 * The listening, non-blocking stream socket that is bound to this address,
 * which the caller then owns; -1: none.
 */
int	activation_claim(struct activation *, const struct sockaddr *,
	    socklen_t);

/* Closes sockets that were not claimed, and logs them. */
void	activation_end(struct activation *);

#endif
