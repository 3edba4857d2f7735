#include <sys/types.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/ledger_link.h"
#include "engine/locks.h"
#include "engine/pending.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define FEED	32		/* charges before an early write */
#define UNREAD_MOST	(QUESTIONS_MAX / 2)

struct ledger_link {
	const struct engine	*engine;
	struct channel		*channel;
	int			(*answer)(const struct engine *,
				    const struct message *);
	void			(*late)(const struct engine *, uint64_t,
				    const struct msg_verdict *);
	struct channel		*parent;
	bool			 blocked;	/* waits to be writable */
	unsigned int		 fed;		/* charges since a write */
	/* Questions, the oldest first. */
	uint64_t		 unread[UNREAD_MOST];
	size_t			 nunread;
	struct event		 readable;
	struct event		 writable;
	/* The verdict that on_message takes. */
	struct msg_verdict	 verdict;
};

/* NULL: it is lost; the parent sends the next one. */
static void
use_channel(const struct engine *engine, struct channel *channel)
{
	pending_use_channel(engine->pending, channel);
	replay_channel(engine->replay, channel);
	refusal_channel(engine->refusals, channel);
	locks_channel(engine->locks, channel);
}

static void
drop_ledger(struct ledger_link *l)
{
	event_del(&l->readable);
	event_del(&l->writable);
	channel_free(l->channel);
	l->channel = NULL;
	l->blocked = false;
	l->nunread = 0;
	blocks_no_list(l->engine->blocks);
	use_channel(l->engine, NULL);
}

/*
 * The ledger has answered a question, at least in part: it has read that one
 * and all before it.
 */
static void
forget_read(struct ledger_link *l, uint64_t request)
{
	size_t	i, rest;

	for (i = 0; i < l->nunread; i++)
		if (l->unread[i] == request)
			break;
	if (i == l->nunread)
		return;
	rest = l->nunread - (i + 1);
	memmove(l->unread, l->unread + i + 1, rest * sizeof(l->unread[0]));
	l->nunread = rest;
}

static int
on_answer(struct ledger_link *l, const struct message *m)
{
	forget_read(l, m->request);
	return l->answer(l->engine, m);
}

/* -1: it is malformed. */
static int
on_message(struct ledger_link *l, const struct message *m)
{
	const struct engine	*engine = l->engine;
	struct msg_verdict	*v = &l->verdict;
	uint64_t		 number;

	switch (m->type) {
	case MSG_SERVING:
		pending_set_serving(engine->pending);
		locks_send(engine->locks);
		return 0;
	case MSG_REFUSALS_KEPT:
		if (msg_number_get(&number, m->payload, m->len) == -1)
			return -1;
		refusal_kept(engine->refusals, (int64_t)(number & INT64_MAX));
		return 0;
	case MSG_OVERRIDES_END:
		/* With a number it ends the answer to a question. */
		if (m->request != 0)
			return on_answer(l, m);
		if (blocks_message(engine->blocks, m, loop_now()) == -1)
			return -1;
		locks_again(engine->locks);
		return 0;
	case MSG_OVERRIDES_BEGIN:
	case MSG_OVERRIDES_PART:
		return blocks_message(engine->blocks, m, loop_now());
	case MSG_OVERRIDDEN:
		return locks_on_answer(engine->locks, m) ? 0 : on_answer(l, m);
	case MSG_VERDICT:
		if (msg_verdict_get(v, m->payload, m->len) == -1)
			return -1;
		if ((m->request & PENDING_NOT) != 0)
			replay_verdict(engine->replay, m->request, v);
		else if (!pending_verdict(engine->pending, m->request, v)) {
			forget_read(l, m->request);
			l->late(engine, m->request, v);
		}
		return 0;
	default:
		return on_answer(l, m);
	}
}

/* After a ledger that broke the rules the parent must start another one. */
static void
lose_ledger(struct ledger_link *l, bool broken)
{
	drop_ledger(l);
	if (broken)
		channel_signal(l->parent, MSG_PEER_BROKEN, 0);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct ledger_link	*l = arg;
	struct message		 m;
	int			 r;

	(void)fd;
	(void)what;
	if (channel_read(l->channel) == -1) {
		/*
		 * The fault is this process's. The parent would not send
		 * another channel, so the next engine must take over.
		 */
		if (errno != 0 && errno != EBADMSG)
			log_fatal("channel to the ledger: %s", strerror(errno));
		lose_ledger(l, errno == EBADMSG);
		return;
	}
	while ((r = channel_next(l->channel, &m)) == 1)
		if (on_message(l, &m) == -1) {
			log_error("malformed message from the ledger");
			r = -1;
			break;
		}
	if (r == -1)
		lose_ledger(l, true);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct ledger_link	*l = arg;

	(void)fd;
	(void)what;
	/* The flush at the end of this turn tries again. */
	l->blocked = false;
}

void
ledger_link_flush(struct ledger_link *l)
{
	const struct engine	*engine = l->engine;
	size_t			 queued;
	int			 written;

	client_hold(engine->clients, pending_full(engine->pending));
	l->fed = 0;
	while (l->channel != NULL && !l->blocked) {
		/*
		 * First what was accepted without the database, so that the
		 * ledger's next verdicts include it.
		 */
		if (replay_send(engine->replay))
			pending_send(engine->pending);
		if (pending_is_serving(engine->pending))
			refusal_send(engine->refusals);
		if ((queued = channel_queued(l->channel)) == 0)
			return;
		if ((written = channel_flush(l->channel)) == 1) {
			if (queued < CHANNEL_HIGH)
				return;
			continue;
		}
		/* If it has ended, its last messages are read first. */
		if ((written == -1 && errno != EPIPE && errno != ECONNRESET) ||
		    (written == 0 && event_add(&l->writable, NULL) == -1))
			log_fatal("channel to the ledger: %s", strerror(errno));
		l->blocked = true;
	}
}

void
ledger_link_feed(struct ledger_link *l)
{
	if (++l->fed >= FEED)
		ledger_link_flush(l);
}

struct ledger_link *
ledger_link_new(const struct engine *engine, struct channel *parent,
    int (*answer)(const struct engine *, const struct message *),
    void (*late)(const struct engine *, uint64_t, const struct msg_verdict *))
{
	struct ledger_link	*l = alloc_zero(1, sizeof(*l));

	l->engine = engine;
	l->answer = answer;
	l->late = late;
	l->parent = parent;
	return l;
}

void
ledger_link_set(struct ledger_link *l, struct channel *channel)
{
	int	fd = channel_fd(channel);

	if (l->channel != NULL)
		drop_ledger(l);
	l->channel = channel;
	event_set(&l->readable, fd, EV_READ | EV_PERSIST, on_readable, l);
	event_set(&l->writable, fd, EV_WRITE, on_writable, l);
	if (event_add(&l->readable, NULL) == -1)
		log_fatal("channel to the ledger: %s", strerror(errno));
	use_channel(l->engine, channel);
}

bool
ledger_link_there(const struct ledger_link *l)
{
	return l->channel != NULL;
}

bool
ledger_link_send(struct ledger_link *l, enum message_type type,
    uint64_t request, const struct str *payload)
{
	/*
	 * One that still looks for its database would not answer, and one that
	 * reads no questions does not soon.
	 */
	if (l->channel == NULL || !pending_is_serving(l->engine->pending) ||
	    l->nunread == UNREAD_MOST)
		return false;
	l->unread[l->nunread++] = request;
	/* A search must find what was refused before it. */
	if (type == MSG_SEARCH || type == MSG_TOP) {
		refusal_settle(l->engine->refusals);
		refusal_send(l->engine->refusals);
	}
	channel_send(l->channel, type, request, payload, -1);
	return true;
}
