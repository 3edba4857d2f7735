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

/*
 * The low bits of a slot's number are its index, the others change with each
 * use.
 */
struct slot {
	struct pending		 pending;	/* the public part */
	TAILQ_ENTRY(slot)	 entry;
	struct mono		 deadline;
	bool			 used;
};

TAILQ_HEAD(slot_list, slot);

/* `waiting` is ordered by deadline; the `unsent` ones are at its end. */
static struct {
	struct slot_list	 waiting;
	struct slot_list	 unused;
	struct slot		*unsent;
	struct slot		**slots;
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
pending_time(struct mono deadline)
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

static struct slot *
slot_take(void)
{
	struct slot	*slot;
	size_t		 i;

	if (TAILQ_EMPTY(&pending.unused)) {
		slot = alloc_zero(CHUNK, sizeof(*slot));
		pending.slots = alloc_resize(pending.slots,
		    pending.nslots + CHUNK, sizeof(slot));
		for (i = 0; i < CHUNK; i++) {
			slot[i].pending.number = pending.nslots;
			pending.slots[pending.nslots++] = &slot[i];
			TAILQ_INSERT_TAIL(&pending.unused, &slot[i], entry);
		}
	}
	slot = TAILQ_FIRST(&pending.unused);
	TAILQ_REMOVE(&pending.unused, slot, entry);
	slot->pending.number = (slot->pending.number + USE) & ~PENDING_NOT;
	slot->used = true;
	return slot;
}

/* Answers, and frees the slot. */
static void
slot_settle(struct slot *slot, const struct msg_verdict *verdict)
{
	struct policy	*policy = slot->pending.policy;

	if (pending.unsent == slot)
		pending.unsent = TAILQ_NEXT(slot, entry);
	TAILQ_REMOVE(&pending.waiting, slot, entry);
	pending.count--;
	pending.bytes -= slot->pending.charge.len;
	slot->used = false;
	pending.answer(&slot->pending, verdict);
	if (slot->pending.charge.size > KEEP)
		str_clear(&slot->pending.charge);
	TAILQ_INSERT_HEAD(&pending.unused, slot, entry);
	policy_drop(policy);
}

/* --- deadlines --- */

static const struct msg_verdict	none = { .verdict = VERDICT_UNAVAILABLE };

static void
pending_on_timer(int fd, short what, void *arg)
{
	struct slot	*slot;

	(void)fd;
	(void)what;
	(void)arg;
	pending.timing = false;
	while ((slot = TAILQ_FIRST(&pending.waiting)) != NULL &&
	    clock_passed(slot->deadline, loop_now()))
		slot_settle(slot, &none);
	if (slot != NULL)
		pending_time(slot->deadline);
}

void
pending_give_up(void)
{
	struct slot	*slot;

	while ((slot = TAILQ_FIRST(&pending.waiting)) != NULL)
		slot_settle(slot, &none);
}

/* --- the ledger --- */

void
pending_send(void)
{
	struct slot	*slot;

	if (pending.ledger == NULL)
		return;
	while ((slot = pending.unsent) != NULL &&
	    channel_queued(pending.ledger) < CHANNEL_HIGH) {
		channel_send(pending.ledger, MSG_CHARGE,
		    slot->pending.number, &slot->pending.charge, -1);
		pending.unsent = TAILQ_NEXT(slot, entry);
	}
}

void
pending_channel(struct channel *ledger)
{
	struct slot	*slot;

	if (pending.serving)
		pending.lost = loop_now();
	pending.serving = false;
	for (slot = TAILQ_FIRST(&pending.waiting); slot != pending.unsent;
	    slot = TAILQ_NEXT(slot, entry))
		slot->pending.again = true;
	pending.ledger = ledger;
	pending.unsent = TAILQ_FIRST(&pending.waiting);
}

void
pending_serving(void)
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
	struct slot	*slot = slot_take();
	struct pending	*p = &slot->pending;
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
	pending.last = slot->deadline = deadline;
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
	TAILQ_INSERT_TAIL(&pending.waiting, slot, entry);
	if (pending.unsent == NULL)
		pending.unsent = slot;
	pending_time(deadline);
}

bool
pending_verdict(uint64_t request, const struct msg_verdict *verdict)
{
	uint64_t	 index = request % USE;
	struct slot	*slot;

	if (index >= pending.nslots)
		return false;
	slot = pending.slots[index];
	if (!slot->used || slot->pending.number != request)
		return false;
	slot_settle(slot, verdict);
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
	const struct slot	*slot = TAILQ_FIRST(&pending.waiting);
	int64_t			 ns;

	if (slot == NULL)
		return 0;
	ns = clock_between(slot->pending.began, loop_now());
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
	evtimer_set(&pending.timer, pending_on_timer, NULL);
}
