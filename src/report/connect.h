#ifndef CONNECT_H
#define CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

struct connect_peer {
	bool	loopback;		/* by its name and its address */
	bool	more;			/* there is another address */
	char	address[REPORT_ADDRESS_MAX];	/* as text */
};

/*
 * Resolves the host and connects to the first of its addresses that answers, in
 * the order of getaddrinfo(3), IPv6 first where both are there, but to none
 * that was tried. The socket is non-blocking and close-on-exec. -1 with a
 * reason.
 */
int	connect_to(const char *host, uint16_t port, const struct report_tried *,
	    struct connect_peer *, char *why, size_t);

/*
 * The address of our end as RFC 5321 4.1.3 writes it, "[192.0.2.1]"; that of
 * the loopback where it cannot be told.
 */
void	connect_literal(int fd, char *, size_t);

#endif
