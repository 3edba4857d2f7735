#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>

#include "engine/pending.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define CHUNK		64	/* slots allocated together */
#define KEEP		1024	/* bytes; larger memory is freed */
#define USE		(UINT64_C(1) << 32)	/* a number's next use */

TAILQ_HEAD(pending_list, pending);

/* `waiting` is ordered by deadline; the `unsent` ones are at its end. */
static struct {
	struct pending_list	 waiting;
	struct pending_list	 unused;
	struct pending		*unsent;
	struct pending		**slots;
	size_t			 nslots;
	size_t			 count;
	size_t			 bytes;		/* of waiting charges */
	struct channel		*ledger;
	bool			 serving;	/* has its database */
	struct mono		 lost;		/* when the last one ended */
	struct mono		 last;		/* the latest deadline */
	bool			 timing;
	struct mono		 timed;		/* expiry of the timer */
	struct event		 timer;
	void			(*answer)(struct pending *,
				    const struct msg_verdict *);
} pending;

/*
 * Sets the timer for the earliest deadline. When that request is answered, the
 * timer stays as it is.
 */
static void
set_timer(struct mono deadline)
{
	struct timeval	tv;
	int		ms;

	if (pending.timing && pending.timed.ns <= deadline.ns)
		return;
	ms = clock_left(deadline, loop_now());
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&pending.timer, &tv);
	pending.timed = deadline;
	pending.timing = true;
}

/* --- slots --- */

static struct pending *
take_slot(void)
{
	struct pending	*p;
	size_t		 i;

	if (TAILQ_EMPTY(&pending.unused)) {
		p = alloc_zero(CHUNK, sizeof(*p));
		pending.slots = alloc_resize(pending.slots,
		    pending.nslots + CHUNK, sizeof(p));
		for (i = 0; i < CHUNK; i++) {
			p[i].number = pending.nslots;
			pending.slots[pending.nslots++] = &p[i];
			TAILQ_INSERT_TAIL(&pending.unused, &p[i], entry);
		}
	}
	p = TAILQ_FIRST(&pending.unused);
	TAILQ_REMOVE(&pending.unused, p, entry);
	p->number = (p->number + USE) & ~PENDING_NOT;
	p->used = true;
	return p;
}

/* Answers, and frees the slot. */
static void
answer_request(struct pending *p, const struct msg_verdict *verdict)
{
	struct policy	*policy = p->policy;

	if (pending.unsent == p)
		pending.unsent = TAILQ_NEXT(p, entry);
	TAILQ_REMOVE(&pending.waiting, p, entry);
	pending.count--;
	pending.bytes -= p->charge.len;
	p->used = false;
	pending.answer(p, verdict);
	if (p->charge.size > KEEP)
		str_clear(&p->charge);
	TAILQ_INSERT_HEAD(&pending.unused, p, entry);
	policy_drop(policy);
}

/* --- deadlines --- */

static const struct msg_verdict	none = { .verdict = VERDICT_UNAVAILABLE };

static void
on_timer(int fd, short what, void *arg)
{
	struct pending	*p;

	(void)fd;
	(void)what;
	(void)arg;
	pending.timing = false;
	while ((p = TAILQ_FIRST(&pending.waiting)) != NULL &&
	    clock_passed(p->deadline, loop_now()))
		answer_request(p, &none);
	if (p != NULL)
		set_timer(p->deadline);
}

void
pending_give_up(void)
{
	struct pending	*p;

	while ((p = TAILQ_FIRST(&pending.waiting)) != NULL)
		answer_request(p, &none);
}

/* --- the ledger --- */

void
pending_send(void)
{
	struct pending	*p;

	if (pending.ledger == NULL)
		return;
	while ((p = pending.unsent) != NULL &&
	    channel_queued(pending.ledger) < CHANNEL_HIGH) {
		channel_send(pending.ledger, MSG_CHARGE, p->number,
		    &p->charge, -1);
		pending.unsent = TAILQ_NEXT(p, entry);
	}
}

void
pending_use_channel(struct channel *ledger)
{
	struct pending	*p;

	if (pending.serving)
		pending.lost = loop_now();
	pending.serving = false;
	for (p = TAILQ_FIRST(&pending.waiting); p != pending.unsent;
	    p = TAILQ_NEXT(p, entry))
		p->again = true;
	pending.ledger = ledger;
	pending.unsent = TAILQ_FIRST(&pending.waiting);
}

void
pending_set_serving(void)
{
	pending.serving = true;
}

bool
pending_is_serving(void)
{
	return pending.serving;
}

void
pending_add(struct client *client, struct policy *policy,
    const struct request *req, struct applied *a)
{
	struct pending	*p = take_slot();
	struct mono	 now = loop_now(), deadline;
	int64_t		 timeout = policy->settings->db_timeout;

	p->client = client;
	p->policy = policy_take(policy);
	p->began = now;
	p->again = false;
	p->bare = a->reason != REASON_CHARGED;
	p->reason = a->reason;
	maillog_about(&p->about, req, a->identity);
	p->about.exempt = a->exempt;
	/*
	 * The deadline is db_timeout from now. If no ledger has served for
	 * longer than db_timeout, it is now: while a server is away, ledgers
	 * come and go. It is never before the deadline of an older request, so
	 * that the list stays in order.
	 */
	deadline = clock_after(pending.serving ? now : pending.lost, timeout);
	if (deadline.ns < now.ns)
		deadline = now;
	if (deadline.ns < pending.last.ns && pending.count > 0)
		deadline = pending.last;
	pending.last = p->deadline = deadline;
	/*
	 * The ledger gives up a little earlier, so that hardly any charge is
	 * recorded after db_error_action was the answer.
	 */
	a->charge.deadline = deadline.ns - timeout * (1000000 / 8);
	a->charge.date = 0;
	p->charge.len = 0;
	msg_charge_put(&p->charge, &a->charge);
	pending.bytes += p->charge.len;
	pending.count++;
	TAILQ_INSERT_TAIL(&pending.waiting, p, entry);
	if (pending.unsent == NULL)
		pending.unsent = p;
	set_timer(deadline);
}

bool
pending_verdict(uint64_t request, const struct msg_verdict *verdict)
{
	uint64_t	 index = request % USE;
	struct pending	*p;

	if (index >= pending.nslots)
		return false;
	p = pending.slots[index];
	if (!p->used || p->number != request)
		return false;
	answer_request(p, verdict);
	return true;
}

struct msg_charge *
pending_charge(const struct pending *p)
{
	static struct msg_charge	charge;

	if (msg_charge_get(&charge, p->charge.data, p->charge.len) == -1)
		log_fatal("a charge of our own is broken");
	return &charge;
}

size_t
pending_count(void)
{
	return pending.count;
}

int64_t
pending_oldest(void)
{
	const struct pending	*p = TAILQ_FIRST(&pending.waiting);
	int64_t			 ns;

	if (p == NULL)
		return 0;
	ns = clock_between(p->began, loop_now());
	return ns > 0 ? ns : 0;
}

bool
pending_full(void)
{
	return pending.bytes > PENDING_BYTES_MAX;
}

void
pending_init(void (*answer)(struct pending *, const struct msg_verdict *))
{
	TAILQ_INIT(&pending.waiting);
	TAILQ_INIT(&pending.unused);
	pending.answer = answer;
	pending.lost = loop_now();
	evtimer_set(&pending.timer, on_timer, NULL);
}
