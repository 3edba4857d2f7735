#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "parent/run_as.h"
#include "parent/sockets.h"
#include "parent/unixsocket.h"

#define ORPHAN_MS	2000
#define AGAIN_MS	20
#define CONTROL_MODE	0660
#define DIRECTORY_MODE	0755

/* The arguments of sockets_open. */
struct opening {
	struct listeners		*fresh;
	const struct listeners		*running;
	struct activation		*activation;
	const struct settings		*settings;
	const struct msg_identity	*identity;
};

static void
listener_clear(struct listener *l)
{
	if (l->fd != -1)
		close(l->fd);
	directories_leave(&l->place);
	free(l->name);
}

/* Closes the listener, and removes its file if that is still ours. */
static void
listener_end(struct listener *l)
{
	if (l->kind != LISTENER_TCP && !l->given)
		unixsocket_remove(l);
	listener_clear(l);
}

/* The listener of that name, or NULL. */
static struct listener *
find(const struct listeners *all, const char *name)
{
	size_t	i;

	for (i = 0; i < all->count; i++) {
		if (strcmp(all->list[i].name, name) == 0)
			return &all->list[i];
	}
	return NULL;
}

/* After a crash the engine may hold the socket for a moment longer. */
static bool
try_again(struct mono end)
{
	if (errno != EADDRINUSE || clock_passed(end, clock_mono()))
		return false;
	poll(NULL, 0, AGAIN_MS);
	return true;
}

static int
open_unix(const struct opening *o, struct listener *l,
    const struct listener *running, struct mono end, char *why)
{
	const struct directory_new	 new =
	    run_as_directory(o->identity, DIRECTORY_MODE);
	struct sockaddr_un		 sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, l->name, sizeof(sun.sun_path)) <
	    sizeof(sun.sun_path))
		l->fd = activation_claim(o->activation,
		    (struct sockaddr *)&sun, sizeof(sun));
	if (l->fd != -1) {
		l->given = true;
		return 0;
	}
	if (directories_place(&l->place, l->name, &new, why) == -1)
		return -1;
	/* Our own socket of another kind is replaced, though it answers. */
	while (unixsocket_open(l, running, o->identity->uid, why) == -1)
		if (!try_again(end))
			return -1;
	return 0;
}

/* The listening descriptor; -1 with errno. */
static int
bind_tcp(const struct addrinfo *ai)
{
	int	fd, on = 1, saved;

	fd = socket(ai->ai_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (ai->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
open_tcp(const struct opening *o, struct listener *l,
    const struct settings_socket *s, struct mono end, char *why)
{
	struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM }, *ai;
	char		 port[8];
	int		 error;

	/* Only numeric addresses: a start must not depend on a resolver. */
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	snprintf(port, sizeof(port), "%u", (unsigned int)s->port);
	if ((error = getaddrinfo(s->host, port, &hints, &ai)) != 0)
		return directories_fail(why, "%s: %s", l->name,
		    error == EAI_NONAME ? "is not an address" :
		    gai_strerror(error));
	l->fd = activation_claim(o->activation, ai->ai_addr, ai->ai_addrlen);
	l->given = l->fd != -1;
	while (l->fd == -1 && (l->fd = bind_tcp(ai)) == -1) {
		if (!try_again(end)) {
			directories_fault(why, l->name, "bind", errno);
			break;
		}
	}
	freeaddrinfo(ai);
	return l->fd == -1 ? -1 : 0;
}

/* A new entry of the list, with this name; NULL if the name is in the list. */
static struct listener *
add(struct listeners *all, enum listener_kind kind, char *name)
{
	struct listener	*l;

	if (find(all, name) != NULL) {
		log_warning("SOCKET: %s is named twice", name);
		free(name);
		return NULL;
	}
	all->list = alloc_resize(all->list, all->count + 1, sizeof(*all->list));
	l = &all->list[all->count++];
	memset(l, 0, sizeof(*l));
	l->kind = kind;
	l->name = name;
	l->fd = -1;
	l->place.dir = -1;
	l->uid = (uid_t)-1;
	l->gid = (gid_t)-1;
	return l;
}

/*
 * Shares the running listener of that name, or opens a new one; an address in
 * use is tried again for `patience` milliseconds. `s`: of a TCP listener.
 */
static int
start(const struct opening *o, struct listener *l,
    const struct settings_socket *s, int64_t patience, char *why)
{
	const struct listener	*old = find(o->running, l->name);
	struct listener		 wanted = *l;
	struct mono		 end = clock_after(clock_mono(), patience);

	if (old == NULL || (l->kind != old->kind && !old->given))
		return l->kind == LISTENER_TCP ? open_tcp(o, l, s, end, why) :
		    open_unix(o, l, old, end, why);
	*l = *old;
	l->name = wanted.name;
	l->shared = true;
	if (l->given || l->kind != wanted.kind)
		return 0;
	/* Its mode and owner once the list is adopted. */
	l->mode = wanted.mode;
	l->uid = wanted.uid;
	l->gid = wanted.gid;
	return 0;
}

static int
open_socket(const struct opening *o, const struct settings_socket *s,
    char *why)
{
	const struct settings		*settings = o->settings;
	const struct msg_identity	*identity = o->identity;
	struct listener			*l;

	l = s->path != NULL ?
	    add(o->fresh, LISTENER_UNIX, alloc_string(s->path)) :
	    add(o->fresh, LISTENER_TCP, alloc_printf("[%s]:%u", s->host,
	    (unsigned int)s->port));
	if (l == NULL)
		return 0;
	if (s->path != NULL) {
		l->mode = settings->socket_permission & 0777;
		if (identity->drop) {
			l->uid = identity->uid;
			l->gid = identity->gid;
		}
		if (run_as_user(settings->socket_user, &l->uid, why) == -1 ||
		    run_as_group(settings->socket_group, &l->gid, why) == -1)
			return -1;
	}
	/* A reload must not delay supervision. */
	return start(o, l, s, o->running->count > 0 ? 0 : ORPHAN_MS, why);
}

/*
 * Takes over `path`. The daemon can run without policyctl's sockets, so a
 * failure only warns.
 */
static void
open_control(const struct opening *o, enum listener_kind kind, char *path,
    const char *group)
{
	struct listener	*l;
	char		 why[WHY_MAX];

	if ((l = add(o->fresh, kind, path)) == NULL)
		return;
	l->mode = CONTROL_MODE;
	if (o->identity->drop) {
		l->uid = 0;
		l->gid = o->identity->gid;
	}
	if (run_as_group(group, &l->gid, why) == 0 &&
	    start(o, l, NULL, 0, why) == 0)
		return;
	log_warning("no control socket for policyctl: %s", why);
	listener_clear(l);
	o->fresh->count--;
}

int
sockets_open(struct listeners *fresh, const struct listeners *running,
    struct activation *activation, const struct settings *settings,
    const struct msg_identity *identity, char *why)
{
	const struct opening	 o = { fresh, running, activation, settings,
				    identity };
	const char		*control = settings->control_socket;
	size_t			 i;

	memset(fresh, 0, sizeof(*fresh));
	fresh->last_number = running->last_number;
	for (i = 0; i < settings->nsockets; i++) {
		if (open_socket(&o, &settings->sockets[i], why) == -1) {
			sockets_abandon(fresh);
			return -1;
		}
	}
	if (control != NULL)
		open_control(&o, LISTENER_CONTROL, alloc_string(control),
		    settings->control_group);
	if (control != NULL && settings->operator_group != NULL)
		open_control(&o, LISTENER_OPERATOR,
		    alloc_printf("%s%s", control, SETTINGS_OPERATOR),
		    settings->operator_group);
	for (i = 0; i < fresh->count; i++) {
		if (!fresh->list[i].shared)
			fresh->list[i].number = ++fresh->last_number;
	}
	return 0;
}

static void
forget(struct listeners *all)
{
	free(all->list);
	all->list = NULL;
	all->count = 0;
}

void
sockets_abandon(struct listeners *fresh)
{
	size_t	i;

	for (i = 0; i < fresh->count; i++) {
		if (fresh->list[i].shared)
			free(fresh->list[i].name);
		else
			listener_end(&fresh->list[i]);
	}
	forget(fresh);
}

static void
send_listener(const struct listener *l, struct child *engine)
{
	struct msg_listener	about;
	struct str		payload;

	memset(&about, 0, sizeof(about));
	about.number = l->number;
	about.kind = l->kind;
	strlcpy(about.name, l->name, sizeof(about.name));
	str_init(&payload);
	msg_listener_put(&payload, &about);
	child_send(engine, MSG_LISTENER, &payload, l->fd);
	str_clear(&payload);
}

void
sockets_adopt(struct listeners *running, struct listeners *fresh,
    struct child *engine)
{
	struct listener	*old, *now;
	char		 why[WHY_MAX];
	size_t		 i;

	for (i = 0; i < fresh->count; i++) {
		if (!fresh->list[i].shared)
			send_listener(&fresh->list[i], engine);
	}
	for (i = 0; i < running->count; i++) {
		old = &running->list[i];
		now = find(fresh, old->name);
		if (now == NULL || !now->shared) {
			log_notice("no longer listening on %s", old->name);
			child_number(engine, MSG_LISTENER_END, old->number, -1);
			listener_end(old);
			continue;
		}
		if (old->mode != now->mode || old->uid != now->uid ||
		    old->gid != now->gid) {
			if (unixsocket_change(now, why) == -1)
				log_warning("%s; mode and owner stay as they "
				    "are", why);
			else
				log_notice("%s has another mode or owner",
				    now->name);
		}
		/* The fresh list has taken over everything else. */
		free(old->name);
	}
	forget(running);
	*running = *fresh;
	memset(fresh, 0, sizeof(*fresh));
	for (i = 0; i < running->count; i++) {
		if (!running->list[i].shared)
			log_notice("listening on %s", running->list[i].name);
		running->list[i].shared = false;
	}
}

void
sockets_send(const struct listeners *all, struct child *engine)
{
	size_t	i;

	for (i = 0; i < all->count; i++)
		send_listener(&all->list[i], engine);
}

void
sockets_close(struct listeners *all)
{
	size_t	i;

	for (i = 0; i < all->count; i++)
		listener_end(&all->list[i]);
	forget(all);
}
