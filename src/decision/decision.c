#include <string.h>

#include "decision/decision.h"
#include "decision/lock.h"
#include "decision/retry.h"
#include "lib/num.h"

#define DAY	86400	/* seconds */

/* --- how much is new --- */

/*
 * New recipients from an unfamiliar network. What was asked about at RCPT does
 * not count again at DATA.
 */
static int64_t
decision_habit(const struct decision *d, const struct decision_key *k)
{
	const struct msg_charge_key	*c = k->charge;
	const struct habit_terms	 terms = { c->unfamiliar, c->learn };
	int64_t				 n = c->amount;

	if (d->mode == CHARGE_BACK)
		return k->repeated ? 0 : n;
	if (d->mode == CHARGE_REPLAY || k->network == NULL || k->repeated)
		return 0;
	if (d->tag == 0)
		n = num_sub_clamp(n, k->charged > k->at_rcpt ? k->charged :
		    k->at_rcpt);
	return n <= 0 ? 0 : habit_amount(k->network,
	    c->valuelen > 0 ? k->recipient : NULL, n, &terms, d->now);
}

/*
 * An instance is charged once. Where tags tell the charges of one instance
 * apart, each tag is charged once, and all add to the instance's total.
 */
static int64_t
decision_new(const struct decision *d, const struct decision_key *k)
{
	const struct msg_charge_key	*c = k->charge;

	if (CHARGE_MAY_REFUSE(d->mode) && !lock_charges(c, d->pass))
		return 0;
	/* A mail adds nothing to an external count, but needs room for 1. */
	if (c->kind == CHARGE_EXTERNAL && d->mode != CHARGE_ADD)
		return CHARGE_MAY_REFUSE(d->mode);
	if (c->kind == CHARGE_EXTERNAL)
		return k->seen == -1 ? c->amount : 0;
	/* A value that was seen is not unseen again. */
	if (c->kind == CHARGE_DISTINCT)
		return d->mode != CHARGE_BACK;
	if (c->kind == CHARGE_HABIT)
		return decision_habit(d, k);
	if (d->mode == CHARGE_BACK || (d->tag != 0 && c->kind != CHARGE_TOTAL))
		return k->repeated ? 0 : c->amount;
	if (d->mode == CHARGE_EACH && c->kind != CHARGE_TOTAL)
		return c->amount;
	return c->amount > k->charged ?
	    num_sub_clamp(c->amount, k->charged) : 0;
}

void
decision_amounts(struct decision *d)
{
	size_t	i;

	d->nhits = d->nnear = 0;
	for (i = 0; i < d->nkeys; i++)
		d->key[i].amount = decision_new(d, &d->key[i]);
}

/* A date so far in the future is from a wrong clock and does not count. */
static bool
decision_future(const struct decision *d, int64_t date)
{
	return date > num_add_clamp(d->now, WINDOW_SKEW);
}

/*
 * The amount that is new to one window: a value that it holds already is not.
 */
static int64_t
decision_new_in(const struct decision *d, const struct decision_key *k,
    int64_t seconds)
{
	if (k->charge->kind != CHARGE_DISTINCT)
		return k->amount;
	return k->seen == -1 || k->seen < num_add_clamp(d->now, -seconds) ||
	    decision_future(d, k->seen);
}

/* What this mail was already charged under this key. */
static int64_t
decision_charged(const struct decision_key *k)
{
	return CHARGE_HAS_VALUE(k->charge->kind) ? 0 : k->charged;
}

/* It refuses nothing: its rule is in shadow, or only learns. */
static bool
decision_shadow(const struct decision_key *k)
{
	return k->charge->shadow || k->learning;
}

/* The limit plus what was granted. */
static struct limit
decision_limit(const struct decision_key *k, const struct limit *limit)
{
	struct limit	sum = *limit;

	sum.mails = num_add_clamp(limit->mails, k->granted);
	return sum;
}

/*
 * Whether the ledger had no room for this until a time after now. A repeated
 * charge of a soft key is over its limit until then.
 */
static bool
decision_waits(const struct decision *d, const struct decision_key *k)
{
	int64_t	amount;

	if (d->now >= k->wait.until)
		return false;
	amount = decision_new_in(d, k, k->wait.limit.seconds);
	return amount > 0 ? amount >= k->wait.amount : k->charge->soft;
}

/* --- when it would be accepted --- */

static void
decision_retry_key(const struct decision *d, const struct decision_key *k,
    struct retry_key *r)
{
	const struct limits	*limits = k->limits;
	struct limit		*limit;
	int64_t			 known;
	size_t			 i;

	r->window = k->window;
	r->amount = k->amount;
	r->granted = k->granted;
	r->granted_until = k->granted_until;
	r->not_before = decision_waits(d, k) ? k->wait.until : 0;
	r->nlimits = 0;
	for (i = 0; i < limits->count && r->nlimits < LIMITS_MAX; i++) {
		known = num_sub_clamp(k->amount,
		    decision_new_in(d, k, limits->list[i].seconds));
		/*
		 * A value that a window holds already needs no room, unless the
		 * key is soft.
		 */
		if (known > 0 && !k->charge->soft)
			continue;
		limit = &r->limits[r->nlimits++];
		*limit = limits->list[i];
		limit->mails = num_add_clamp(limit->mails, known);
	}
}

/*
 * Seconds until the charge fits under all keys that may refuse it, `soft` ones
 * too where one of them answers; -1: it never does.
 */
static int64_t
decision_retry(const struct decision *d, bool soft)
{
	struct retry_key		 keys[CHARGE_KEYS_MAX];
	const struct decision_key	*k;
	size_t				 n = 0, i;

	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		if (!decision_shadow(k) &&
		    lock_charges(k->charge, d->pass) &&
		    (k->charge->soft ? soft : k->amount > 0))
			decision_retry_key(d, k, &keys[n++]);
	}
	return retry_after(keys, n, d->now);
}

/* --- the windows --- */

static void
decision_tell(struct msg_verdict *v, size_t n, const struct limit *limit,
    int64_t used)
{
	v->full[n].limit = *limit;
	v->full[n].used = used;
	v->full[n].retry_after = 0;
}

/* Fills in the reason when key `n` gives the answer. */
static void
decision_answers(const struct decision *d, struct msg_verdict *v, size_t n,
    const struct limit *limit, int64_t used)
{
	v->key = (uint16_t)n;
	v->limit = *limit;
	v->used = used;
	v->retry_after = v->never ? -1 :
	    decision_retry(d, d->key[n].charge->soft);
	if (v->retry_after == -1)
		v->retry_after = limit->seconds;
}

bool
decision_full(const struct decision *d, struct msg_verdict *v, size_t n,
    const struct limit *limit, int64_t used)
{
	const struct decision_key	*k = &d->key[n];
	struct retry_key		 own;

	decision_tell(v, n, limit, used);
	if (decision_shadow(k)) {
		v->shadowed |= UINT32_C(1) << n;
		return true;
	}
	decision_retry_key(d, k, &own);
	v->full[n].retry_after = retry_after(&own, 1, d->now);
	if (v->full[n].retry_after == -1)
		v->full[n].retry_after = limit->seconds;
	if (k->charge->soft) {
		if (v->over == 0 || n < v->key)
			decision_answers(d, v, n, limit, used);
		v->over |= UINT32_C(1) << n;
		return true;
	}
	v->verdict = VERDICT_REFUSED;
	v->over = 0;
	v->never = !decision_waits(d, k) &&
	    num_add_clamp(decision_charged(k), k->amount) > limit->mails;
	decision_answers(d, v, n, limit, used);
	return false;
}

static void
decision_hit(struct decision *d, size_t n, size_t window)
{
	/* What only learns is logged and not reported. */
	if (d->key[n].learning)
		return;
	d->hits[d->nhits].key = n;
	d->hits[d->nhits++].window = window;
}

/*
 * Drops the hits of soft keys: another key refuses the mail, so Postfix does
 * not take it with a soft action.
 */
static void
decision_drop_soft(struct decision *d)
{
	const struct msg_charge_key	*c;
	size_t				 n = 0, i;

	for (i = 0; i < d->nhits; i++) {
		c = d->key[d->hits[i].key].charge;
		if (!c->soft || c->shadow || d->hits[i].window == DECISION_MAIL)
			d->hits[n++] = d->hits[i];
	}
	d->nhits = n;
}

bool
decision_mail_fits(struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit;
	int64_t				 charged = decision_charged(k);

	limit.mails = k->charge->max_per_mail;
	limit.seconds = 0;
	if (limit.mails == 0 || k->amount == 0 ||
	    num_add_clamp(charged, k->amount) <= limit.mails)
		return true;
	decision_hit(d, n, DECISION_MAIL);
	decision_tell(v, n, &limit, charged);
	if (decision_shadow(k)) {
		v->shadowed |= UINT32_C(1) << n;
		return true;
	}
	/* Soft actions are for limits only. */
	v->verdict = VERDICT_REFUSED;
	v->over = 0;
	v->never = v->per_mail = true;
	v->key = (uint16_t)n;
	v->limit = limit;
	v->used = charged;
	v->retry_after = 0;
	return false;
}

/* Whether `amount` takes the used share of the limit to warn_at or beyond. */
static bool
decision_warns(const struct decision_key *k, const struct limit *limit,
    int64_t used, int64_t amount)
{
	double	at = (double)limit->mails * k->charge->warn_at / 100;

	return k->charge->warn_at > 0 && (double)used < at &&
	    (double)used + (double)amount >= at;
}

/* Remembers the window with the largest used share of its limit. */
static void
decision_nearest(struct msg_verdict *v, double *nearest, size_t key,
    const struct limit *limit, int64_t used)
{
	double	share;

	if (v->over != 0)
		return;
	share = limit->mails == 0 ? 1 : (double)used / (double)limit->mails;
	if (share < *nearest)
		return;
	*nearest = share;
	v->key = (uint16_t)key;
	v->limit = *limit;
	v->used = used;
}

/* The window that the ledger found full is still full. */
static bool
decision_still_full(const struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_wait	*wait = &d->key[n].wait;

	return decision_full(d, v, n, &wait->limit,
	    window_used(d->key[n].window, wait->limit.seconds, d->now));
}

/*
 * For a repeated request, or DATA after its recipients were charged at RCPT:
 * while the key is over a limit, its action is the answer again.
 */
static void
decision_still_over(const struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit;
	int64_t				 used;
	size_t				 i;

	/* A habit refuses no mail that is not counted. */
	if (!k->charge->soft || decision_shadow(k) ||
	    (k->charge->kind == CHARGE_HABIT && k->charged <= 0))
		return;
	if (decision_waits(d, k)) {
		(void)decision_still_full(d, v, n);
		return;
	}
	for (i = 0; i < k->limits->count; i++) {
		limit = decision_limit(k, &k->limits->list[i]);
		used = window_used(k->window, limit.seconds, d->now);
		if (used > limit.mails) {
			(void)decision_full(d, v, n, &limit, used);
			return;
		}
	}
}

static void
decision_warn(struct decision *d, struct msg_verdict *v, size_t n,
    size_t window, const struct limit *limit, int64_t used)
{
	v->warned |= UINT32_C(1) << n;
	decision_tell(v, n, limit, used);
	if (d->nnear < sizeof(d->near) / sizeof(d->near[0])) {
		d->near[d->nnear].key = n;
		d->near[d->nnear++].window = window;
	}
}

/*
 * Checks all windows of one key. False: it refuses; the verdict has the reason.
 */
static bool
decision_key_holds(struct decision *d, struct msg_verdict *v, size_t n,
    double *nearest)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit;
	int64_t				 used, amount, sum;
	size_t				 i;

	if (!decision_mail_fits(d, v, n))
		return false;
	if (decision_waits(d, k))
		return decision_still_full(d, v, n);
	for (i = 0; i < k->limits->count; i++) {
		limit = decision_limit(k, &k->limits->list[i]);
		used = window_used(k->window, limit.seconds, d->now);
		amount = decision_new_in(d, k, limit.seconds);
		sum = num_add_clamp(used, amount);
		if (amount == 0 && sum > limit.mails && k->charge->soft &&
		    !decision_shadow(k))
			return decision_full(d, v, n, &limit, used);
		if (amount > 0 && sum > limit.mails) {
			if (k->charge->kind != CHARGE_EXTERNAL)
				decision_hit(d, n, i);
			return decision_full(d, v, n, &limit, used);
		}
		if (k->charge->kind == CHARGE_EXTERNAL)
			continue;
		decision_nearest(v, nearest, n, &limit, sum);
		if (decision_warns(k, &limit, used, amount))
			decision_warn(d, v, n, i, &limit, sum);
	}
	return true;
}

/*
 * CHARGE_ADD: the charge with which the sum reaches a limit is a hit. Mails are
 * refused from then on, without a further hit.
 */
static void
decision_reach(struct decision *d, struct msg_verdict *v, size_t n)
{
	const struct decision_key	*k = &d->key[n];
	struct limit			 limit;
	int64_t				 used, sum;
	size_t				 i;

	for (i = 0; i < k->limits->count; i++) {
		limit = decision_limit(k, &k->limits->list[i]);
		used = window_used(k->window, limit.seconds, d->now);
		sum = num_add_clamp(used, k->amount);
		if (decision_warns(k, &limit, used, k->amount))
			decision_warn(d, v, n, i, &limit, sum);
		if (used >= limit.mails || sum < limit.mails)
			continue;
		decision_hit(d, n, i);
		decision_tell(v, n, &limit, sum);
		if (k->charge->shadow)
			v->shadowed |= UINT32_C(1) << n;
		else
			v->over |= UINT32_C(1) << n;
	}
}

void
decision_make(struct decision *d, struct msg_verdict *v)
{
	double	nearest = -1;
	size_t	i;

	memset(v, 0, sizeof(*v));
	decision_amounts(d);
	v->verdict = VERDICT_ACCEPTED;
	v->passed = d->pass;
	for (i = 0; i < d->nkeys && CHARGE_MAY_REFUSE(d->mode); i++) {
		if (!lock_charges(d->key[i].charge, d->pass))
			continue;
		if (d->key[i].amount == 0)
			decision_still_over(d, v, i);
		else if (!decision_key_holds(d, v, i, &nearest)) {
			v->warned = 0;
			d->nnear = 0;
			decision_drop_soft(d);
			return;
		}
	}
	v->ncharged = (uint32_t)d->nkeys;
	for (i = 0; i < d->nkeys; i++) {
		if (d->mode == CHARGE_ADD)
			decision_reach(d, v, i);
		v->charged[i] = d->mode != CHARGE_ADD &&
		    d->key[i].charge->kind == CHARGE_EXTERNAL ? 0 :
		    d->key[i].amount;
	}
}

/* --- what is recorded --- */

/*
 * The date to record. A mail that was accepted without the database brings its
 * own date, which must not be in the future, nor older than a day and every
 * window.
 */
static int64_t
decision_date(const struct decision *d)
{
	const struct limits	*limits;
	int64_t			 oldest, longest = DAY;
	size_t			 i, j;

	if (CHARGE_MAY_REFUSE(d->mode) || d->date <= 0 || d->date >= d->now)
		return d->now;
	for (i = 0; i < d->nkeys; i++) {
		limits = d->key[i].limits;
		for (j = 0; j < limits->count; j++)
			if (limits->list[j].seconds > longest)
				longest = limits->list[j].seconds;
	}
	oldest = num_sub_clamp(d->now, longest);
	return d->date > oldest ? d->date : oldest;
}

static struct decision_record *
decision_put(struct decision_record *r, size_t key, int64_t date,
    int64_t amount, int64_t tag)
{
	r->key = key;
	r->date = date;
	r->amount = amount;
	r->tag = tag;
	return r + 1;
}

size_t
decision_records(const struct decision *d, struct decision_record *list)
{
	const struct decision_key	*k;
	struct decision_record		*r = list;
	int64_t				 date = decision_date(d);
	size_t				 i;

	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		if (k->amount == 0 || (d->mode != CHARGE_ADD &&
		    k->charge->kind == CHARGE_EXTERNAL))
			continue;
		if (k->charge->kind != CHARGE_DISTINCT) {
			r = decision_put(r, i, date, d->mode == CHARGE_BACK ?
			    -k->amount : k->amount, d->tag);
			continue;
		}
		/*
		 * If the clock was set back, a value keeps its later date,
		 * unless that is too far in the future to count.
		 */
		if (k->seen >= date && !decision_future(d, k->seen))
			continue;
		if (k->seen != -1)
			r = decision_put(r, i, k->seen, -1, 0);
		r = decision_put(r, i, date, 1, 0);
	}
	return (size_t)(r - list);
}

bool
decision_takes_back(const struct decision *d, const struct msg_verdict *v)
{
	return v->verdict == VERDICT_REFUSED && d->mode == CHARGE_EACH &&
	    !v->per_mail;
}

/* --- what is only weighed --- */

static void
decision_weigh_window(const struct decision *d, const struct decision_key *k,
    const struct limit *limit, struct msg_weighed_key *answer)
{
	struct msg_window	*w = &answer->windows[answer->nwindows++];
	struct limits		 one;

	w->limit = decision_limit(k, limit);
	w->used = window_used(k->window, limit->seconds, d->now);
	w->amount = k->amount > 0 ? decision_new_in(d, k, limit->seconds) : 0;
	one.count = 1;
	one.list = &w->limit;
	w->retry_after = w->amount > 0 && num_add_clamp(w->amount,
	    decision_charged(k)) > w->limit.mails ? -1 :
	    window_retry_after(k->window, &one, w->amount, d->now);
}

/* The window that the ledger found full, even if SQL limits it. */
static void
decision_weigh_wait(const struct decision *d, const struct decision_key *k,
    struct msg_weighed_key *answer)
{
	const struct limit	*limit = &k->wait.limit;
	size_t			 i;

	for (i = 0; i < answer->nwindows; i++)
		if (answer->windows[i].limit.mails == limit->mails &&
		    answer->windows[i].limit.seconds == limit->seconds)
			break;
	if (i == LIMITS_MAX || limit->seconds == 0)
		return;
	if (i == answer->nwindows)
		decision_weigh_window(d, k, limit, answer);
	answer->windows[i].retry_after = k->wait.until - d->now;
}

void
decision_weigh(const struct decision *d, struct msg_weighed *weighed)
{
	const struct decision_key	*k;
	struct msg_weighed_key		*answer;
	struct msg_window		*room = weighed->store;
	size_t				 i, j;

	weighed->nkeys = d->nkeys;
	for (i = 0; i < d->nkeys; i++) {
		k = &d->key[i];
		answer = &weighed->keys[i];
		answer->amount = k->amount;
		answer->sql = k->limits != &k->charge->limits;
		answer->granted = k->granted;
		answer->granted_for = k->granted > 0 ?
		    k->granted_until - d->now : 0;
		answer->nwindows = 0;
		answer->windows = room;
		for (j = 0; j < k->limits->count && j < LIMITS_MAX &&
		    lock_charges(k->charge, d->pass); j++)
			decision_weigh_window(d, k, &k->limits->list[j],
			    answer);
		if (decision_waits(d, k))
			decision_weigh_wait(d, k, answer);
		room += answer->nwindows;
	}
}
