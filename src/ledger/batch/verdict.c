#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/batch/verdict_habit.h"
#include "lib/alloc.h"
#include "lib/num.h"

const struct limits *
verdict_limits(const struct verdict_key *k)
{
	return k->sql != NULL && k->sql->known ? &k->sql->limits :
	    &k->charge.limits;
}

/* --- recording --- */

/* Records a row of key `i`. */
static void
add_row(struct charge_batch *b, const struct verdict_charge *c,
    size_t i, int64_t date, int64_t amount, int64_t tag)
{
	const struct verdict_id	*v = &c->ids[i];
	const struct store_row	 row = {
		.id = v->id, .idlen = v->idlen, .date = date, .amount = amount,
		.instance = c->instance, .instancelen = c->instancelen,
		.tag = tag, .state = c->state, .statelen = c->statelen
	};

	cache_record(b->cache, v->cached, &v->instance, &row);
	store_append(b->store, v->cached->index, &row);
}

static void
record_charge(struct charge_batch *b, const struct verdict_charge *c)
{
	struct decision_record	 list[DECISION_RECORDS_MAX], *r;
	struct store_value	*value;
	size_t			 n, i;

	n = decision_records(&b->decision, list);
	for (i = 0; i < n; i++) {
		r = &list[i];
		add_row(b, c, r->key, r->date, r->amount, r->tag);
		value = c->ids[r->key].value;
		if (value != NULL && r->amount > 0) {
			value->date = r->date;
			store_see(b->store, value);
		}
	}
}

/*
 * Takes back each second's amount at that second, so that the sum is 0 in every
 * window that is configured, now and later. What counts under earlier names of
 * the rule is taken back under the present one.
 */
static void
reset_ids(struct charge_batch *b, struct verdict_charge *c)
{
	const struct pack_count	*counts;
	const struct verdict_id	*v;
	struct store_value	*value;
	int64_t			*sum;
	size_t			 n, i, j;

	c->verdict = (struct msg_verdict){ .verdict = VERDICT_ACCEPTED };
	c->instance = "reset";
	c->instancelen = strlen(c->instance);
	c->weighed->nkeys = c->nkeys;
	for (i = 0; i < c->nkeys; i++)
		c->weighed->keys[i].amount = 0;
	for (i = 0; i < c->nids && b->result == STORE_OK; i++) {
		v = &c->ids[i];
		sum = &c->weighed->keys[v->key].amount;
		/* Those of CHARGE_EXTERNAL stay: each adds only once. */
		n = 0;
		if (c->keys[v->key].charge.kind != CHARGE_EXTERNAL) {
			b->result = store_forget_values(b->store, v->id,
			    v->idlen);
			n = b->gathered.nvalue;
		}
		for (j = 0; j < n; j++) {
			value = &b->gathered.value[j];
			if (value->idlen == v->idlen &&
			    memcmp(value->id, v->id, v->idlen) == 0)
				value->date = -1;
		}
		n = cache_counts(b->cache, v->cached, &counts);
		for (j = 0; j < n; j++) {
			*sum = num_add_clamp(*sum, counts[j].amount);
			add_row(b, c, v->key, counts[j].date,
			    num_sub_clamp(0, counts[j].amount), 0);
		}
	}
}

/* --- hits --- */

static void
keep_hit(struct charge_batch *b, const struct verdict_charge *c,
    const struct verdict_key *k, enum hit_kind kind, int64_t seconds)
{
	b->hit = alloc_room(b->hit, b->nhit, &b->hits,
	    sizeof(b->hit[0]));
	b->hit[b->nhit++] = (struct charge_hit){ kind, c, k, seconds };
}

/*
 * Records the hits that are reported, and keeps those of rules that are not in
 * shadow.
 */
static void
add_hits(struct charge_batch *b, const struct verdict_charge *c,
    enum hit_kind kind, const struct decision_hit *hits, size_t nhits)
{
	const struct settings		*s = b->settings;
	const struct verdict_key	*k;
	const struct limits		*limits;
	int64_t				 seconds;
	size_t				 i, j;
	bool				 wanted;

	for (i = 0; i < nhits; i++) {
		k = &c->keys[hits[i].key];
		limits = verdict_limits(k);
		wanted = hits[i].window == DECISION_MAIL;
		seconds = wanted ? 0 : limits->list[hits[i].window].seconds;
		if (!wanted && limits == &k->charge.limits)
			wanted = (k->charge.reported >> hits[i].window & 1) !=
			    0;
		else
			for (j = 0; j < s->nreport_limits && !wanted; j++)
				wanted = s->report_limits[j] == seconds;
		if (!k->charge.report || !wanted || (kind == HIT_FULL &&
		    !verdict_habit_hit(b, c, hits[i].key)))
			continue;
		store_hit(b->store, kind == HIT_FULL && k->charge.shadow ?
		    HIT_SHADOW : kind, k->charge.id, k->charge.idlen, seconds);
		if (!k->charge.shadow)
			keep_hit(b, c, k, kind, seconds);
	}
}

/* --- locks --- */

/*
 * The block or the lock that answers the charge, or NULL. Then *pass is set as
 * lock_closed does.
 */
static const struct override *
closed_by(const struct charge_batch *b,
    const struct verdict_charge *c, uint8_t *pass)
{
	const struct override_list	*l =
					    b->overrides->list;
	const struct verdict_habits	 habits = { b, c };
	struct lock_request		 from = c->from;
	const struct override		*block;

	*pass = 0;
	if (!CHARGE_MAY_REFUSE(c->mode))
		return NULL;
	from.unfamiliar = verdict_habit_locks;
	from.arg = &habits;
	block = override_block(l, &from.subject, b->now);
	return block != NULL ? block : lock_closed(l, &from, b->now, pass);
}

/*
 * Sets the locks of this charge's hits. Another daemon may have locked the same
 * since the list was read, or somebody may have ended a lock: the list is read
 * again, under the locks of the ids.
 */
static void
set_locks(struct charge_batch *b, struct verdict_charge *c)
{
	struct decision		*d = &b->decision;
	struct msg_verdict	*v = &c->verdict;
	struct lock_hit		 list[CHARGE_KEYS_MAX];
	const struct verdict_key *k;
	int64_t			 seconds;
	size_t			 window, n, i, j;

	n = lock_hits(d, b->overrides->list, v, list,
	    CHARGE_KEYS_MAX);
	if (n == 0)
		return;
	/* Forget what lock_hits found. */
	v->locked = v->would_lock = v->unlocked = 0;
	b->result = override_table_batch(b->overrides, b->store,
	    b->now);
	if (b->result != STORE_OK)
		return;
	n = lock_hits(d, b->overrides->list, v, list,
	    CHARGE_KEYS_MAX);
	for (i = 0; i < n; i++) {
		b->result = override_table_lock(b->overrides, b->store,
		    &list[i].lock, &list[i].record, b->now);
		if (b->result != STORE_OK)
			return;
		k = &c->keys[list[i].key];
		if (!k->charge.report)
			continue;
		for (j = 0; j + 1 < d->nhits; j++)
			if (d->hits[j].key == list[i].key)
				break;
		window = d->hits[j].window;
		seconds = window == DECISION_MAIL ? 0 :
		    d->key[list[i].key].limits->list[window].seconds;
		store_hit(b->store, HIT_LOCK, k->charge.id, k->charge.idlen,
		    seconds);
		keep_hit(b, c, k, HIT_LOCK, seconds);
	}
}

/*
 * The mail whose hit has set a lock may pass this lock (except_recipients).
 * Then whatever rule refused it no longer counts: it is refused only if as many
 * mails as possible have passed.
 */
static void
pass_lock(struct charge_batch *b, struct verdict_charge *c)
{
	struct decision		*d = &b->decision;
	struct msg_verdict	 v;

	if (c->verdict.verdict != VERDICT_REFUSED ||
	    closed_by(b, c, &d->pass) != NULL || d->pass == 0)
		return;
	decision_make(d, &v);
	if (v.verdict != VERDICT_ACCEPTED)
		return;
	v.locked = c->verdict.locked;
	memcpy(v.locked_until, c->verdict.locked_until,
	    sizeof(v.locked_until));
	c->verdict = v;
	record_charge(b, c);
}

/* --- what is known --- */

static void
fill_decision_key(const struct charge_batch *b, const struct verdict_charge *c,
    size_t i, struct decision_key *d)
{
	const struct verdict_key	*k = &c->keys[i];
	const struct verdict_id		*v = &c->ids[i];
	const struct override		*grant;
	int64_t				 amount;

	grant = override_find(b->overrides->list,
	    OVERRIDE_GRANT, v->id, v->idlen, b->now);
	d->charge = &k->charge;
	d->limits = verdict_limits(k);
	d->window = &v->cached->window;
	d->granted = grant != NULL ? grant->amount : 0;
	d->granted_until = grant != NULL ? grant->until : 0;
	d->charged = cache_charged(b->cache, &v->instance);
	if (k->charge.lock.seconds == 0 || d->charged == 0 ||
	    !cache_charged_at(b->cache, &v->instance, &d->charged_at,
	    &amount))
		d->charged_at = 0;
	d->repeated = cache_has_tag(b->cache, &v->instance);
	d->seen = v->value != NULL ? v->value->date : -1;
	d->wait.until = 0;
	verdict_habit_know(b, c, i, d);
}

static void
merge_second(void *arg, int64_t when, int64_t amount)
{
	window_add(arg, when, amount);
}

/*
 * Adds what is known of a key under an earlier name of its rule. Until that has
 * left the key's windows, the cost of a decision grows with their seconds.
 */
static void
merge_earlier_name(struct charge_batch *b, const struct verdict_id *v)
{
	const struct window	*window = &v->cached->window;
	struct window		*merged = &b->merged[v->key];
	struct decision_key	*d = &b->decision.key[v->key];
	const struct override	*grant;

	grant = override_find(b->overrides->list,
	    OVERRIDE_GRANT, v->id, v->idlen, b->now);
	if (grant != NULL && d->granted == 0) {
		d->granted = grant->amount;
		d->granted_until = grant->until;
	}
	d->charged = num_add_clamp(d->charged, cache_charged(b->cache,
	    &v->instance));
	if (cache_has_tag(b->cache, &v->instance))
		d->repeated = true;
	if (v->value != NULL && v->value->date > d->seen)
		d->seen = v->value->date;
	if (window_newest(window) == INT64_MIN)
		return;
	if (d->window != merged) {
		window_init(merged);
		window_each(d->window, merge_second, merged);
		d->window = merged;
	}
	window_each(window, merge_second, merged);
}

/* --- the decision --- */

/* Records what was decided. */
static void
record_decision(struct charge_batch *b, struct verdict_charge *c)
{
	const struct decision	*d = &b->decision;
	int64_t			 date, amount;
	size_t			 i;
	bool			 back;

	back = decision_takes_back(d, &c->verdict);
	if (c->verdict.verdict == VERDICT_ACCEPTED)
		record_charge(b, c);
	/* count_mode 0: takes back what the instance was charged before. */
	for (i = 0; i < c->nkeys && back; i++)
		while (!CHARGE_HAS_VALUE(c->keys[i].charge.kind) &&
		    c->keys[i].charge.kind != CHARGE_HABIT &&
		    cache_charged_at(b->cache, &c->ids[i].instance, &date,
		    &amount))
			add_row(b, c, i, date, num_sub_clamp(0, amount), 0);
	verdict_habit_learn(b, c);
	/* Before the hits: of a hit and its lock report_user names the lock. */
	set_locks(b, c);
	if (b->result != STORE_OK)
		return;
	add_hits(b, c, HIT_FULL, d->hits, d->nhits);
	add_hits(b, c, HIT_NEAR, d->near, d->nnear);
	if (c->verdict.locked != 0)
		pass_lock(b, c);
}

void
verdict_decide(struct charge_batch *b, struct verdict_charge *c)
{
	struct decision		*d = &b->decision;
	const struct override	*closed;
	size_t			 i;

	if (c->reset) {
		reset_ids(b, c);
		return;
	}
	verdict_habit_inherit(b, c);
	if ((closed = closed_by(b, c, &d->pass)) != NULL) {
		verdict_habit_closed(b, c, closed);
		c->verdict = (struct msg_verdict){ .verdict = VERDICT_BLOCKED };
		return;
	}
	d->mode = c->mode;
	d->date = c->date;
	d->tag = c->tag;
	d->now = b->now;
	d->nkeys = c->nkeys;
	for (i = 0; i < c->nkeys; i++)
		fill_decision_key(b, c, i, &d->key[i]);
	for (; i < c->nids; i++)
		merge_earlier_name(b, &c->ids[i]);
	decision_make(d, &c->verdict);
	/* As many mails as may pass the lock have passed: it refuses. */
	if (d->pass != 0 && c->verdict.verdict == VERDICT_REFUSED)
		c->verdict = (struct msg_verdict){ .verdict = VERDICT_BLOCKED };
	if (c->weighed != NULL) {
		decision_weigh(d, c->weighed);
		verdict_habit_weigh(b, c);
	}
	if (c->weighed == NULL || c->mode == CHARGE_ADD)
		record_decision(b, c);
	/* What merge_earlier_name merged. */
	for (i = 0; i < c->nkeys; i++)
		if (d->key[i].window == &b->merged[i])
			window_clear(&b->merged[i]);
}
