#include <string.h>

#include "decision/lock.h"
#include "lib/num.h"

/* Whether this rule made the lock. */
static bool
is_made_by(const struct override *lock, const char *rule, size_t len)
{
	return lock->wholen == len && memcmp(lock->who, rule, len) == 0;
}

bool
lock_is_partial(const struct override *lock)
{
	const size_t	len = sizeof(OVERRIDE_UNFAMILIAR) - 1;

	return lock->idlen > len &&
	    memcmp(lock->id, OVERRIDE_UNFAMILIAR, len) == 0;
}

/* Whether the rule of the lock is among the names, which commas separate. */
static bool
is_made_by_any(const struct override *lock, const char *names, size_t len)
{
	const char	*end = names + len, *comma;

	while (names < end) {
		if ((comma = memchr(names, ',', (size_t)(end - names))) == NULL)
			comma = end;
		if (is_made_by(lock, names, (size_t)(comma - names)))
			return true;
		names = comma + 1;
	}
	return false;
}

const struct override *
lock_closed(const struct override_list *l, const struct lock_request *r,
    int64_t now, uint8_t *pass)
{
	const struct override	*locks[OVERRIDE_LOCKS];
	size_t			 n, i;
	uint8_t			 bit;

	*pass = 0;
	n = r->exempt ? 0 : override_locks(l, &r->subject, now, locks);
	for (i = 0; i < n; i++) {
		if (lock_is_partial(locks[i]) && (r->unfamiliar == NULL ||
		    !r->unfamiliar(r->arg, locks[i])))
			continue;
		bit = locks[i]->id[0] == 'n' ? LOCK_PASS_CLIENT :
		    LOCK_PASS_LOGIN;
		if ((r->pass & bit) == 0 || !is_made_by_any(locks[i], r->passes,
		    r->passeslen))
			return locks[i];
		*pass |= bit;
	}
	return NULL;
}

void
lock_end(struct override *record, int64_t now)
{
	record->since = now + 1;
}

bool
lock_outlasts(struct override *lock, int64_t longest, int64_t now)
{
	if (longest == 0)
		longest = lock->amount;
	if (lock->until <= num_add_clamp(now, longest))
		return false;
	lock->since = now;
	lock->until = num_add_clamp(now, longest);
	return true;
}

/* --- what hits lock --- */

struct lock_recent {
	const struct msg_charge_lock	*of;
	int64_t				 now;
	size_t				 count;
};

static void
count_recent(void *arg, const struct override *o)
{
	struct lock_recent	*r = arg;

	r->count += o->kind == OVERRIDE_LOCKED && o->amount <= r->now &&
	    o->amount > r->now - LOCK_PERIOD &&
	    is_made_by(o, r->of->rule, r->of->rulelen);
}

/* Whether the rule has set LOCK_MOST locks, those in `list` included. */
static bool
has_most_locks(const struct override_list *l, const struct msg_charge_lock *of,
    int64_t now, const struct lock_hit *list, size_t n)
{
	struct lock_recent	r = { of, now, 0 };

	override_list_each(l, count_recent, &r);
	while (n-- > 0)
		count_recent(&r, &list[n].record);
	return r.count >= LOCK_MOST;
}

/* Whether what was charged from `since` (a time_t) on suffices for the hit. */
static bool
hit_counts(const struct decision *d, const struct decision_hit *hit,
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

static void
make_lock(const struct decision *d, const struct decision_key *k, bool again,
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
	out->record.until = num_add_clamp(o->until,
	    window_longest(k->limits, LOCK_AGAIN));
	if (out->record.until > OVERRIDE_FOREVER)
		out->record.until = OVERRIDE_FOREVER;
}

size_t
lock_hits(const struct decision *d, const struct override_list *l,
    struct msg_verdict *v, struct lock_hit *list, size_t max)
{
	const struct msg_charge_lock	*of;
	const struct decision_key	*k;
	const struct override		*last;
	uint32_t			 bit;
	size_t				 n = 0, i, j;

	for (i = 0; i < d->nhits && n < max; i++) {
		k = &d->key[d->hits[i].key];
		of = &k->charge->lock;
		if (of->seconds == 0 || override_find(l, OVERRIDE_LOCK, of->id,
		    of->idlen, d->now) != NULL)
			continue;
		/* This charge may have locked the same already. */
		for (j = 0; j < n; j++)
			if (list[j].lock.idlen == of->idlen &&
			    memcmp(list[j].lock.id, of->id, of->idlen) == 0)
				break;
		if (j < n)
			continue;
		last = override_find(l, OVERRIDE_LOCKED, of->id, of->idlen,
		    d->now);
		/* A lock of the future was made by a wrong clock. */
		if (last != NULL && last->since > d->now + 1)
			last = NULL;
		if (last != NULL && !hit_counts(d, &d->hits[i], last->since))
			continue;
		bit = UINT32_C(1) << d->hits[i].key;
		if (k->charge->shadow)
			v->would_lock |= bit;
		else if (has_most_locks(l, of, d->now, list, n))
			v->unlocked |= bit;
		else {
			make_lock(d, k, last != NULL && d->now - last->since <=
			    LOCK_AGAIN, &list[n]);
			list[n].key = d->hits[i].key;
			v->locked |= bit;
			v->locked_until[d->hits[i].key] = list[n++].lock.until;
		}
	}
	return n;
}
