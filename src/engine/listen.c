#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/control/control.h"
#include "engine/identity.h"
#include "engine/listen.h"
#include "engine/stats.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define ACCEPT_MOST	256	/* connections of one socket in a turn */
#define ROOM		16	/* clients closed to gain descriptors */

struct listener {
	TAILQ_ENTRY(listener)	 entry;
	int			 fd;
	struct msg_listener	 about;
	struct event		 readable;
};

static struct {
	TAILQ_HEAD(, listener)		 list;
	struct clients			*clients;
	struct controls			*controls;
	const struct settings_networks	*allowed;
	bool				 paused;
	struct event			 resume;
} listeners;

/* --- no descriptors --- */

static void	pause_accepting(const char *);

/* If the kernel has no memory to watch it, tries again later. */
static void
watch_listener(struct listener *l)
{
	if (!listeners.paused && event_add(&l->readable, NULL) == -1)
		pause_accepting(strerror(errno));
}

static void
on_resume(int fd, short what, void *arg)
{
	struct listener	*l;

	(void)fd;
	(void)what;
	(void)arg;
	listeners.paused = false;
	TAILQ_FOREACH(l, &listeners.list, entry)
		watch_listener(l);
}

/* Stops accepting for a moment; clients wait in the queue. */
static void
pause_accepting(const char *why)
{
	static const struct timeval	later = { 0, 200 * 1000 };
	static struct log_limit		limit;
	struct listener			*l;
	unsigned int			 suppressed;

	if (log_allowed(&limit, 60, &suppressed))
		log_warning("accept: %s: clients have to wait (%zu connected)",
		    why, client_count(listeners.clients));
	if (listeners.paused)
		return;
	listeners.paused = true;
	TAILQ_FOREACH(l, &listeners.list, entry)
		event_del(&l->readable);
	evtimer_add(&listeners.resume, &later);
}

static bool
make_room(const char *why)
{
	static struct log_limit	limit;
	unsigned int		suppressed;
	size_t			closed;

	if ((closed = client_make_room(listeners.clients, ROOM)) == 0) {
		pause_accepting(why);
		return false;
	}
	if (log_allowed(&limit, 60, &suppressed))
		log_warning("accept: %s: the clients that are longest idle are "
		    "closed (%zu connected)", why,
		    client_count(listeners.clients));
	return true;
}

/* --- who comes --- */

static bool
is_allowed(const struct client_peer *peer)
{
	static struct log_limit	limit;
	char			text[ADDR_TEXT_MAX];
	unsigned int		suppressed;

	if (listeners.allowed == NULL || listeners.allowed->count == 0 ||
	    identity_within(listeners.allowed, &peer->addr))
		return true;
	stats_add(STATS_FORBIDDEN, 1);
	if (log_allowed(&limit, 10, &suppressed))
		log_warning("client=%s is not among allowed_clients: closed "
		    "(%u more before)",
		    addr_format(&peer->addr, text, sizeof(text)), suppressed);
	return false;
}

static bool
is_control(const struct listener *l)
{
	return l->about.kind == LISTENER_CONTROL ||
	    l->about.kind == LISTENER_OPERATOR;
}

static void
add_connection(const struct listener *l, int fd,
    const struct sockaddr_storage *ss)
{
	struct client_peer	peer;
	struct sockaddr_in	sin;
	struct sockaddr_in6	sin6;
	char			text[INET6_ADDRSTRLEN] = "";

	if (is_control(l)) {
		control_accept(listeners.controls, fd,
		    l->about.kind == LISTENER_OPERATOR);
		return;
	}
	memset(&peer, 0, sizeof(peer));
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		peer.port = ntohs(sin.sin_port);
		(void)inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text));
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&sin6, ss, sizeof(sin6));
		peer.port = ntohs(sin6.sin6_port);
		(void)inet_ntop(AF_INET6, &sin6.sin6_addr, text, sizeof(text));
	}
	if (addr_parse(&peer.addr, text, strlen(text)) == -1)
		peer.addr.bits = 0;
	if (l->about.kind == LISTENER_TCP && !is_allowed(&peer))
		close(fd);
	else
		client_add(listeners.clients, fd, &peer);
}

static void
on_readable(int lfd, short what, void *arg)
{
	struct listener		*l = arg;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	bool			 waits = true;	/* a client, certainly */
	int			 fd, error, n;

	(void)what;
	for (n = 0; n < ACCEPT_MOST; n++) {
		if (!is_control(l) && client_full(listeners.clients) &&
		    (!waits ||
		    !make_room("as many clients as there may be")))
			return;
		len = sizeof(ss);
		ss.ss_family = AF_UNSPEC;
		fd = accept4(lfd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			waits = false;
			add_connection(l, fd, &ss);
			continue;
		}
		error = errno;
		if (error == EINTR || error == ECONNABORTED)
			continue;
		if (error == EMFILE || error == ENFILE) {
			/*
			 * A full descriptor table is an error even if no client
			 * waits, and idle clients are closed only for another.
			 */
			if (waits && make_room(strerror(error)))
				continue;
		} else if (error != EAGAIN)
			pause_accepting(strerror(error));
		return;
	}
}

/* --- the sockets --- */

static void
free_listener(struct listener *l)
{
	TAILQ_REMOVE(&listeners.list, l, entry);
	event_del(&l->readable);
	close(l->fd);
	free(l);
}

void
listen_add(int fd, const struct msg_listener *about)
{
	struct listener	*l;

	listen_end(about->number);
	/*
	 * The descriptor's flags are shared with an earlier engine, which may
	 * have cleared this one.
	 */
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == -1)
		log_warning("listening socket %s: fcntl: %s", about->name,
		    strerror(errno));
	l = alloc_zero(1, sizeof(*l));
	l->fd = fd;
	l->about = *about;
	event_set(&l->readable, fd, EV_READ | EV_PERSIST, on_readable, l);
	TAILQ_INSERT_TAIL(&listeners.list, l, entry);
	watch_listener(l);
}

void
listen_end(uint32_t number)
{
	struct listener	*l;

	TAILQ_FOREACH(l, &listeners.list, entry)
		if (l->about.number == number) {
			free_listener(l);
			return;
		}
}

void
listen_allow(const struct settings_networks *allowed)
{
	listeners.allowed = allowed;
}

void
listen_stop(void)
{
	struct listener	*l;

	while ((l = TAILQ_FIRST(&listeners.list)) != NULL)
		free_listener(l);
}

void
listen_init(struct clients *clients, struct controls *controls)
{
	listeners.clients = clients;
	listeners.controls = controls;
	TAILQ_INIT(&listeners.list);
	evtimer_set(&listeners.resume, on_resume, NULL);
}
