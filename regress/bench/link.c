#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "link.h"

#define ANSWER_MAX	4096
#define RETRY_PAUSE	10000000	/* nanoseconds between tries */

static void	send_request(struct load *, struct link *);

int64_t
link_clock(void)
{
	struct timespec	 ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
queue_put(struct queue *q, struct link *l)
{
	l->next = NULL;
	if (q->first == NULL)
		q->first = l;
	else
		q->last->next = l;
	q->last = l;
}

static struct link *
queue_take(struct queue *q)
{
	struct link	*l;

	if ((l = q->first) != NULL)
		q->first = l->next;
	return l;
}

static void
set_state(struct load *k, struct link *l, enum link_state state)
{
	if (l->state >= LINK_CONNECTING)
		k->waiting--;
	l->state = state;
	if (state >= LINK_CONNECTING)
		k->waiting++;
	else
		queue_put(state == LINK_FREE ? &k->free : &k->retry, l);
}

static void
disconnect(struct link *l)
{
	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
	free(l->unsent);
	l->unsent = NULL;
	l->nunsent = 0;
	free(l->part);
	l->part = NULL;
	l->npart = 0;
}

static void
try_later(struct load *k, struct link *l)
{
	disconnect(l);
	if (k->retry.first == NULL)
		k->retry_at = k->now + RETRY_PAUSE;
	set_state(k, l, LINK_RETRY);
}

int
link_open(struct load *k, struct link *l)
{
	l->fd = -1;
	if (!k->one_shot) {
		l->fd = endpoint_connect(&k->where, 1, NULL);
		if (l->fd == -1 ||
		    poller_add(k->poller, l->fd, POLLER_READ, l) == -1)
			return -1;
	}
	l->state = LINK_FREE;
	queue_put(&k->free, l);
	return 0;
}

struct link *
link_take(struct load *k)
{
	return queue_take(&k->free);
}

static void
connect_and_send(struct load *k, struct link *l)
{
	int	interest = POLLER_READ;
	int	pending = -1;

	l->fd = endpoint_connect(&k->where, 0, &pending);
	if (l->fd == -1 && errno == EINPROGRESS) {
		l->fd = pending;
		interest = POLLER_READ | POLLER_WRITE;
		set_state(k, l, LINK_CONNECTING);
	}
	if (l->fd == -1 ||
	    poller_add(k->poller, l->fd, interest, l) == -1) {
		k->result.refused++;
		try_later(k, l);
		return;
	}
	if (l->state != LINK_CONNECTING)
		send_request(k, l);
}

void
link_begin(struct load *k, struct link *l, int64_t due)
{
	k->begun++;
	l->due = due;
	if (l->fd == -1)
		connect_and_send(k, l);
	else
		send_request(k, l);
}

static void
keep_unsent(struct load *k, struct link *l, const char *bytes, size_t len)
{
	if ((l->unsent = malloc(len)) == NULL)
		err(1, "malloc");
	memcpy(l->unsent, bytes, len);
	l->nunsent = len;
	if (poller_change(k->poller, l->fd, POLLER_READ | POLLER_WRITE, l) ==
	    -1)
		err(1, "poller_change");
}

static void
send_request(struct load *k, struct link *l)
{
	struct mail	 mail;
	ssize_t		 n;

	traffic_next(&k->traffic, &mail);
	n = send(l->fd, mail.bytes, mail.len, MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN) {
		/* It had been closed, and nobody has read of this request. */
		k->result.closed_idle++;
		try_later(k, l);
		return;
	}
	if (n < (ssize_t)mail.len) {
		n = n == -1 ? 0 : n;
		keep_unsent(k, l, mail.bytes + n, mail.len - (size_t)n);
	}
	l->user = mail.user;
	l->recipients = mail.recipients;
	k->result.sent++;
	if (l->due >= k->measure_from)
		histogram_add(&k->result.late, k->now - l->due);
	set_state(k, l, LINK_WAITING);
}

static void
lost(struct load *k, struct link *l)
{
	switch (l->state) {
	case LINK_WAITING:
		k->result.lost++;
		k->result.unknown_recipients += l->recipients;
		if (k->result.user != NULL)
			k->result.user[l->user].unknown += l->recipients;
		disconnect(l);
		set_state(k, l, LINK_FREE);
		break;
	case LINK_CONNECTING:
		k->result.refused++;
		try_later(k, l);
		break;
	default:
		/* In its queue already; connects anew when it is its turn. */
		if (l->fd != -1)
			k->result.closed_idle++;
		disconnect(l);
		break;
	}
}

static void
answered(struct load *k, struct link *l, const char *bytes, size_t len)
{
	int	passes;

	k->now = link_clock();
	if ((passes = result_answer(&k->result, bytes, len)) == -1) {
		k->result.malformed++;
		lost(k, l);
		return;
	}
	if (passes) {
		k->result.accepted_recipients += l->recipients;
		if (k->result.user != NULL)
			k->result.user[l->user].accepted += l->recipients;
	}
	if (l->due >= k->measure_from) {
		histogram_add(&k->result.latency, k->now - l->due);
		if (k->now < k->measure_to)
			k->result.answered++;
	}
	l->npart = 0;
	if (k->one_shot)
		disconnect(l);
	set_state(k, l, LINK_FREE);
}

/*
 * Answers come whole, as good as always; a part of one is kept until the rest
 * is.
 */
static int
keep_part(struct link *l, const char *bytes, size_t len)
{
	if (l->part == NULL && (l->part = malloc(ANSWER_MAX)) == NULL)
		err(1, "malloc");
	if (len > ANSWER_MAX - l->npart)
		return -1;
	memcpy(l->part + l->npart, bytes, len);
	l->npart += len;
	return 0;
}

/* True: a part came, and what follows it may be there already. */
static int
read_part(struct load *k, struct link *l)
{
	static char	 in[ANSWER_MAX];
	const char	*bytes;
	size_t		 len;
	ssize_t		 n;

	n = recv(l->fd, in, sizeof(in), 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0 && l->state != LINK_WAITING)
		k->result.malformed++;		/* nobody asked */
	if (n <= 0 || l->state != LINK_WAITING) {
		lost(k, l);
		return 0;
	}
	bytes = in;
	len = (size_t)n;
	if (l->npart > 0 || in[n - 1] != '\n') {
		if (keep_part(l, in, len) == -1) {
			k->result.malformed++;
			lost(k, l);
			return 0;
		}
		bytes = l->part;
		len = l->npart;
	}
	if (len >= 2 && bytes[len - 1] == '\n' && bytes[len - 2] == '\n') {
		answered(k, l, bytes, len);
		return 0;
	}
	if (bytes == in)
		(void)keep_part(l, in, len);
	return 1;
}

/* What is ready is told once only. */
static void
read_answer(struct load *k, struct link *l)
{
	while (read_part(k, l))
		;
}

static void
send_unsent(struct load *k, struct link *l)
{
	ssize_t	n;

	n = send(l->fd, l->unsent, l->nunsent, MSG_NOSIGNAL);
	if (n == -1)
		return;			/* if it is broken, reading says so */
	l->nunsent -= (size_t)n;
	memmove(l->unsent, l->unsent + n, l->nunsent);
	if (l->nunsent > 0)
		return;
	free(l->unsent);
	l->unsent = NULL;
	if (poller_change(k->poller, l->fd, POLLER_READ, l) == -1)
		err(1, "poller_change");
}

static void
connected(struct load *k, struct link *l)
{
	socklen_t	 len;
	int		 error;

	len = sizeof(error);
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ||
	    error != 0) {
		lost(k, l);
		return;
	}
	if (poller_change(k->poller, l->fd, POLLER_READ, l) == -1)
		err(1, "poller_change");
	k->now = link_clock();
	send_request(k, l);
}

void
link_ready(struct load *k, struct link *l, int ready)
{
	if (l->fd == -1)
		return;			/* closed since, by another event */
	if (l->state == LINK_CONNECTING) {
		if (ready & POLLER_WRITE)
			connected(k, l);
		return;
	}
	if (ready & POLLER_WRITE && l->nunsent > 0)
		send_unsent(k, l);
	if (ready & POLLER_READ)
		read_answer(k, l);
}

void
link_retry(struct load *k)
{
	struct queue	 again;
	struct link	*l;

	if (k->retry.first == NULL || k->now < k->retry_at)
		return;
	again = k->retry;
	k->retry.first = NULL;
	while ((l = queue_take(&again)) != NULL)
		connect_and_send(k, l);
}
