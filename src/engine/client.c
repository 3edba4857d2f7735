#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/client.h"
#include "engine/stats.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"

#define BUFFER_FIRST	1024
#define TURN_MOST	32	/* requests of one client in one turn */
#define STOP_MS		500	/* that new clients get at the stop */

/* What is expected next. */
enum client_state {
	CLIENT_READY,		/* a request */
	CLIENT_WAITING,		/* the verdict: see pending.h */
	CLIENT_WRITING,		/* the client must read its answer */
	CLIENT_ENDED		/* nothing: to be closed */
};

/* The timed lists are ordered by deadline, since each list has one timeout. */
enum client_where {
	LIST_IDLE,		/* between requests */
	LIST_BEGUN,		/* a request is incomplete */
	LIST_WRITING,
	LIST_TIMED,
	LIST_AGAIN = LIST_TIMED,	/* has had its share of this turn */
	LIST__MAX,
	LIST_NONE = LIST__MAX
};

/*
 * The unprocessed bytes are in[start] to in[end - 1]; if there are none, `in`
 * is NULL.
 */
struct client {
	TAILQ_ENTRY(client)	 entry;
	struct clients		*all;
	enum client_where	 where;
	struct mono		 since;		/* when it entered the list */
	int			 fd;
	enum client_state	 state;
	bool			 requested;	/* has sent a request */
	bool			 working;	/* in process_input */
	bool			 reading;	/* `readable` is added */
	char			*in;
	size_t			 size;
	size_t			 start;
	size_t			 end;
	size_t			 looked;	/* for request_end */
	struct str		 out;		/* unsent bytes */
	size_t			 written;	/* sent, of `out` */
	struct client_peer	 peer;
	struct event		 readable;
	struct event		 writable;
};

TAILQ_HEAD(client_list, client);

struct clients {
	struct client_list	 list[LIST__MAX];
	int64_t			 ms[LIST_TIMED];
	size_t			 most;
	size_t			 most_buffered;
	struct maillog		*maillog;
	void			(*request)(void *, struct client *,
				    const struct request *);
	void			*arg;
	size_t			 count;
	size_t			 buffered;	/* bytes in buffers */
	bool			 stopping;
	bool			 holding;
	struct mono		 since;		/* when holding began */
	bool			 timing;
	struct mono		 timed;		/* expiry of the timer */
	struct event		 timer;
	struct event		 again;
	char			 shared[REQUEST_MAX];	/* for one read(2) */
};

/* --- lists and deadlines --- */

/*
 * One timer for all. It may be set earlier but never later; when it fires it is
 * set for the next deadline.
 */
static void
set_timer(struct clients *all, struct mono deadline)
{
	struct timeval	tv;
	int		ms;

	if (all->timing && all->timed.ns <= deadline.ns)
		return;
	/*
	 * libevent's clock is coarse: firing slightly late is better than
	 * twice.
	 */
	ms = clock_left(deadline, loop_now());
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	if (ms % 1000 < 990)
		tv.tv_usec += 10000;
	evtimer_add(&all->timer, &tv);
	all->timed = deadline;
	all->timing = true;
}

static struct mono
deadline_of(const struct client *c)
{
	return clock_after(c->since, c->all->ms[c->where]);
}

/*
 * Moves a client to a list. `restart`: its time begins again
 * if it is in that list already.
 */
static void
move_to_list(struct client *c, enum client_where where, bool restart)
{
	struct clients	*all = c->all;

	if (c->where == where && !restart)
		return;
	if (c->where != LIST_NONE)
		TAILQ_REMOVE(&all->list[c->where], c, entry);
	c->where = where;
	if (where == LIST_NONE)
		return;
	c->since = loop_now();
	TAILQ_INSERT_TAIL(&all->list[where], c, entry);
	if (where < LIST_TIMED)
		set_timer(all, deadline_of(c));
}

/* --- buffers --- */

static void
buffer_release(struct client *c)
{
	c->all->buffered -= c->size;
	free(c->in);
	c->in = NULL;
	c->size = c->start = c->end = 0;
}

/* Moves the bytes to the front and makes room for `more`, up to REQUEST_MAX. */
static void
buffer_room(struct client *c, size_t more)
{
	size_t	size;

	if (c->start > 0) {
		memmove(c->in, c->in + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	if (c->end + more <= c->size)
		return;
	size = c->size == 0 ? BUFFER_FIRST : c->size;
	while (size < c->end + more && size < REQUEST_MAX)
		size *= 2;
	c->in = alloc_resize(c->in, size, 1);
	c->all->buffered += size - c->size;
	c->size = size;
}

/* --- a client's end --- */

static void
close_client(struct client *c)
{
	c->all->count--;
	move_to_list(c, LIST_NONE, false);
	event_del(&c->readable);
	event_del(&c->writable);
	close(c->fd);
	buffer_release(c);
	str_clear(&c->out);
	free(c);
}

/* --- requests --- */

/* Watches the client or stops that; false: the kernel has no memory. */
static bool
set_reading(struct client *c, bool on)
{
	if (c->reading == on)
		return true;
	if (on && event_add(&c->readable, NULL) == -1)
		return false;
	if (!on)
		event_del(&c->readable);
	c->reading = on;
	return true;
}

/*
 * Takes complete requests from these bytes. Stops when one has to wait for its
 * verdict, or after TURN_MOST, with *more set: others have their turn. Returns
 * how many bytes were used.
 */
static size_t
take_requests(struct client *c, const char *bytes, size_t len, bool *more)
{
	struct request	 req;
	const char	*reason;
	char		 name[CLIENT_NAME_MAX];
	size_t		 n, used, at = 0;
	unsigned int	 requests = 0;
	bool		 whole = len >= 2 && bytes[len - 1] == '\n' &&
			    bytes[len - 2] == '\n';

	while (at < len && c->state == CLIENT_READY) {
		if ((*more = requests++ == TURN_MOST))
			break;
		/* Almost always there is exactly one complete request. */
		n = whole && len - at >= 2 ? len - at :
		    request_end(bytes + at, len - at, &c->looked);
		if (n == 0 && len - at < REQUEST_MAX)
			break;
		c->looked = 0;
		reason = "too long";
		used = n == 0 ? 0 : request_parse(&req, bytes + at, n, &reason);
		if (used == 0) {
			stats_add(STATS_MALFORMED, 1);
			maillog_malformed(c->all->maillog, client_name(c, name,
			    sizeof(name)), reason, bytes + at,
			    n > 0 ? n : len - at);
			c->state = CLIENT_ENDED;
			break;
		}
		at += used;
		c->requested = true;
		c->state = CLIENT_WAITING;
		c->all->request(c->all->arg, c, &req);
	}
	return at;
}

/* After its bytes were processed: moves a client to its list, or closes it. */
static void
place_client(struct client *c, bool progress, bool more)
{
	static const struct timeval	 at_once = { 0, 0 };
	struct clients			*all = c->all;
	bool				 begun = c->end > c->start;

	switch (c->state) {
	case CLIENT_ENDED:
		close_client(c);
		return;
	case CLIENT_WAITING:
		move_to_list(c, LIST_NONE, false);
		return;
	case CLIENT_WRITING:
		(void)set_reading(c, false);
		move_to_list(c, LIST_WRITING, true);
		return;
	case CLIENT_READY:
		if (more) {
			(void)set_reading(c, false);
			move_to_list(c, LIST_AGAIN, true);
			evtimer_add(&all->again, &at_once);
			return;
		}
		if (all->stopping && c->requested && !begun) {
			close_client(c);
			return;
		}
		/* The deadline of a request counts from its first byte. */
		move_to_list(c, begun ? LIST_BEGUN : LIST_IDLE,
		    !begun || progress);
		if (!set_reading(c, !all->holding))
			close_client(c);
		/* The oldest incomplete requests make room for others. */
		while (all->buffered > all->most_buffered &&
		    (c = TAILQ_FIRST(&all->list[LIST_BEGUN])) != NULL) {
			stats_add(STATS_CLOSED_SLOW, 1);
			close_client(c);
		}
	}
}

/*
 * Takes requests from `bytes`, which were read while the client's buffer was
 * empty. With a length of 0 it takes them from that buffer.
 */
static void
process_input(struct client *c, const char *bytes, size_t len)
{
	size_t	used = 0;
	bool	more = false;

	c->working = true;
	if (len > 0) {
		used = take_requests(c, bytes, len, &more);
		if (used < len && c->state != CLIENT_ENDED) {
			buffer_room(c, len - used);
			memcpy(c->in, bytes + used, len - used);
			c->end = len - used;
		}
	} else if (c->in != NULL) {
		used = take_requests(c, c->in + c->start, c->end - c->start,
		    &more);
		c->start += used;
		if (c->start == c->end)
			buffer_release(c);
	}
	c->working = false;
	place_client(c, used > 0, more);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct client	*c = arg;
	char		*at = c->all->shared;
	size_t		 size = sizeof(c->all->shared);
	ssize_t		 n;

	(void)what;
	/* An answer or the client's end is due, or all clients are held. */
	if (c->state != CLIENT_READY || c->all->holding) {
		(void)set_reading(c, false);
		return;
	}
	if (c->in != NULL) {
		buffer_room(c, 1);
		at = c->in + c->end;
		size = c->size - c->end;
	}
	if ((n = read(fd, at, size)) == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			close_client(c);
		return;
	}
	if (n == 0)
		close_client(c);
	else if (c->in == NULL)
		process_input(c, at, (size_t)n);
	else {
		c->end += (size_t)n;
		process_input(c, NULL, 0);
	}
}

/* --- answers --- */

/* How much was written; -1: the client has gone. */
static ssize_t
write_bytes(struct client *c, const char *bytes, size_t len)
{
	ssize_t	n;

	while ((n = write(c->fd, bytes, len)) == -1) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return -1;
	}
	return n;
}

void
client_answer(struct client *c, const char *bytes, size_t len)
{
	ssize_t	n;

	c->state = CLIENT_READY;
	if ((n = write_bytes(c, bytes, len)) == -1)
		c->state = CLIENT_ENDED;
	else if ((size_t)n < len) {
		str_add(&c->out, bytes + n, len - (size_t)n);
		c->state = event_add(&c->writable, NULL) == -1 ?
		    CLIENT_ENDED : CLIENT_WRITING;
	}
	if (!c->working)
		process_input(c, NULL, 0);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct client	*c = arg;
	ssize_t		 n;

	(void)fd;
	(void)what;
	n = write_bytes(c, c->out.data + c->written, c->out.len - c->written);
	if (n == -1) {
		close_client(c);
		return;
	}
	c->written += (size_t)n;
	if (c->written < c->out.len) {
		if (event_add(&c->writable, NULL) == -1)
			close_client(c);
		return;
	}
	str_clear(&c->out);
	c->written = 0;
	c->state = CLIENT_READY;
	process_input(c, NULL, 0);
}

/* --- all of them --- */

static void
on_again(int fd, short what, void *arg)
{
	struct clients	*all = arg;
	struct client	*c;
	struct client	*last = TAILQ_LAST(&all->list[LIST_AGAIN],
			    client_list);
	bool		 end = last == NULL;

	(void)fd;
	(void)what;
	while (!end) {
		c = TAILQ_FIRST(&all->list[LIST_AGAIN]);
		end = c == last;
		process_input(c, NULL, 0);
	}
}

static void
on_timer(int fd, short what, void *arg)
{
	struct clients	*all = arg;
	struct client	*c;
	int		 i;

	(void)fd;
	(void)what;
	all->timing = false;
	for (i = all->holding ? LIST_WRITING : 0; i < LIST_TIMED; i++) {
		while ((c = TAILQ_FIRST(&all->list[i])) != NULL &&
		    clock_passed(deadline_of(c), loop_now())) {
			stats_add(i == LIST_IDLE ? STATS_CLOSED_IDLE :
			    STATS_CLOSED_SLOW, 1);
			close_client(c);
		}
		if (c != NULL)
			set_timer(all, deadline_of(c));
	}
}

struct clients *
client_new(struct maillog *maillog,
    void (*request)(void *, struct client *, const struct request *),
    void *arg, const struct client_bounds *bounds)
{
	struct clients	*all = alloc_zero(1, sizeof(*all));
	int		 i;

	for (i = 0; i < LIST__MAX; i++)
		TAILQ_INIT(&all->list[i]);
	all->ms[LIST_BEGUN] = bounds->request_ms;
	all->ms[LIST_WRITING] = bounds->answer_ms;
	all->most = bounds->most;
	all->most_buffered = bounds->buffered;
	all->maillog = maillog;
	all->request = request;
	all->arg = arg;
	evtimer_set(&all->timer, on_timer, all);
	evtimer_set(&all->again, on_again, all);
	return all;
}

void
client_set_idle(struct clients *all, int64_t idle_ms)
{
	struct client	*c;

	all->ms[LIST_IDLE] = idle_ms;
	if ((c = TAILQ_FIRST(&all->list[LIST_IDLE])) != NULL)
		set_timer(all, deadline_of(c));
}

void
client_add(struct clients *all, int fd, const struct client_peer *peer)
{
	struct client	*c;

	c = alloc_zero(1, sizeof(*c));
	c->all = all;
	c->fd = fd;
	c->peer = *peer;
	c->where = LIST_NONE;
	str_init(&c->out);
	event_set(&c->readable, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_set(&c->writable, fd, EV_WRITE, on_writable, c);
	all->count++;
	stats_add(STATS_CONNECTED, 1);
	place_client(c, false, false);
}

const char *
client_name(const struct client *c, char *dst, size_t size)
{
	char	text[ADDR_TEXT_MAX];

	if (c->peer.addr.bits == 0)
		snprintf(dst, size, "unix");
	else
		snprintf(dst, size, "[%s]:%u", addr_format(&c->peer.addr, text,
		    sizeof(text)), (unsigned int)c->peer.port);
	return dst;
}

size_t
client_count(const struct clients *all)
{
	return all->count;
}

bool
client_full(const struct clients *all)
{
	return all->count >= all->most;
}

size_t
client_make_room(struct clients *all, size_t n)
{
	static const enum client_where	order[] = {
		LIST_IDLE, LIST_BEGUN, LIST_WRITING
	};
	struct client			*c;
	size_t				 closed = 0, i;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		while (closed < n &&
		    (c = TAILQ_FIRST(&all->list[order[i]])) != NULL) {
			stats_add(i == 0 ? STATS_CLOSED_IDLE :
			    STATS_CLOSED_SLOW, 1);
			close_client(c);
			closed++;
		}
	return closed;
}

void
client_stop(struct clients *all)
{
	struct client	*c, *next;
	int		 i;

	all->stopping = true;
	for (c = TAILQ_FIRST(&all->list[LIST_IDLE]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		on_readable(c->fd, EV_READ, c);
	}
	for (c = TAILQ_FIRST(&all->list[LIST_IDLE]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->requested)
			close_client(c);
	}
	/* Those that have just come or begun a request get STOP_MS for it. */
	for (i = LIST_IDLE; i <= LIST_BEGUN; i++) {
		if (all->ms[i] > STOP_MS)
			all->ms[i] = STOP_MS;
		if ((c = TAILQ_FIRST(&all->list[i])) != NULL)
			set_timer(all, deadline_of(c));
	}
}

void
client_hold(struct clients *all, bool hold)
{
	struct client	*c;
	struct mono	 now;
	int64_t		 from;
	int		 i;

	if (all->holding == hold)
		return;
	now = loop_now();
	all->holding = hold;
	if (hold) {
		all->since = now;
		return;
	}
	for (i = LIST_IDLE; i <= LIST_BEGUN; i++) {
		/* The time that a client was held does not count. */
		TAILQ_FOREACH(c, &all->list[i], entry) {
			from = c->since.ns > all->since.ns ? c->since.ns :
			    all->since.ns;
			c->since.ns += now.ns - from;
			(void)set_reading(c, true);
		}
		if ((c = TAILQ_FIRST(&all->list[i])) != NULL)
			set_timer(all, deadline_of(c));
	}
}
