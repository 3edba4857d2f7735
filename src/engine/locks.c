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

struct locks {
	struct blocks		*blocks;
	struct unrecorded	*list;
	size_t			 n;
	uint64_t		 number;	/* last one given */
	uint64_t		 recorded;	/* since last logged */
	struct channel		*ledger;
};

struct locks *
locks_new(struct blocks *blocks)
{
	struct locks	*l = alloc_zero(1, sizeof(*l));

	l->blocks = blocks;
	return l;
}

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
locks_again(struct locks *l)
{
	struct override_list	*list = blocks_list(l->blocks);
	size_t			 i;

	for (i = 0; i < l->n; i++) {
		(void)override_list_set(list, &l->list[i].lock);
		(void)override_list_set(list, &l->list[i].record);
	}
}

void
locks_channel(struct locks *l, struct channel *ledger)
{
	size_t	i;

	for (i = 0; i < l->n; i++)
		l->list[i].number = 0;
	l->ledger = ledger;
}

void
locks_send(struct locks *l)
{
	struct msg_override	 m;
	struct unrecorded	*u;
	struct str		 payload;
	size_t			 i, waiting = 0;

	for (i = 0; i < l->n; i++)
		waiting += l->list[i].number != 0;
	for (i = 0; i < l->n && l->ledger != NULL && waiting < WAITING_MOST;
	    i++) {
		u = &l->list[i];
		if (u->number != 0 || channel_queued(l->ledger) >= CHANNEL_HIGH)
			continue;
		memset(&m, 0, sizeof(m));
		m.kind = OVERRIDE_LOCK;
		m.amount = u->lock.amount;
		m.since = u->lock.since;
		m.until = u->lock.until;
		m.who = u->lock.who;
		m.wholen = u->lock.wholen;
		m.reason = "";
		m.nids = 1;
		m.id[0] = u->lock.id;
		m.idlen[0] = u->lock.idlen;
		u->number = ++l->number | PENDING_NOT;
		waiting++;
		str_init(&payload);
		msg_override_put(&payload, &m);
		channel_send(l->ledger, MSG_OVERRIDE, u->number, &payload, -1);
		str_clear(&payload);
	}
}

bool
locks_on_answer(struct locks *l, const struct message *m)
{
	struct msg_overridden	 answer;
	struct unrecorded	*u;
	size_t			 i;

	for (i = 0; i < l->n; i++)
		if (l->list[i].number != 0 && l->list[i].number == m->request)
			break;
	if (i == l->n)
		return (m->request & PENDING_NOT) != 0;
	u = &l->list[i];
	u->number = 0;
	if (msg_overridden_get(&answer, m->payload, m->len) == -1 ||
	    answer.result != OVERRIDE_DONE)
		return true;
	clear_lock(&u->lock);
	clear_lock(&u->record);
	*u = l->list[--l->n];
	l->recorded++;
	locks_send(l);
	if (l->n == 0) {
		log_notice("what was locked without the database is recorded: "
		    "%" PRIu64 " lock%s", l->recorded, l->recorded == 1 ? "" :
		    "s");
		l->recorded = 0;
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
locks_decide(struct locks *l, struct memory *memory, struct msg_charge *charge,
    int64_t now, struct msg_verdict *v)
{
	struct override_list	*list = blocks_list(l->blocks);
	struct lock_hit		 hits[CHARGE_KEYS_MAX];
	struct unrecorded	*u;
	size_t			 n, i;

	(void)blocks_find_lock(l->blocks, charge, now, &charge->pass);
	memory_decide(memory, charge, now, v);
	n = memory_locks(memory, list, v, hits, CHARGE_KEYS_MAX);
	if (l->list == NULL)
		l->list = alloc_zero(LOCKS_UNRECORDED, sizeof(l->list[0]));
	for (i = 0; i < n; i++) {
		(void)override_list_set(list, &hits[i].lock);
		(void)override_list_set(list, &hits[i].record);
		if (l->n == LOCKS_UNRECORDED)
			continue;
		u = &l->list[l->n++];
		u->number = 0;
		copy_lock(&u->lock, &hits[i].lock);
		copy_lock(&u->record, &hits[i].record);
	}
	if (charge->pass != 0 && v->verdict == VERDICT_REFUSED)
		v->verdict = VERDICT_BLOCKED;
	else if (v->verdict == VERDICT_ACCEPTED)
		strip_charge(charge, v);
}
