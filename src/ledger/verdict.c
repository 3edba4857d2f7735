#include <stdlib.h>
#include <string.h>

#include "decision/per_mail.h"
#include "decision/retry.h"
#include "ledger/verdict.h"
#include "ledger/verdict_hits.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define DAY	86400	/* seconds */

const struct limits *
verdict_limits(const struct verdict_key *k)
{
	const struct limits	*limits;

	limits = k->sql != NULL ? lookup_of(k->sql) : NULL;
	return limits != NULL ? limits : &k->charge.limits;
}

int64_t
verdict_longest(const struct verdict_key *k, int64_t longest)
{
	const struct limits	*limits = verdict_limits(k);
	size_t			 i;

	for (i = 0; i < limits->count; i++)
		if (limits->list[i].seconds > longest)
			longest = limits->list[i].seconds;
	return longest;
}

/* --- how much is new --- */

/*
 * An instance is charged once. Where tags tell the charges of one instance
 * apart, each tag is charged once, and all add to the instance's total.
 */
static int64_t
verdict_new(struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_key *k)
{
	int64_t	charged;

	/* A value that was seen is not unseen again. */
	if (k->charge.kind == CHARGE_DISTINCT)
		return c->mode != CHARGE_BACK;
	if (c->mode == CHARGE_BACK ||
	    (c->tag != 0 && k->charge.kind != CHARGE_TOTAL))
		return cache_tag_seen(ctx->cache, &k->seen) ? 0 :
		    k->charge.amount;
	if ((c->mode == CHARGE_EACH && k->charge.kind != CHARGE_TOTAL) ||
	    c->instancelen == 0)
		return k->charge.amount;
	charged = cache_charged(ctx->cache, &k->seen);
	return k->charge.amount > charged ?
	    num_sub_clamp(k->charge.amount, charged) : 0;
}

/* A date so far in the future is from a wrong clock and does not count. */
static bool
verdict_future(const struct verdict_context *ctx, int64_t date)
{
	return date > num_add_clamp(ctx->now, WINDOW_AHEAD);
}

/*
 * The amount that is new to one window: a value that it holds already is not.
 */
static int64_t
verdict_new_in(const struct verdict_context *ctx, const struct verdict_key *k,
    int64_t seconds)
{
	if (k->charge.kind != CHARGE_DISTINCT)
		return k->amount;
	return k->value->date == -1 ||
	    k->value->date < num_add_clamp(ctx->now, -seconds) ||
	    verdict_future(ctx, k->value->date);
}

/* --- the windows --- */

/*
 * Whether this charge takes the used share of the limit to warn_at or beyond.
 */
static bool
verdict_warns(const struct verdict_key *k, const struct limit *limit,
    int64_t used, int64_t amount)
{
	double	at = (double)limit->mails * k->charge.warn_at / 100;

	return k->charge.warn_at > 0 && (double)used < at &&
	    (double)used + (double)amount >= at;
}

/* Remembers the window with the largest used share of its limit. */
static void
verdict_nearest(struct msg_verdict *v, double *nearest, size_t key,
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

/* The limit plus what was granted. */
static struct limit
verdict_limit(const struct verdict_key *k, const struct limit *limit)
{
	struct limit	sum = *limit;

	sum.mails = num_add_clamp(limit->mails, k->granted);
	return sum;
}

/* What this mail was already charged under this key. */
static int64_t
verdict_charged(const struct verdict_context *ctx,
    const struct verdict_charge *c, const struct verdict_key *k)
{
	return k->charge.kind == CHARGE_DISTINCT || c->instancelen == 0 ? 0 :
	    cache_charged(ctx->cache, &k->seen);
}

static void
verdict_retry_key(const struct verdict_context *ctx,
    const struct verdict_key *k, struct retry_key *r)
{
	const struct limits	*limits = verdict_limits(k);
	struct limit		*limit;
	int64_t			 known;
	size_t			 i;

	r->window = cache_window(k->id);
	r->amount = k->amount;
	r->granted = k->granted;
	r->granted_until = k->granted_until;
	r->not_before = 0;
	r->nlimits = 0;
	for (i = 0; i < limits->count && r->nlimits < LIMITS_MAX; i++) {
		known = num_sub_clamp(k->amount,
		    verdict_new_in(ctx, k, limits->list[i].seconds));
		/*
		 * A value that a window holds already needs no room, unless the
		 * key is soft.
		 */
		if (known > 0 && !k->charge.soft)
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
verdict_retry(const struct verdict_context *ctx, const struct verdict_charge *c,
    bool soft)
{
	struct retry_key		 keys[CHARGE_KEYS_MAX];
	const struct verdict_key	*k;
	size_t				 n = 0, i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (!k->charge.shadow &&
		    (k->charge.soft ? soft : k->amount > 0))
			verdict_retry_key(ctx, k, &keys[n++]);
	}
	return retry_after(keys, n, ctx->now);
}

/* Fills in the reason when key `n` gives the answer. */
static void
verdict_answers(const struct verdict_context *ctx, struct verdict_charge *c,
    size_t n, const struct limit *limit, int64_t used)
{
	struct msg_verdict	*v = &c->verdict;
	struct retry_key	 own;

	v->key = (uint16_t)n;
	v->limit = *limit;
	v->used = used;
	verdict_retry_key(ctx, &c->keys[n], &own);
	v->key_retry_after = retry_after(&own, 1, ctx->now);
	if (v->key_retry_after == -1)
		v->key_retry_after = limit->seconds;
	v->retry_after = v->never ? -1 :
	    verdict_retry(ctx, c, c->keys[n].charge.soft);
	if (v->retry_after == -1)
		v->retry_after = limit->seconds;
}

/*
 * The window has no room. True: this refuses nothing, because the key is in
 * shadow, or because Postfix takes the mail with its action.
 */
static bool
verdict_full(const struct verdict_context *ctx, struct verdict_charge *c,
    size_t n, const struct limit *limit, int64_t used)
{
	const struct verdict_key	*k = &c->keys[n];
	struct msg_verdict		*v = &c->verdict;

	if (k->charge.shadow) {
		v->shadowed |= UINT32_C(1) << n;
		v->full[n].limit = *limit;
		v->full[n].used = used;
		return true;
	}
	if (k->charge.soft) {
		if (v->over == 0)
			verdict_answers(ctx, c, n, limit, used);
		v->over |= UINT32_C(1) << n;
		return true;
	}
	v->verdict = VERDICT_REFUSED;
	v->over = 0;
	v->never = num_add_clamp(verdict_charged(ctx, c, k), k->amount) >
	    limit->mails;
	verdict_answers(ctx, c, n, limit, used);
	return false;
}

/*
 * Whether the mail stays within max_per_mail, counting what its instance was
 * already charged, or the rule is in shadow; else the verdict is a refusal.
 */
static bool
verdict_mail_fits(struct verdict_context *ctx, struct verdict_charge *c,
    size_t n)
{
	const struct verdict_key	*k = &c->keys[n];
	int64_t				 charged;

	if (k->charge.max_per_mail == 0)
		return true;
	charged = verdict_charged(ctx, c, k);
	if (!per_mail_exceeded(&k->charge, charged, k->amount))
		return true;
	verdict_hits_mail(ctx, k);
	return per_mail_goes_on(&c->verdict, &k->charge, n, charged);
}

/*
 * For a repeated request, or DATA after its recipients were charged at RCPT:
 * while the key is over a limit, its action is the answer again.
 */
static void
verdict_still_over(const struct verdict_context *ctx, struct verdict_charge *c,
    size_t n)
{
	const struct verdict_key	*k = &c->keys[n];
	const struct limits		*limits = verdict_limits(k);
	struct limit			 limit;
	int64_t				 used;
	size_t				 i;

	if (!k->charge.soft || k->charge.shadow)
		return;
	for (i = 0; i < limits->count; i++) {
		limit = verdict_limit(k, &limits->list[i]);
		used = window_used(cache_window(k->id), limit.seconds,
		    ctx->now);
		if (used > limit.mails) {
			(void)verdict_full(ctx, c, n, &limit, used);
			return;
		}
	}
}

/*
 * Checks all windows of one key. False: it refuses; the verdict has the reason.
 */
static bool
verdict_key_holds(struct verdict_context *ctx, struct verdict_charge *c,
    size_t n, double *nearest)
{
	struct verdict_key	*k = &c->keys[n];
	struct msg_verdict	*v = &c->verdict;
	const struct limits	*limits = verdict_limits(k);
	struct limit		 limit;
	int64_t			 used, amount, sum;
	size_t			 i;

	if (!verdict_mail_fits(ctx, c, n))
		return false;
	for (i = 0; i < limits->count; i++) {
		limit = verdict_limit(k, &limits->list[i]);
		used = window_used(cache_window(k->id), limit.seconds,
		    ctx->now);
		amount = verdict_new_in(ctx, k, limit.seconds);
		sum = num_add_clamp(used, amount);
		if (amount == 0 && sum > limit.mails && k->charge.soft &&
		    !k->charge.shadow)
			return verdict_full(ctx, c, n, &limit, used);
		if (amount == 0 || sum <= limit.mails) {
			verdict_nearest(v, nearest, n, &limit, sum);
			if (verdict_warns(k, &limit, used, amount)) {
				v->warned |= UINT32_C(1) << n;
				v->full[n].limit = limit;
				v->full[n].used = sum;
				verdict_hits_near(ctx, k, limits, i);
			}
			continue;
		}
		verdict_hits_full(ctx, k, limits, i);
		return verdict_full(ctx, c, n, &limit, used);
	}
	return true;
}

/* --- recording --- */

static void
verdict_row(struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_key *k, int64_t date, int64_t amount, int64_t tag)
{
	struct store_row	row;

	row.id = k->charge.id;
	row.idlen = k->charge.idlen;
	row.date = date;
	row.amount = amount;
	row.instance = c->instance;
	row.instancelen = c->instancelen;
	row.tag = tag;
	row.state = c->state;
	row.statelen = c->statelen;
	cache_record(ctx->cache, k->id, &k->seen, &row, ctx->now);
	store_append(ctx->store, cache_index(k->id), &row);
}

/*
 * A value counts at the second it was last seen: it moves there from the second
 * before. After the clock was set back it does not move, unless the value does
 * not count where it is.
 */
static void
verdict_see(struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_key *k, int64_t date)
{
	struct store_value	*value = k->value;

	if (value->date >= date && !verdict_future(ctx, value->date))
		return;
	if (value->date != -1)
		verdict_row(ctx, c, k, value->date, -1, 0);
	value->date = date;
	verdict_row(ctx, c, k, date, 1, 0);
	store_see(ctx->store, value);
}

/*
 * The date to record. A mail that was accepted without the database brings its
 * own date, which must not be in the future, nor older than a day and every
 * window.
 */
static int64_t
verdict_date(const struct verdict_context *ctx, const struct verdict_charge *c)
{
	int64_t	oldest, longest = DAY;
	size_t	i;

	if (c->mode < CHARGE_REPLAY || c->date <= 0 || c->date >= ctx->now)
		return ctx->now;
	for (i = 0; i < c->nkeys; i++)
		longest = verdict_longest(&c->keys[i], longest);
	oldest = num_sub_clamp(ctx->now, longest);
	return c->date > oldest ? c->date : oldest;
}

static void
verdict_record(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct verdict_key	*k;
	int64_t			 date = verdict_date(ctx, c);
	size_t			 i;

	c->verdict.verdict = VERDICT_ACCEPTED;
	c->verdict.ncharged = (uint32_t)c->nkeys;
	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		c->verdict.charged[i] = k->amount;
		if (k->amount == 0)
			continue;
		if (k->charge.kind == CHARGE_DISTINCT)
			verdict_see(ctx, c, k, date);
		else
			verdict_row(ctx, c, k, date, c->mode == CHARGE_BACK ?
			    -k->amount : k->amount, c->tag);
	}
}

/* count_mode 0: takes back what the instance was charged before. */
static void
verdict_take_back(struct verdict_context *ctx, const struct verdict_charge *c)
{
	const struct verdict_key	*k;
	int64_t				 date, amount;
	size_t				 i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		while (k->charge.kind != CHARGE_DISTINCT &&
		    cache_charged_at(ctx->cache, &k->seen, ctx->now, &date,
		    &amount))
			verdict_row(ctx, c, k, date, num_sub_clamp(0, amount),
			    0);
	}
}

/* --- what is only weighed --- */

static void
verdict_weigh_key(const struct verdict_context *ctx,
    const struct verdict_charge *c, const struct verdict_key *k,
    struct msg_weighed_key *told)
{
	const struct limits	*limits = verdict_limits(k);
	struct msg_window	*w;
	struct limits		 one = { 1, NULL };
	struct limit		 limit;
	size_t			 i;

	told->amount = k->amount;
	told->sql = limits != &k->charge.limits;
	told->granted = k->granted;
	if (k->granted > 0)
		told->granted_for = k->granted_until - ctx->now;
	for (i = 0; i < limits->count && i < LIMITS_MAX; i++) {
		limit = verdict_limit(k, &limits->list[i]);
		one.list = &limit;
		w = &told->windows[told->nwindows++];
		w->limit = limit;
		w->used = window_used(cache_window(k->id), limit.seconds,
		    ctx->now);
		w->amount = k->amount > 0 ?
		    verdict_new_in(ctx, k, limit.seconds) : 0;
		w->retry_after = w->amount > 0 && num_add_clamp(w->amount,
		    verdict_charged(ctx, c, k)) > limit.mails ? -1 :
		    window_retry_after(cache_window(k->id), &one, w->amount,
		    ctx->now);
	}
}

static void
verdict_weigh(const struct verdict_context *ctx, struct verdict_charge *c)
{
	struct msg_weighed	*told = c->weighed;
	struct msg_window	*room = told->store;
	size_t			 i;

	told->nkeys = c->nkeys;
	for (i = 0; i < c->nkeys; i++) {
		told->keys[i].windows = room;
		verdict_weigh_key(ctx, c, &c->keys[i], &told->keys[i]);
		room += told->keys[i].nwindows;
	}
}

/* --- a reset --- */

struct verdict_seconds {
	size_t	 count;
	size_t	 room;
	int64_t	*list;		/* pairs of second and amount */
};

static void
verdict_on_second(void *arg, int64_t when, int64_t amount)
{
	struct verdict_seconds	*s = arg;

	if (s->count == s->room) {
		s->room = s->room == 0 ? 64 : s->room * 2;
		s->list = alloc_resize(s->list, s->room,
		    2 * sizeof(s->list[0]));
	}
	s->list[2 * s->count] = when;
	s->list[2 * s->count++ + 1] = amount;
}

/* Forgets all values of this id. */
static void
verdict_forget(struct verdict_context *ctx, const struct verdict_key *k)
{
	struct store_value	*v;
	size_t			 i;

	ctx->result = store_forget_values(ctx->store, k->charge.id,
	    k->charge.idlen);
	for (i = 0; i < ctx->nvalue; i++) {
		v = &ctx->value[i];
		if (v->idlen == k->charge.idlen &&
		    memcmp(v->id, k->charge.id, v->idlen) == 0)
			v->date = -1;
	}
}

/*
 * Takes back each second's amount at that second, so that the sum is 0 in a
 * window of any length, now and later.
 */
static void
verdict_reset(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct verdict_seconds	 s;
	struct verdict_key	*k;
	size_t			 i, j;

	c->verdict.verdict = VERDICT_ACCEPTED;
	c->instance = "reset";
	c->instancelen = strlen(c->instance);
	c->weighed->nkeys = c->nkeys;
	for (i = 0; i < c->nkeys && ctx->result == STORE_OK; i++) {
		k = &c->keys[i];
		verdict_forget(ctx, k);
		memset(&s, 0, sizeof(s));
		window_each(cache_window(k->id), verdict_on_second, &s);
		for (j = 0; j < s.count; j++) {
			c->weighed->keys[i].amount =
			    num_add_clamp(c->weighed->keys[i].amount,
			    s.list[2 * j + 1]);
			verdict_row(ctx, c, k, s.list[2 * j],
			    num_sub_clamp(0, s.list[2 * j + 1]), 0);
		}
		free(s.list);
	}
}

/* --- */

static void
verdict_grant(const struct verdict_context *ctx, struct verdict_key *k)
{
	const struct override	*grant;

	grant = override_find(ctx->overrides, OVERRIDE_GRANT, k->charge.id,
	    k->charge.idlen, ctx->now);
	k->granted = grant != NULL ? grant->amount : 0;
	k->granted_until = grant != NULL ? grant->until : 0;
}

void
verdict_decide(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct verdict_key	*k;
	double			 nearest = -1;
	size_t			 i;
	bool			 holds = true;

	memset(&c->verdict, 0, sizeof(c->verdict));
	ctx->nhits = ctx->nnear = 0;
	if (c->reset) {
		verdict_reset(ctx, c);
		return;
	}
	if (c->mode < CHARGE_REPLAY && override_block(ctx->overrides,
	    &c->subject, ctx->now) != NULL) {
		c->verdict.verdict = VERDICT_BLOCKED;
		return;
	}
	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		k->amount = verdict_new(ctx, c, k);
		verdict_grant(ctx, k);
	}
	for (i = 0; i < c->nkeys && holds && c->mode < CHARGE_REPLAY; i++)
		if (c->keys[i].amount > 0)
			holds = verdict_key_holds(ctx, c, i, &nearest);
		else
			verdict_still_over(ctx, c, i);
	if (!holds) {
		c->verdict.warned = 0;
		ctx->nnear = 0;
		verdict_hits_drop_soft(ctx);
	}
	if (c->weighed != NULL) {
		verdict_weigh(ctx, c);
		return;
	}
	if (holds)
		verdict_record(ctx, c);
	else if (c->mode == CHARGE_EACH && !c->verdict.per_mail)
		verdict_take_back(ctx, c);
	verdict_hits_record(ctx);
}
