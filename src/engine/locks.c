#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decision/lock.h"
#include "engine/blocks.h"
#include "engine/locks.h"
#include "engine/pending.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define WAITING_MOST	(QUESTIONS_MAX / 4)	/* sent, not answered */

struct unrecorded {
	uint64_t	number;		/* of its request; 0: not sent */
	struct override	lock;
	struct override	record;
};

static struct {
	struct unrecorded	*list;
	size_t			 n;
	uint64_t		 number;	/* last one given */
	uint64_t		 recorded;	/* since last logged */
	struct channel		*ledger;
} locks;

static void
copy_lock(struct override *to, const struct override *o)
{
	*to = *o;
	to->id = alloc_copy(o->id, o->idlen);
	to->who = alloc_copy(o->who, o->wholen);
	to->reason = "";
	to->reasonlen = 0;
}

static void
clear_lock(struct override *o)
{
	free((void *)(uintptr_t)o->id);
	free((void *)(uintptr_t)o->who);
}

void
locks_again(void)
{
	size_t	i;

	for (i = 0; i < locks.n; i++) {
		(void)override_list_set(blocks_list(), &locks.list[i].lock);
		(void)override_list_set(blocks_list(), &locks.list[i].record);
	}
}

void
locks_channel(struct channel *ledger)
{
	size_t	i;

	for (i = 0; i < locks.n; i++)
		locks.list[i].number = 0;
	locks.ledger = ledger;
}

void
locks_send(void)
{
	struct msg_override	 m;
	struct unrecorded	*l;
	struct str		 payload;
	size_t			 i, waiting = 0;

	for (i = 0; i < locks.n; i++)
		waiting += locks.list[i].number != 0;
	for (i = 0; i < locks.n && locks.ledger != NULL &&
	    waiting < WAITING_MOST; i++) {
		l = &locks.list[i];
		if (l->number != 0 ||
		    channel_queued(locks.ledger) >= CHANNEL_HIGH)
			continue;
		memset(&m, 0, sizeof(m));
		m.kind = OVERRIDE_LOCK;
		m.amount = l->lock.amount;
		m.since = l->lock.since;
		m.until = l->lock.until;
		m.who = l->lock.who;
		m.wholen = l->lock.wholen;
		m.reason = "";
		m.nids = 1;
		m.id[0] = l->lock.id;
		m.idlen[0] = l->lock.idlen;
		l->number = ++locks.number | PENDING_NOT;
		waiting++;
		str_init(&payload);
		msg_override_put(&payload, &m);
		channel_send(locks.ledger, MSG_OVERRIDE, l->number, &payload,
		    -1);
		str_clear(&payload);
	}
}

bool
locks_on_answer(const struct message *m)
{
	static struct msg_overridden	 answer;
	struct unrecorded		*l;
	size_t				 i;

	for (i = 0; i < locks.n; i++)
		if (locks.list[i].number != 0 &&
		    locks.list[i].number == m->request)
			break;
	if (i == locks.n)
		return (m->request & PENDING_NOT) != 0;
	l = &locks.list[i];
	l->number = 0;
	if (msg_overridden_get(&answer, m->payload, m->len) == -1 ||
	    answer.result != OVERRIDE_DONE)
		return true;
	clear_lock(&l->lock);
	clear_lock(&l->record);
	*l = locks.list[--locks.n];
	locks.recorded++;
	locks_send();
	if (locks.n == 0) {
		log_notice("what was locked without the database is recorded: "
		    "%" PRIu64 " lock%s", locks.recorded,
		    locks.recorded == 1 ? "" : "s");
		locks.recorded = 0;
	}
	return true;
}

/* --- deciding from memory --- */

/*
 * Removes from a charge the keys that the verdict did not charge, because a
 * lock holds or because none does, and from the verdict what it says of them.
 */
static void
strip_charge(struct msg_charge *charge, struct msg_verdict *v)
{
	struct msg_verdict	old = *v;
	uint32_t		*const to[] = { &v->over, &v->shadowed,
				    &v->warned, &v->locked, &v->would_lock,
				    &v->unlocked };
	const uint32_t		from[] = { v->over, v->shadowed, v->warned,
				    v->locked, v->would_lock, v->unlocked };
	size_t			i, j, n = 0;

	for (j = 0; j < sizeof(to) / sizeof(to[0]); j++)
		*to[j] = 0;
	for (i = 0; i < charge->nkeys; i++) {
		if (!decision_counts(&charge->keys[i], v->passed))
			continue;
		for (j = 0; j < sizeof(to) / sizeof(to[0]); j++)
			*to[j] |= (from[j] >> i & 1) << n;
		v->locked_until[n] = old.locked_until[i];
		v->full[n] = old.full[i];
		v->charged[n] = old.charged[i];
		if (v->key == i)
			v->key = (uint16_t)n;
		charge->keys[n++] = charge->keys[i];
	}
	charge->nkeys = n;
	v->ncharged = v->ncharged > 0 ? (uint32_t)n : 0;
}

void
locks_decide(struct memory *memory, struct msg_charge *charge, int64_t now,
    struct msg_verdict *v)
{
	static struct lock_hit	 hits[CHARGE_KEYS_MAX];
	struct unrecorded	*l;
	size_t			 n, i;

	(void)blocks_find_lock(charge, now, &charge->pass);
	memory_decide(memory, charge, now, v);
	n = memory_locks(memory, blocks_list(), v, hits, CHARGE_KEYS_MAX);
	if (locks.list == NULL)
		locks.list = alloc_zero(LOCKS_UNRECORDED,
		    sizeof(locks.list[0]));
	for (i = 0; i < n; i++) {
		(void)override_list_set(blocks_list(), &hits[i].lock);
		(void)override_list_set(blocks_list(), &hits[i].record);
		if (locks.n == LOCKS_UNRECORDED)
			continue;
		l = &locks.list[locks.n++];
		l->number = 0;
		copy_lock(&l->lock, &hits[i].lock);
		copy_lock(&l->record, &hits[i].record);
	}
	if (charge->pass != 0 && v->verdict == VERDICT_REFUSED)
		v->verdict = VERDICT_BLOCKED;
	else if (v->verdict == VERDICT_ACCEPTED)
		strip_charge(charge, v);
}
