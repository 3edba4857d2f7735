#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"
#include "poller.h"

/*
 * The empty policy server: finds the end of each request and answers dunno. One
 * process, one read and one write for each request: what any policy server has
 * to pay, and so the floor that the real one is measured against.
 */
#define ANSWER		"action=dunno\n\n"
#define ANSWER_LEN	(sizeof(ANSWER) - 1)
#define REQUESTS_MAX	4096		/* that end in one read */

struct client {
	int	fd;
	char	last;			/* byte of the read before */
};

static char	in[65536];
static char	out[REQUESTS_MAX * ANSWER_LEN];

static void
usage(void)
{
	(void)fprintf(stderr, "usage: floor unix:path | inet:address:port\n");
	exit(1);
}

static void
client_close(struct client *c)
{
	close(c->fd);
	free(c);
}

/*
 * How many requests end in these bytes: LF right after LF, also across reads.
 */
static size_t
count_requests(struct client *c, const char *buf, size_t len)
{
	const char	*at, *end;
	size_t		 n;
	char		 before;

	n = 0;
	end = buf + len;
	before = c->last;
	for (at = buf; at < end; at++) {
		if (*at == '\n' && before == '\n') {
			n++;
			before = '\0';	/* a third LF begins anew */
			continue;
		}
		/* From inside a line, on to its end. */
		if (*at != '\n' &&
		    (at = memchr(at, '\n', (size_t)(end - at))) == NULL) {
			before = '\0';
			break;
		}
		before = '\n';
	}
	c->last = before;
	return n;
}

static void
client_serve(struct client *c)
{
	size_t	n, len;
	ssize_t	got;

	do {
		got = recv(c->fd, in, sizeof(in), 0);
		if (got == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			client_close(c);
			return;
		}
		n = count_requests(c, in, (size_t)got);
		len = n * ANSWER_LEN;
		if (n > REQUESTS_MAX || (n > 0 &&
		    send(c->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)) {
			client_close(c);	/* it never reads */
			return;
		}
	} while (got == (ssize_t)sizeof(in));
}

static void
accept_all(struct poller *p, int listener)
{
	struct client	*c;
	int		 fd;

	while ((fd = accept4(listener, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			err(1, "calloc");
		c->fd = fd;
		if (poller_add(p, fd, POLLER_READ, c) == -1)
			err(1, "poller_add");
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		err(1, "accept");
}

int
main(int argc, char *argv[])
{
	static struct poller_event	 events[POLLER_EVENTS];
	struct endpoint			 where;
	struct poller			*p;
	const char			*reason;
	size_t				 j;
	int				 i, n, listener;

	if (argc != 2)
		usage();
	if (endpoint_parse(&where, argv[1], &reason) == -1)
		errx(1, "%s: %s", argv[1], reason);
	(void)endpoint_descriptors();
	for (j = 0; j < REQUESTS_MAX; j++)
		memcpy(out + j * ANSWER_LEN, ANSWER, ANSWER_LEN);
	if ((listener = endpoint_listen(&where)) == -1)
		err(1, "%s", argv[1]);
	if ((p = poller_new()) == NULL ||
	    poller_add(p, listener, POLLER_READ, NULL) == -1)
		err(1, "poller");
	for (;;) {
		if ((n = poller_wait(p, events, -1)) == -1)
			err(1, "poller_wait");
		for (i = 0; i < n; i++) {
			if (events[i].tag == NULL)
				accept_all(p, listener);
			else
				client_serve(events[i].tag);
		}
	}
}
