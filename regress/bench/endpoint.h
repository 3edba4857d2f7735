#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <sys/socket.h>
#include <sys/un.h>

/*
 * Where a policy server listens, as Postfix writes it: unix:path or
 * inet:address:port (numeric, [::1] in brackets), or a bare path or
 * address:port.
 */
struct endpoint {
	union {
		struct sockaddr		 any;
		struct sockaddr_un	 un;
		struct sockaddr_storage	 room;
	} addr;
	socklen_t	 len;
};

/* 0, or -1 with *reason (static). */
int	endpoint_parse(struct endpoint *, const char *, const char **reason);

/*
 * A listening, non-blocking socket with the longest queue the system gives; a
 * UNIX socket left behind is replaced. -1 with errno.
 */
int	endpoint_listen(const struct endpoint *);

/*
 * A connected socket, non-blocking (TCP: without Nagle's delay). With `wait` it
 * may take its time to connect; without, errno EINPROGRESS comes with a socket
 * in *pending that is connected or broken once it is writable. -1 with errno.
 */
int	endpoint_connect(const struct endpoint *, int wait, int *pending);

/* As many descriptors as the system allows this process. Returns how many. */
long	endpoint_descriptors(void);

#endif
