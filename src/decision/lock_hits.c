#include <string.h>

#include "decision/lock.h"
#include "decision/lock_hits.h"
#include "lib/num.h"

/* --- how many locks are new --- */

struct lock_recent {
	const struct msg_charge_lock	*of;
	int64_t				 now;
	size_t				 count;
};

static void
lock_on_override(void *arg, const struct override *o)
{
	struct lock_recent	*r = arg;

	r->count += o->kind == OVERRIDE_LOCKED && o->amount <= r->now &&
	    o->amount > r->now - LOCK_PERIOD &&
	    lock_is_of(o, r->of->rule, r->of->rulelen);
}

/* Whether the rule has set LOCK_MOST locks, those in `list` included. */
static bool
lock_full(const struct override_list *l, const struct msg_charge_lock *of,
    int64_t now, const struct lock_hit *list, size_t n)
{
	struct lock_recent	r = { of, now, 0 };

	override_list_each(l, lock_on_override, &r);
	while (n-- > 0)
		lock_on_override(&r, &list[n].record);
	return r.count >= LOCK_MOST;
}

/* --- one hit --- */

/* Whether what was charged from `since` (a time_t) on suffices for the hit. */
static bool
lock_counts(const struct decision *d, const struct decision_hit *hit,
    int64_t since)
{
	const struct decision_key	*k = &d->key[hit->key];
	const struct limit		*limit;
	int64_t				 seconds, used, amount;

	if (hit->window == DECISION_MAIL)
		return k->charged == 0 || k->charged_at >= since;
	limit = &k->limits->list[hit->window];
	seconds = limit->seconds;
	if (num_sub_clamp(d->now, since) < seconds)
		seconds = d->now - since;
	used = seconds < 0 ? 0 : window_used(k->window, seconds, d->now);
	amount = k->charge->kind == CHARGE_DISTINCT ? 1 : k->amount;
	/* An external count hits its limit when it reaches it. */
	if (k->charge->kind == CHARGE_EXTERNAL)
		amount = num_add_clamp(amount, 1);
	return num_add_clamp(used, amount) >
	    num_add_clamp(limit->mails, k->granted);
}

static int64_t
lock_longest(const struct decision_key *k)
{
	int64_t	longest = LOCK_AGAIN;
	size_t	i;

	for (i = 0; i < k->limits->count; i++)
		if (k->limits->list[i].seconds > longest)
			longest = k->limits->list[i].seconds;
	return longest;
}

static void
lock_make(const struct decision *d, const struct decision_key *k, bool again,
    struct lock_hit *out)
{
	const struct msg_charge_lock	*of = &k->charge->lock;
	struct override			*o = &out->lock;

	memset(o, 0, sizeof(*o));
	o->kind = OVERRIDE_LOCK;
	o->amount = again ? of->again : of->seconds;
	o->since = d->now;
	o->until = num_add_clamp(d->now, o->amount);
	o->id = of->id;
	o->idlen = of->idlen;
	o->who = of->rule;
	o->wholen = of->rulelen;
	o->reason = "";
	out->record = *o;
	out->record.kind = OVERRIDE_LOCKED;
	out->record.amount = d->now;
	out->record.since = o->until;
	out->record.until = num_add_clamp(o->until, lock_longest(k));
	if (out->record.until > OVERRIDE_FOREVER)
		out->record.until = OVERRIDE_FOREVER;
}

/* Whether this charge has locked the same already. */
static bool
lock_made(const struct msg_charge_lock *of, const struct lock_hit *list,
    size_t n)
{
	while (n-- > 0)
		if (list[n].lock.idlen == of->idlen &&
		    memcmp(list[n].lock.id, of->id, of->idlen) == 0)
			return true;
	return false;
}

size_t
lock_hits(const struct decision *d, const struct override_list *l,
    struct msg_verdict *v, struct lock_hit *list, size_t max)
{
	const struct msg_charge_lock	*of;
	const struct decision_key	*k;
	const struct override		*last;
	uint32_t			 bit;
	size_t				 n = 0, i;

	for (i = 0; i < d->nhits && n < max; i++) {
		k = &d->key[d->hits[i].key];
		of = &k->charge->lock;
		if (of->seconds == 0 || override_find(l, OVERRIDE_LOCK, of->id,
		    of->idlen, d->now) != NULL || lock_made(of, list, n))
			continue;
		last = override_find(l, OVERRIDE_LOCKED, of->id, of->idlen,
		    d->now);
		/* A lock of the future was made by a wrong clock. */
		if (last != NULL && last->since > d->now + 1)
			last = NULL;
		if (last != NULL && !lock_counts(d, &d->hits[i], last->since))
			continue;
		bit = UINT32_C(1) << d->hits[i].key;
		if (k->charge->shadow)
			v->would_lock |= bit;
		else if (lock_full(l, of, d->now, list, n))
			v->unlocked |= bit;
		else {
			lock_make(d, k, last != NULL && d->now - last->since <=
			    LOCK_AGAIN, &list[n]);
			list[n].key = d->hits[i].key;
			v->locked |= bit;
			v->locked_until[d->hits[i].key] = list[n++].lock.until;
		}
	}
	return n;
}
