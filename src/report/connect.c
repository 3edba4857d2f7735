#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/clock.h"
#include "report/connect.h"

/* The parent waits two minutes, which includes the name lookup. */
#define CONNECT_MS	(20 * 1000)	/* for each address */
#define ALL_MS		(60 * 1000)

/* A connected socket, or -1 with errno. */
static int
try_address(const struct addrinfo *ai, struct mono end)
{
	struct pollfd	p = { .events = POLLOUT };
	struct mono	deadline = clock_after(clock_mono(), CONNECT_MS);
	socklen_t	len;
	int		error = 0, n, on = 1;

	p.fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, ai->ai_protocol);
	if (p.fd == -1)
		return -1;
	if (clock_passed(end, deadline))
		deadline = end;
	if (connect(p.fd, ai->ai_addr, ai->ai_addrlen) == -1)
		error = errno;
	if (error == EINPROGRESS) {
		do
			n = poll(&p, 1, clock_left(deadline, clock_mono()));
		while (n == -1 && errno == EINTR);
		len = sizeof(error);
		if (n == 0)
			error = ETIMEDOUT;
		else if (n == -1 || getsockopt(p.fd, SOL_SOCKET, SO_ERROR,
		    &error, &len) == -1)
			error = errno;
	}
	if (error == 0) {
		/* Commands are written whole: there is nothing to coalesce. */
		(void)setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		return p.fd;
	}
	close(p.fd);
	errno = error;
	return -1;
}

/* The address as text, or "". */
static void
name_address(const struct addrinfo *ai, char *text)
{
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, REPORT_ADDRESS_MAX,
	    NULL, 0, NI_NUMERICHOST) != 0)
		*text = '\0';
}

static bool
is_tried(const struct report_tried *tried, const char *address)
{
	size_t	i;

	for (i = 0; i < tried->count; i++)
		if (strcmp(tried->address[i], address) == 0)
			return true;
	return false;
}

/* Whether the list has untried addresses after this one. */
static bool
is_more(const struct addrinfo *list, const struct report_tried *tried,
    const char *address)
{
	char	other[REPORT_ADDRESS_MAX];

	if (tried->count == REPORT_TRIED_MAX)
		return false;
	for (; list != NULL; list = list->ai_next) {
		name_address(list, other);
		if (strcmp(other, address) != 0 && !is_tried(tried, other))
			return true;
	}
	return false;
}

int
connect_to(const char *host, uint16_t port, const struct report_tried *tried,
    struct connect_peer *peer, char *why, size_t size)
{
	struct addrinfo	 hints, *list, *ai;
	struct mono	 end;
	struct addr	 addr;
	char		 service[8], *text = peer->address;
	int		 error, fd = -1;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICSERV;
	snprintf(service, sizeof(service), "%u", port);
	if ((error = getaddrinfo(host, service, &hints, &list)) != 0) {
		snprintf(why, size, "no connection: %s: %s", host,
		    error == EAI_SYSTEM ? strerror(errno) :
		    gai_strerror(error));
		return -1;
	}
	snprintf(why, size, "no connection: %s has no other address", host);
	end = clock_after(clock_mono(), ALL_MS);
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		name_address(ai, text);
		if (is_tried(tried, text))
			continue;
		if ((fd = try_address(ai, end)) != -1) {
			peer->loopback = addr_names_loopback(host) &&
			    addr_parse(&addr, text, strlen(text)) == 0 &&
			    addr_loopback(&addr);
			peer->more = is_more(ai->ai_next, tried, text);
			break;
		}
		snprintf(why, size, "no connection: [%s]:%u: %s", text, port,
		    strerror(errno));
		if (clock_passed(end, clock_mono()))
			break;
	}
	freeaddrinfo(list);
	return fd;
}

void
connect_literal(int fd, char *dst, size_t size)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	char			 text[NI_MAXHOST];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    getnameinfo((struct sockaddr *)&ss, len, text, sizeof(text), NULL,
	    0, NI_NUMERICHOST) != 0)
		strlcpy(text, "127.0.0.1", sizeof(text));
	/* Nobody else needs the scope of a link-local address. */
	text[strcspn(text, "%")] = '\0';
	snprintf(dst, size, "[%s%s]", strchr(text, ':') != NULL ? "IPv6:" : "",
	    text);
}
