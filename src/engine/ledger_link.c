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
#include "lib/log.h"

#define FEED	32		/* charges before an early write */
#define UNREAD_MOST	(QUESTIONS_MAX / 2)

static struct {
	const struct engine *engine;
	struct channel	*channel;
	int		(*answer)(const struct message *);
	void		(*late)(uint64_t, const struct msg_verdict *);
	struct channel	*parent;
	bool		 blocked;	/* waits to be writable */
	unsigned int	 fed;		/* charges since the last write */
	uint64_t	 unread[UNREAD_MOST];	/* questions, oldest first */
	size_t		 nunread;
	struct event	 readable;
	struct event	 writable;
} ledger;

/* NULL: it is lost; the parent sends the next one. */
static void
use_channel(struct channel *channel)
{
	pending_use_channel(ledger.engine->pending, channel);
	replay_channel(ledger.engine->replay, channel);
	refusal_channel(ledger.engine->refusals, channel);
	locks_channel(ledger.engine->locks, channel);
}

static void
drop_ledger(void)
{
	event_del(&ledger.readable);
	event_del(&ledger.writable);
	channel_free(ledger.channel);
	ledger.channel = NULL;
	ledger.blocked = false;
	ledger.nunread = 0;
	blocks_no_list(ledger.engine->blocks);
	use_channel(NULL);
}

/*
 * The ledger has answered a question, at least in part: it has read that one
 * and all before it.
 */
static void
forget_read(uint64_t request)
{
	size_t	i, rest;

	for (i = 0; i < ledger.nunread; i++)
		if (ledger.unread[i] == request)
			break;
	if (i == ledger.nunread)
		return;
	rest = ledger.nunread - (i + 1);
	memmove(ledger.unread, ledger.unread + i + 1,
	    rest * sizeof(ledger.unread[0]));
	ledger.nunread = rest;
}

static int
on_answer(const struct message *m)
{
	forget_read(m->request);
	return ledger.answer(m);
}

/* -1: it is malformed. */
static int
on_message(const struct message *m)
{
	static struct msg_verdict	verdict;
	uint64_t			number;

	switch (m->type) {
	case MSG_SERVING:
		pending_set_serving(ledger.engine->pending);
		locks_send(ledger.engine->locks);
		return 0;
	case MSG_REFUSALS_KEPT:
		if (msg_number_get(&number, m->payload, m->len) == -1)
			return -1;
		refusal_kept(ledger.engine->refusals,
		    (int64_t)(number & INT64_MAX));
		return 0;
	case MSG_OVERRIDES_END:
		/* With a number it ends the answer to a question. */
		if (m->request != 0)
			return on_answer(m);
		if (blocks_message(ledger.engine->blocks, m, loop_now()) == -1)
			return -1;
		locks_again(ledger.engine->locks);
		return 0;
	case MSG_OVERRIDES_BEGIN:
	case MSG_OVERRIDES_PART:
		return blocks_message(ledger.engine->blocks, m, loop_now());
	case MSG_OVERRIDDEN:
		return locks_on_answer(ledger.engine->locks, m) ? 0 :
		    on_answer(m);
	case MSG_VERDICT:
		if (msg_verdict_get(&verdict, m->payload, m->len) == -1)
			return -1;
		if ((m->request & PENDING_NOT) != 0)
			replay_verdict(ledger.engine->replay, m->request,
			    &verdict);
		else if (!pending_verdict(ledger.engine->pending, m->request,
		    &verdict)) {
			forget_read(m->request);
			ledger.late(m->request, &verdict);
		}
		return 0;
	default:
		return on_answer(m);
	}
}

/* After a ledger that broke the rules the parent must start another one. */
static void
lose_ledger(bool broken)
{
	drop_ledger();
	if (broken)
		channel_signal(ledger.parent, MSG_PEER_BROKEN, 0);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct message	m;
	int		r;

	(void)fd;
	(void)what;
	(void)arg;
	if (channel_read(ledger.channel) == -1) {
		/*
		 * The fault is this process's. The parent would not send
		 * another channel, so the next engine must take over.
		 */
		if (errno != 0 && errno != EBADMSG)
			log_fatal("channel to the ledger: %s", strerror(errno));
		lose_ledger(errno == EBADMSG);
		return;
	}
	while ((r = channel_next(ledger.channel, &m)) == 1)
		if (on_message(&m) == -1) {
			log_error("malformed message from the ledger");
			r = -1;
			break;
		}
	if (r == -1)
		lose_ledger(true);
}

static void
on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	/* The flush at the end of this turn tries again. */
	ledger.blocked = false;
}

void
ledger_link_flush(void)
{
	size_t	queued;
	int	written;

	client_hold(ledger.engine->clients,
	    pending_full(ledger.engine->pending));
	ledger.fed = 0;
	while (ledger.channel != NULL && !ledger.blocked) {
		/*
		 * First what was accepted without the database, so that the
		 * ledger's next verdicts include it.
		 */
		if (replay_send(ledger.engine->replay))
			pending_send(ledger.engine->pending);
		if (pending_is_serving(ledger.engine->pending))
			refusal_send(ledger.engine->refusals);
		if ((queued = channel_queued(ledger.channel)) == 0)
			return;
		if ((written = channel_flush(ledger.channel)) == 1) {
			if (queued < CHANNEL_HIGH)
				return;
			continue;
		}
		/* If it has ended, its last messages are read first. */
		if ((written == -1 && errno != EPIPE && errno != ECONNRESET) ||
		    (written == 0 && event_add(&ledger.writable, NULL) == -1))
			log_fatal("channel to the ledger: %s", strerror(errno));
		ledger.blocked = true;
	}
}

void
ledger_feed(void)
{
	if (++ledger.fed >= FEED)
		ledger_link_flush();
}

void
ledger_init(const struct engine *engine, struct channel *parent,
    int (*answer)(const struct message *),
    void (*late)(uint64_t, const struct msg_verdict *))
{
	ledger.engine = engine;
	ledger.answer = answer;
	ledger.late = late;
	ledger.parent = parent;
}

void
ledger_set(struct channel *channel)
{
	int	fd = channel_fd(channel);

	if (ledger.channel != NULL)
		drop_ledger();
	ledger.channel = channel;
	event_set(&ledger.readable, fd, EV_READ | EV_PERSIST,
	    on_readable, NULL);
	event_set(&ledger.writable, fd, EV_WRITE, on_writable, NULL);
	if (event_add(&ledger.readable, NULL) == -1)
		log_fatal("channel to the ledger: %s", strerror(errno));
	use_channel(channel);
}

bool
ledger_there(void)
{
	return ledger.channel != NULL;
}

bool
ledger_send(enum message_type type, uint64_t request, const struct str *payload)
{
	/*
	 * One that still looks for its database would not answer, and one that
	 * reads no questions does not soon.
	 */
	if (ledger.channel == NULL ||
	    !pending_is_serving(ledger.engine->pending) ||
	    ledger.nunread == UNREAD_MOST)
		return false;
	ledger.unread[ledger.nunread++] = request;
	/* A search must find what was refused before it. */
	if (type == MSG_SEARCH || type == MSG_TOP) {
		refusal_settle(ledger.engine->refusals);
		refusal_send(ledger.engine->refusals);
	}
	channel_send(ledger.channel, type, request, payload, -1);
	return true;
}
