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
struct pending_queue {
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
	void			(*answer)(void *, struct pending *,
				    const struct msg_verdict *);
	void			*arg;
};

/*
 * Sets the timer for the earliest deadline. When that request is answered, the
 * timer stays as it is.
 */
static void
set_timer(struct pending_queue *q, struct mono deadline)
{
	struct timeval	tv;
	int		ms;

	if (q->timing && q->timed.ns <= deadline.ns)
		return;
	ms = clock_left(deadline, loop_now());
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&q->timer, &tv);
	q->timed = deadline;
	q->timing = true;
}

/* --- slots --- */

static struct pending *
take_slot(struct pending_queue *q)
{
	struct pending	*p;
	size_t		 i;

	if (TAILQ_EMPTY(&q->unused)) {
		p = alloc_zero(CHUNK, sizeof(*p));
		q->slots = alloc_resize(q->slots, q->nslots + CHUNK,
		    sizeof(p));
		for (i = 0; i < CHUNK; i++) {
			p[i].number = q->nslots;
			q->slots[q->nslots++] = &p[i];
			TAILQ_INSERT_TAIL(&q->unused, &p[i], entry);
		}
	}
	p = TAILQ_FIRST(&q->unused);
	TAILQ_REMOVE(&q->unused, p, entry);
	p->number = (p->number + USE) & ~PENDING_NOT;
	p->used = true;
	return p;
}

/* Answers, and frees the slot. */
static void
answer_request(struct pending_queue *q, struct pending *p,
    const struct msg_verdict *verdict)
{
	struct policy	*policy = p->policy;

	if (q->unsent == p)
		q->unsent = TAILQ_NEXT(p, entry);
	TAILQ_REMOVE(&q->waiting, p, entry);
	q->count--;
	q->bytes -= p->charge.len;
	p->used = false;
	q->answer(q->arg, p, verdict);
	if (p->charge.size > KEEP)
		str_clear(&p->charge);
	TAILQ_INSERT_HEAD(&q->unused, p, entry);
	policy_drop(policy);
}

/* --- deadlines --- */

static const struct msg_verdict	none = { .verdict = VERDICT_UNAVAILABLE };

static void
on_timer(int fd, short what, void *arg)
{
	struct pending_queue	*q = arg;
	struct pending		*p;

	(void)fd;
	(void)what;
	q->timing = false;
	while ((p = TAILQ_FIRST(&q->waiting)) != NULL &&
	    clock_passed(p->deadline, loop_now()))
		answer_request(q, p, &none);
	if (p != NULL)
		set_timer(q, p->deadline);
}

void
pending_give_up(struct pending_queue *q)
{
	struct pending	*p;

	while ((p = TAILQ_FIRST(&q->waiting)) != NULL)
		answer_request(q, p, &none);
}

/* --- the ledger --- */

void
pending_send(struct pending_queue *q)
{
	struct pending	*p;

	if (q->ledger == NULL)
		return;
	while ((p = q->unsent) != NULL &&
	    channel_queued(q->ledger) < CHANNEL_HIGH) {
		channel_send(q->ledger, MSG_CHARGE, p->number, &p->charge, -1);
		q->unsent = TAILQ_NEXT(p, entry);
	}
}

void
pending_use_channel(struct pending_queue *q, struct channel *ledger)
{
	struct pending	*p;

	if (q->serving)
		q->lost = loop_now();
	q->serving = false;
	for (p = TAILQ_FIRST(&q->waiting); p != q->unsent;
	    p = TAILQ_NEXT(p, entry))
		p->again = true;
	q->ledger = ledger;
	q->unsent = TAILQ_FIRST(&q->waiting);
}

void
pending_set_serving(struct pending_queue *q)
{
	q->serving = true;
}

bool
pending_is_serving(const struct pending_queue *q)
{
	return q->serving;
}

void
pending_add(struct pending_queue *q, struct client *client,
    struct policy *policy, const struct request *req, struct applied *a)
{
	struct pending	*p = take_slot(q);
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
	deadline = clock_after(q->serving ? now : q->lost, timeout);
	if (deadline.ns < now.ns)
		deadline = now;
	if (deadline.ns < q->last.ns && q->count > 0)
		deadline = q->last;
	q->last = p->deadline = deadline;
	/*
	 * The ledger gives up a little earlier, so that hardly any charge is
	 * recorded after db_error_action was the answer.
	 */
	a->charge.deadline = deadline.ns - timeout * (1000000 / 8);
	a->charge.date = 0;
	p->charge.len = 0;
	msg_charge_put(&p->charge, &a->charge);
	q->bytes += p->charge.len;
	q->count++;
	TAILQ_INSERT_TAIL(&q->waiting, p, entry);
	if (q->unsent == NULL)
		q->unsent = p;
	set_timer(q, deadline);
}

bool
pending_verdict(struct pending_queue *q, uint64_t request,
    const struct msg_verdict *verdict)
{
	uint64_t	 index = request % USE;
	struct pending	*p;

	if (index >= q->nslots)
		return false;
	p = q->slots[index];
	if (!p->used || p->number != request)
		return false;
	answer_request(q, p, verdict);
	return true;
}

void
pending_charge(const struct pending *p, struct msg_charge *charge)
{
	if (msg_charge_get(charge, p->charge.data, p->charge.len) == -1)
		log_fatal("a charge of our own is broken");
}

size_t
pending_count(const struct pending_queue *q)
{
	return q->count;
}

int64_t
pending_oldest(const struct pending_queue *q)
{
	const struct pending	*p = TAILQ_FIRST(&q->waiting);
	int64_t			 ns;

	if (p == NULL)
		return 0;
	ns = clock_between(p->began, loop_now());
	return ns > 0 ? ns : 0;
}

bool
pending_full(const struct pending_queue *q)
{
	return q->bytes > PENDING_BYTES_MAX;
}

struct pending_queue *
pending_new(void (*answer)(void *, struct pending *,
    const struct msg_verdict *), void *arg)
{
	struct pending_queue	*q = alloc_zero(1, sizeof(*q));

	TAILQ_INIT(&q->waiting);
	TAILQ_INIT(&q->unused);
	q->answer = answer;
	q->arg = arg;
	q->lost = loop_now();
	evtimer_set(&q->timer, on_timer, q);
	return q;
}
