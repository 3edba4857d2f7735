#ifndef CONNECT_H
#define CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

struct connect_peer {
	bool	loopback;		/* by name and by address */
	bool	more;			/* more addresses can be tried */
	char	address[REPORT_ADDRESS_MAX];	/* as text */
};

/*
 * Resolves the host and connects to the first of its addresses that answers, in
 * the order of getaddrinfo(3), except those that were tried. Returns the
 * socket, non-blocking and close-on-exec, which the caller owns, and fills in
 * the peer; or -1 with a reason.
 */
int	connect_to(const char *host, uint16_t port, const struct report_tried *,
	    struct connect_peer *, char *why, size_t);

/*
 * The address of our end in the form of RFC 5321 4.1.3, "[192.0.2.1]"; the
 * loopback address if it is unknown.
 */
void	connect_literal(int fd, char *, size_t);

#endif
