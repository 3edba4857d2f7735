#include <stdlib.h>
#include <string.h>

#include "decision/lock_hits.h"
#include "ledger/batch/verdict.h"
#include "ledger/batch/verdict_habit.h"
#include "lib/alloc.h"
#include "lib/num.h"

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
	cache_record(ctx->cache, k->id, &k->instance, &row, ctx->now);
	store_append(ctx->store, cache_index(k->id), &row);
}

static void
verdict_record(struct verdict_context *ctx, const struct verdict_charge *c)
{
	struct decision_record		 list[DECISION_RECORDS_MAX], *r;
	const struct verdict_key	*k;
	size_t				 n, i;

	n = decision_records(&ctx->decision, list);
	for (i = 0; i < n; i++) {
		r = &list[i];
		k = &c->keys[r->key];
		verdict_row(ctx, c, k, r->date, r->amount, r->tag);
		if (k->value != NULL && r->amount > 0) {
			k->value->date = r->date;
			store_see(ctx->store, k->value);
		}
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
		while (!CHARGE_HAS_VALUE(k->charge.kind) &&
		    k->charge.kind != CHARGE_HABIT &&
		    cache_charged_at(ctx->cache, &k->instance, ctx->now, &date,
		    &amount))
			verdict_row(ctx, c, k, date, num_sub_clamp(0, amount),
			    0);
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
verdict_forget(struct verdict_context *ctx, const char *id, size_t idlen)
{
	struct store_value	*v;
	size_t			 i;

	if (ctx->result != STORE_OK)
		return;
	ctx->result = store_forget_values(ctx->store, id, idlen);
	for (i = 0; i < ctx->nvalue; i++) {
		v = &ctx->value[i];
		if (v->idlen == idlen && memcmp(v->id, id, idlen) == 0)
			v->date = -1;
	}
}

/*
 * Takes back each second's amount at that second, so that the sum is 0 in a
 * window of any length, now and later. What counts under earlier names of the
 * rule is taken back under the present one.
 */
static void
verdict_reset(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct verdict_seconds	 s;
	struct verdict_key	*k;
	size_t			 i, j;

	memset(&c->verdict, 0, sizeof(c->verdict));
	c->verdict.verdict = VERDICT_ACCEPTED;
	c->instance = "reset";
	c->instancelen = strlen(c->instance);
	c->weighed->nkeys = c->nkeys;
	for (i = 0; i < c->nkeys && ctx->result == STORE_OK; i++) {
		k = &c->keys[i];
		c->weighed->keys[i].amount = 0;
		/* What was charged once with an instance stays known. */
		if (k->charge.kind != CHARGE_EXTERNAL)
			verdict_forget(ctx, k->charge.id, k->charge.idlen);
		memset(&s, 0, sizeof(s));
		window_each(cache_window(k->id), verdict_on_second, &s);
		for (j = 0; j < c->nwas; j++) {
			if (c->was[j].key != i)
				continue;
			if (k->charge.kind != CHARGE_EXTERNAL)
				verdict_forget(ctx, c->was[j].id,
				    c->was[j].idlen);
			window_each(cache_window(c->was[j].cached),
			    verdict_on_second, &s);
		}
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

/* --- hits --- */

static bool
verdict_hit_wanted(const struct verdict_context *ctx,
    const struct verdict_key *k, const struct decision_hit *hit)
{
	const struct settings	*s = ctx->settings;
	const struct limits	*limits = verdict_limits(k);
	size_t			 i;

	if (!k->charge.report)
		return false;
	if (hit->window == DECISION_MAIL)
		return true;
	if (limits == &k->charge.limits)
		return (k->charge.reported >> hit->window & 1) != 0;
	for (i = 0; i < s->nreport_limits; i++)
		if (s->report_limits[i] == limits->list[hit->window].seconds)
			return true;
	return false;
}

/*
 * Records the hits that are reported, and keeps those of rules that are not in
 * shadow.
 */
static void
verdict_hits(struct verdict_context *ctx, const struct verdict_charge *c,
    enum hit_kind kind, const struct decision_hit *hits, size_t nhits)
{
	const struct verdict_key	*k;
	int64_t				 seconds;
	size_t				 i;

	for (i = 0; i < nhits; i++) {
		k = &c->keys[hits[i].key];
		if (!verdict_hit_wanted(ctx, k, &hits[i]) ||
		    (kind == HIT_FULL && !verdict_habit_hit(ctx, k)))
			continue;
		seconds = hits[i].window == DECISION_MAIL ? 0 :
		    verdict_limits(k)->list[hits[i].window].seconds;
		store_hit(ctx->store, kind == HIT_FULL && k->charge.shadow ?
		    HIT_SHADOW : kind, k->charge.id, k->charge.idlen, seconds);
		if (!k->charge.shadow)
			ctx->hits[ctx->nhits++] = (struct verdict_hit){ kind,
			    k, seconds };
	}
}

/* --- locks --- */

/*
 * The block or the lock that answers the charge, or NULL. Then *pass is set as
 * lock_closed does.
 */
static const struct override *
verdict_closed_by(const struct verdict_context *ctx,
    const struct verdict_charge *c, uint8_t *pass)
{
	const struct override_list	*l =
					    override_table_list(ctx->overrides);
	const struct verdict_habits	 habits = { ctx, c };
	struct lock_request		 from = c->from;
	const struct override		*block;

	*pass = 0;
	if (c->mode >= CHARGE_REPLAY)
		return NULL;
	from.unfamiliar = verdict_habit_locks;
	from.arg = &habits;
	block = override_block(l, &from.subject, ctx->now);
	return block != NULL ? block : lock_closed(l, &from, ctx->now, pass);
}

static void
verdict_blocked(struct verdict_charge *c)
{
	memset(&c->verdict, 0, sizeof(c->verdict));
	c->verdict.verdict = VERDICT_BLOCKED;
}

/* The seconds of the window that was hit; 0: max_per_mail. */
static int64_t
verdict_lock_window(const struct decision *d, const struct lock_hit *lock)
{
	size_t	i;

	for (i = 0; i + 1 < d->nhits; i++)
		if (d->hits[i].key == lock->key)
			break;
	return d->hits[i].window == DECISION_MAIL ? 0 :
	    d->key[lock->key].limits->list[d->hits[i].window].seconds;
}

/* Forgets what lock_hits found. */
static void
verdict_no_locks(struct msg_verdict *v)
{
	v->locked = v->would_lock = v->unlocked = 0;
}

/*
 * Sets the locks of this charge's hits. Another daemon may have locked the same
 * since the list was read, or somebody may have ended a lock: the list is read
 * again, under the locks of the ids.
 */
static void
verdict_lock(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct decision		*d = &ctx->decision;
	struct msg_verdict	*v = &c->verdict;
	struct lock_hit		 list[CHARGE_KEYS_MAX];
	const struct verdict_key *k;
	int64_t			 seconds;
	size_t			 n, i;

	n = lock_hits(d, override_table_list(ctx->overrides), v, list,
	    CHARGE_KEYS_MAX);
	if (n == 0)
		return;
	verdict_no_locks(v);
	ctx->result = override_table_batch(ctx->overrides, ctx->store,
	    ctx->now);
	if (ctx->result != STORE_OK)
		return;
	n = lock_hits(d, override_table_list(ctx->overrides), v, list,
	    CHARGE_KEYS_MAX);
	for (i = 0; i < n && ctx->result == STORE_OK; i++) {
		ctx->result = override_table_lock(ctx->overrides, ctx->store,
		    &list[i].lock, &list[i].record, ctx->now);
		k = &c->keys[list[i].key];
		if (!k->charge.report)
			continue;
		seconds = verdict_lock_window(d, &list[i]);
		store_hit(ctx->store, HIT_LOCK, k->charge.id, k->charge.idlen,
		    seconds);
		ctx->hits[ctx->nhits++] = (struct verdict_hit){ HIT_LOCK, k,
		    seconds };
	}
}

/*
 * The mail whose hit has set a lock may pass this lock (except_recipients).
 * Then it is accepted, whatever rule refused it.
 */
static void
verdict_pass(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct decision		*d = &ctx->decision;
	struct msg_verdict	 v;

	if (c->verdict.verdict != VERDICT_REFUSED ||
	    verdict_closed_by(ctx, c, &d->pass) != NULL || d->pass == 0)
		return;
	decision_make(d, &v);
	if (v.verdict != VERDICT_ACCEPTED)
		return;
	v.locked = c->verdict.locked;
	memcpy(v.locked_until, c->verdict.locked_until,
	    sizeof(v.locked_until));
	c->verdict = v;
	verdict_record(ctx, c);
}

/* --- */

static void
verdict_know(const struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_key *k, struct decision_key *d)
{
	const struct override	*grant;
	int64_t			 amount;

	grant = override_find(override_table_list(ctx->overrides),
	    OVERRIDE_GRANT, k->charge.id, k->charge.idlen, ctx->now);
	d->charge = &k->charge;
	d->limits = verdict_limits(k);
	d->window = cache_window(k->id);
	d->granted = grant != NULL ? grant->amount : 0;
	d->granted_until = grant != NULL ? grant->until : 0;
	d->charged = c->instancelen > 0 ?
	    cache_charged(ctx->cache, &k->instance) : 0;
	if (k->charge.lock.seconds == 0 || d->charged == 0 ||
	    !cache_charged_at(ctx->cache, &k->instance, ctx->now,
	    &d->charged_at, &amount))
		d->charged_at = 0;
	d->repeated = cache_has_tag(ctx->cache, &k->instance);
	d->seen = k->value != NULL ? k->value->date : -1;
	d->wait.until = 0;
	verdict_habit_know(ctx, c, k, d);
}

static void
verdict_merge_second(void *arg, int64_t when, int64_t amount)
{
	window_add(arg, when, amount);
}

/*
 * Adds what is known of a key under an earlier name of its rule. Until that has
 * left the key's windows, the cost of a decision grows with their seconds.
 */
static void
verdict_know_was(struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_was *w, struct decision_key *d)
{
	const struct window	*window = cache_window(w->cached);
	struct window		*merged = &ctx->merged[w->key];
	const struct override	*grant;

	grant = override_find(override_table_list(ctx->overrides),
	    OVERRIDE_GRANT, w->id, w->idlen, ctx->now);
	if (grant != NULL && d->granted == 0) {
		d->granted = grant->amount;
		d->granted_until = grant->until;
	}
	if (c->instancelen > 0)
		d->charged = num_add_clamp(d->charged,
		    cache_charged(ctx->cache, &w->instance));
	if (cache_has_tag(ctx->cache, &w->instance))
		d->repeated = true;
	if (w->value != NULL && w->value->date > d->seen)
		d->seen = w->value->date;
	if (window_newest(window) == INT64_MIN)
		return;
	if (d->window != merged) {
		window_init(merged);
		window_each(d->window, verdict_merge_second, merged);
		d->window = merged;
	}
	window_each(window, verdict_merge_second, merged);
}

static void
verdict_know_all(struct verdict_context *ctx, const struct verdict_charge *c)
{
	struct decision	*d = &ctx->decision;
	size_t		 i;

	for (i = 0; i < c->nkeys; i++)
		verdict_know(ctx, c, &c->keys[i], &d->key[i]);
	for (i = 0; i < c->nwas; i++)
		verdict_know_was(ctx, c, &c->was[i], &d->key[c->was[i].key]);
}

/* Frees what verdict_know_was merged. */
static void
verdict_forget_merged(struct verdict_context *ctx,
    const struct verdict_charge *c)
{
	struct decision_key	*d;
	size_t			 i;

	for (i = 0; i < c->nwas; i++) {
		d = &ctx->decision.key[c->was[i].key];
		if (d->window == &ctx->merged[c->was[i].key])
			window_clear(&ctx->merged[c->was[i].key]);
		d->window = NULL;
	}
}

/* Records what was decided. */
static void
verdict_settle(struct verdict_context *ctx, struct verdict_charge *c)
{
	const struct decision	*d = &ctx->decision;

	if (c->verdict.verdict == VERDICT_ACCEPTED)
		verdict_record(ctx, c);
	else if (decision_takes_back(d, &c->verdict))
		verdict_take_back(ctx, c);
	verdict_habit_learn(ctx, c);
	/* Before the hits: report_user names the lock, not its hit. */
	verdict_lock(ctx, c);
	verdict_hits(ctx, c, HIT_FULL, d->hits, d->nhits);
	verdict_hits(ctx, c, HIT_NEAR, d->near, d->nnear);
	if (c->verdict.locked != 0)
		verdict_pass(ctx, c);
}

void
verdict_decide(struct verdict_context *ctx, struct verdict_charge *c)
{
	struct decision		*d = &ctx->decision;
	const struct override	*closed;

	ctx->nhits = 0;
	if (c->reset) {
		verdict_reset(ctx, c);
		return;
	}
	verdict_habit_inherit(ctx, c);
	if ((closed = verdict_closed_by(ctx, c, &d->pass)) != NULL) {
		verdict_habit_closed(ctx, c, closed);
		verdict_blocked(c);
		return;
	}
	d->mode = c->mode;
	d->date = c->date;
	d->tag = c->tag;
	d->now = ctx->now;
	d->nkeys = c->nkeys;
	verdict_know_all(ctx, c);
	decision_make(d, &c->verdict);
	/* No more mails pass the lock now. */
	if (d->pass != 0 && c->verdict.verdict == VERDICT_REFUSED)
		verdict_blocked(c);
	if (c->weighed != NULL) {
		decision_weigh(d, c->weighed);
		verdict_habit_weigh(ctx, c);
	}
	if (c->weighed == NULL || c->mode == CHARGE_ADD)
		verdict_settle(ctx, c);
	verdict_forget_merged(ctx, c);
}
