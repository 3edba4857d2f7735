#include <sys/types.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/client.h"
#include "engine/ledger_link.h"
#include "engine/locks.h"
#include "engine/pending.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/loop_clock.h"
#include "lib/log.h"

#define FEED	32		/* charges before an early write */

static struct {
	struct channel	*channel;
	int		(*answer)(const struct message *);
	void		(*late)(uint64_t, const struct msg_verdict *);
	bool		 blocked;	/* waits to be writable */
	unsigned int	 fed;		/* charges since the last write */
	struct event	 readable;
	struct event	 writable;
} ledger;

/* The parent sends the next channel. */
static void
ledger_lost(void)
{
	event_del(&ledger.readable);
	event_del(&ledger.writable);
	channel_free(ledger.channel);
	ledger.channel = NULL;
	ledger.blocked = false;
	blocks_missed();
	pending_channel(NULL);
	replay_channel(NULL);
	refusal_channel(NULL);
	locks_channel(NULL);
}

static int
ledger_override(const struct message *m)
{
	if (blocks_message(m, loop_now()) == -1)
		return -1;
	if (m->type == MSG_OVERRIDES_END)
		locks_again();
	return 0;
}

static int
ledger_message(const struct message *m)
{
	static struct msg_verdict	verdict;
	uint64_t			number;

	if (m->type == MSG_SERVING) {
		pending_serving();
		locks_send();
		return 0;
	}
	if (m->type == MSG_REFUSALS_KEPT) {
		if (msg_number_get(&number, m->payload, m->len) == -1)
			return -1;
		refusal_kept((int64_t)(number & INT64_MAX));
		return 0;
	}
	/* With a number it ends the answer to a question. */
	if (m->type == MSG_OVERRIDES_BEGIN || m->type == MSG_OVERRIDES_PART ||
	    (m->type == MSG_OVERRIDES_END && m->request == 0))
		return ledger_override(m);
	if (m->type == MSG_OVERRIDDEN && locks_on_answer(m))
		return 0;
	if (m->type != MSG_VERDICT)
		return ledger.answer(m);
	if (msg_verdict_get(&verdict, m->payload, m->len) == -1)
		return -1;
	if ((m->request & PENDING_NOT) != 0)
		replay_verdict(m->request, &verdict);
	else if (!pending_verdict(m->request, &verdict))
		ledger.late(m->request, &verdict);
	return 0;
}

static void
ledger_on_readable(int fd, short what, void *arg)
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
		ledger_lost();
		return;
	}
	while ((r = channel_next(ledger.channel, &m)) == 1)
		if (ledger_message(&m) == -1) {
			log_error("malformed message from the ledger");
			r = -1;
			break;
		}
	if (r == -1)
		ledger_lost();
}

static void
ledger_on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	/* The flush at the end of this turn tries again. */
	ledger.blocked = false;
}

/* 1: written, there may be more; 0: nothing to write, or not possible now. */
static int
ledger_write(void)
{
	/*
	 * First what was accepted without the database, so that the ledger's
	 * next verdicts include it.
	 */
	replay_send();
	if (!replay_behind())
		pending_send();
	if (pending_is_serving())
		refusal_send();
	if (channel_queued(ledger.channel) == 0)
		return 0;
	switch (channel_flush(ledger.channel)) {
	case 1:
		return 1;
	case 0:
		if (event_add(&ledger.writable, NULL) == -1)
			log_fatal("channel to the ledger: %s", strerror(errno));
		ledger.blocked = true;
		return 0;
	default:
		if (errno != EPIPE && errno != ECONNRESET)
			log_fatal("channel to the ledger: %s", strerror(errno));
		/* The ledger has ended: its last messages are read first. */
		ledger.blocked = true;
		return 0;
	}
}

void
ledger_flush(void)
{
	client_hold(pending_full());
	ledger.fed = 0;
	if (ledger.channel == NULL)
		return;
	while (!ledger.blocked && ledger_write() == 1)
		;
}

void
ledger_feed(void)
{
	if (++ledger.fed >= FEED)
		ledger_flush();
}

void
ledger_init(int (*answer)(const struct message *),
    void (*late)(uint64_t, const struct msg_verdict *))
{
	ledger.answer = answer;
	ledger.late = late;
}

void
ledger_set(struct channel *channel)
{
	int	fd = channel_fd(channel);

	if (ledger.channel != NULL)
		ledger_lost();
	ledger.channel = channel;
	event_set(&ledger.readable, fd, EV_READ | EV_PERSIST,
	    ledger_on_readable, NULL);
	event_set(&ledger.writable, fd, EV_WRITE, ledger_on_writable, NULL);
	if (event_add(&ledger.readable, NULL) == -1)
		log_fatal("channel to the ledger: %s", strerror(errno));
	pending_channel(channel);
	replay_channel(channel);
	refusal_channel(channel);
	locks_channel(channel);
}

bool
ledger_there(void)
{
	return ledger.channel != NULL;
}

bool
ledger_send(enum message_type type, uint64_t request, const struct str *payload)
{
	/* One that still looks for its database would not answer. */
	if (ledger.channel == NULL || !pending_is_serving())
		return false;
	/* A search must find what was refused before it. */
	if (type == MSG_SEARCH || type == MSG_TOP) {
		refusal_settle();
		refusal_send();
	}
	channel_send(ledger.channel, type, request, payload, -1);
	return true;
}
