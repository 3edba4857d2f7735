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
	struct listeners	*all;
	int			 fd;
	struct msg_listener	 about;
	struct event		 readable;
};

struct listeners {
	TAILQ_HEAD(, listener)		 list;
	struct clients			*clients;
	struct controls			*controls;
	const struct settings_networks	*allowed;
	bool				 paused;
	struct event			 resume;
	struct log_limit		 paused_logged;
	struct log_limit		 closed_logged;
	struct log_limit		 forbidden_logged;
};

/* --- no descriptors --- */

static void	pause_accepting(struct listeners *, const char *);

/* If the kernel has no memory to watch it, tries again later. */
static void
watch_listener(struct listener *l)
{
	if (!l->all->paused && event_add(&l->readable, NULL) == -1)
		pause_accepting(l->all, strerror(errno));
}

static void
on_resume(int fd, short what, void *arg)
{
	struct listeners	*all = arg;
	struct listener		*l;

	(void)fd;
	(void)what;
	all->paused = false;
	TAILQ_FOREACH(l, &all->list, entry)
		watch_listener(l);
}

/* Stops accepting for a moment; clients wait in the queue. */
static void
pause_accepting(struct listeners *all, const char *why)
{
	static const struct timeval	 later = { 0, 200 * 1000 };
	struct listener			*l;
	unsigned int			 suppressed;

	if (log_allowed(&all->paused_logged, 60, &suppressed))
		log_warning("accept: %s: clients have to wait (%zu connected)",
		    why, client_count(all->clients));
	if (all->paused)
		return;
	all->paused = true;
	TAILQ_FOREACH(l, &all->list, entry)
		event_del(&l->readable);
	evtimer_add(&all->resume, &later);
}

static bool
make_room(struct listeners *all, const char *why)
{
	unsigned int	suppressed;

	if (client_make_room(all->clients, ROOM) == 0) {
		pause_accepting(all, why);
		return false;
	}
	if (log_allowed(&all->closed_logged, 60, &suppressed))
		log_warning("accept: %s: the clients that are longest idle are "
		    "closed (%zu connected)", why,
		    client_count(all->clients));
	return true;
}

/* --- who comes --- */

static bool
is_allowed(struct listeners *all, const struct client_peer *peer)
{
	char		text[ADDR_TEXT_MAX];
	unsigned int	suppressed;

	if (all->allowed == NULL || all->allowed->count == 0 ||
	    identity_within(all->allowed, &peer->addr))
		return true;
	stats_add(STATS_FORBIDDEN, 1);
	if (log_allowed(&all->forbidden_logged, 10, &suppressed))
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
		control_accept(l->all->controls, fd,
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
	if (l->about.kind == LISTENER_TCP && !is_allowed(l->all, &peer))
		close(fd);
	else
		client_add(l->all->clients, fd, &peer);
}

static void
on_readable(int lfd, short what, void *arg)
{
	struct listener		*l = arg;
	struct listeners	*all = l->all;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	bool			 waits = true;	/* a client, certainly */
	int			 fd, error, n;

	(void)what;
	for (n = 0; n < ACCEPT_MOST; n++) {
		if (!is_control(l) && client_full(all->clients) &&
		    (!waits ||
		    !make_room(all, "as many clients as there may be")))
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
			if (waits && make_room(all, strerror(error)))
				continue;
		} else if (error != EAGAIN)
			pause_accepting(all, strerror(error));
		return;
	}
}

/* --- the sockets --- */

static void
free_listener(struct listener *l)
{
	TAILQ_REMOVE(&l->all->list, l, entry);
	event_del(&l->readable);
	close(l->fd);
	free(l);
}

void
listen_add(struct listeners *all, int fd, const struct msg_listener *about)
{
	struct listener	*l;

	listen_end(all, about->number);
	/*
	 * The descriptor's flags are shared with an earlier engine, which may
	 * have cleared this one.
	 */
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == -1)
		log_warning("listening socket %s: fcntl: %s", about->name,
		    strerror(errno));
	l = alloc_zero(1, sizeof(*l));
	l->all = all;
	l->fd = fd;
	l->about = *about;
	event_set(&l->readable, fd, EV_READ | EV_PERSIST, on_readable, l);
	TAILQ_INSERT_TAIL(&all->list, l, entry);
	watch_listener(l);
}

void
listen_end(struct listeners *all, uint32_t number)
{
	struct listener	*l;

	TAILQ_FOREACH(l, &all->list, entry)
		if (l->about.number == number) {
			free_listener(l);
			return;
		}
}

void
listen_allow(struct listeners *all, const struct settings_networks *allowed)
{
	all->allowed = allowed;
}

void
listen_stop(struct listeners *all)
{
	struct listener	*l;

	while ((l = TAILQ_FIRST(&all->list)) != NULL)
		free_listener(l);
}

struct listeners *
listen_new(struct clients *clients, struct controls *controls)
{
	struct listeners	*all = alloc_zero(1, sizeof(*all));

	all->clients = clients;
	all->controls = controls;
	TAILQ_INIT(&all->list);
	evtimer_set(&all->resume, on_resume, all);
	return all;
}
