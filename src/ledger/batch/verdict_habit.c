#include "ledger/batch/verdict_habit.h"
#include "lib/num.h"

static const struct habit_pair	unknown = { -1, 0 };
static const struct habit_terms	rule_terms = { 0, INT64_C(366) * 86400 };

static struct habit_terms
key_terms(const struct verdict_key *k)
{
	return (struct habit_terms){ k->charge.unfamiliar, k->charge.learn };
}

/*
 * A rule that was not used for a year is new, so one whose first mail came
 * while the clock was years behind learns once it is right.
 */
static bool
rule_known(const struct verdict_context *ctx, const struct store_pair *rule)
{
	return rule != NULL && habit_known(&rule->known, &rule_terms, ctx->now);
}

static int64_t
rule_since(const struct verdict_context *ctx, const struct store_pair *rule)
{
	return rule_known(ctx, rule) ? rule->known.first : ctx->now;
}

static void
pair_inherit(struct store_pair *p, const struct store_pair *was,
    const struct habit_terms *terms, int64_t now)
{
	if (p != NULL && was != NULL && !habit_known(&p->known, terms, now) &&
	    habit_known(&was->known, terms, now))
		p->known = was->known;
}

void
verdict_habit_inherit(const struct verdict_context *ctx,
    const struct verdict_charge *c)
{
	const struct verdict_was	*w;
	const struct verdict_key	*k;
	struct habit_terms		 terms;
	size_t				 i;

	for (i = 0; i < c->nwas; i++) {
		w = &c->was[i];
		k = &c->keys[w->key];
		if (k->charge.kind != CHARGE_HABIT)
			continue;
		terms = key_terms(k);
		pair_inherit(k->network, w->network, &terms, ctx->now);
		pair_inherit(k->recipient, w->recipient, &terms, ctx->now);
		/* The rule is as old as its oldest name. */
		if (rule_known(ctx, w->rule) && (!rule_known(ctx, k->rule) ||
		    w->rule->known.first < k->rule->known.first)) {
			k->rule->known.first = w->rule->known.first;
			k->rule->known.last = ctx->now;
			k->rule->changed = c->weighed == NULL;
		}
	}
}

/* The key of the rule that made the lock, or NULL. */
static const struct verdict_key *
key_of_lock(const struct verdict_charge *c, const struct override *lock)
{
	uint64_t	name = habits_rule(lock->who, lock->wholen);
	size_t		i;

	for (i = 0; i < c->nkeys; i++)
		if (c->keys[i].charge.kind == CHARGE_HABIT &&
		    c->keys[i].rule_name == name)
			return &c->keys[i];
	for (i = 0; i < c->nwas; i++)
		if (c->keys[c->was[i].key].charge.kind == CHARGE_HABIT &&
		    c->was[i].rule_name == name)
			return &c->keys[c->was[i].key];
	return NULL;
}

bool
verdict_habit_locks(const void *habits, const struct override *lock)
{
	const struct verdict_habits	*h = habits;
	const struct verdict_key	*k = key_of_lock(h->c, lock);
	struct habit_terms		 terms;

	if (k == NULL)
		return false;
	terms = key_terms(k);
	return !habit_familiar(k->network != NULL ? &k->network->known : NULL,
	    &terms, h->ctx->now);
}

void
verdict_habit_closed(const struct verdict_context *ctx,
    const struct verdict_charge *c, const struct override *closed)
{
	const struct verdict_key	*k;
	struct habit_terms		 terms;

	if (c->weighed != NULL || closed->kind != OVERRIDE_LOCK ||
	    !lock_is_partial(closed) || (k = key_of_lock(c, closed)) == NULL ||
	    k->network == NULL)
		return;
	terms = key_terms(k);
	if (habit_refuse(&k->network->known, &terms, ctx->now))
		k->network->changed = true;
}

void
verdict_habit_know(const struct verdict_context *ctx,
    const struct verdict_charge *c, const struct verdict_key *k,
    struct decision_key *d)
{
	d->network = d->recipient = NULL;
	d->learning = false;
	d->at_rcpt = 0;
	if (k->charge.kind != CHARGE_HABIT)
		return;
	d->network = k->network != NULL ? &k->network->known : &unknown;
	d->recipient = k->recipient != NULL ? &k->recipient->known : &unknown;
	d->learning = habit_learning(rule_since(ctx, k->rule), ctx->now);
	if (c->instancelen > 0)
		d->at_rcpt = cache_marked(ctx->cache, &k->instance,
		    CACHE_AT_RCPT);
}

static void
pair_learn(struct verdict_context *ctx, struct store_pair *p,
    const struct habit_terms *terms)
{
	bool	known;

	if (p == NULL)
		return;
	known = habit_known(&p->known, terms, ctx->now);
	if (!habit_learn(&p->known, terms, ctx->now))
		return;
	p->changed = true;
	if (known)
		return;
	ctx->learned++;
	habits_learned(ctx->habits, p, terms);
}

/* Notes once a day that the rule is still in use. */
static void
rule_learn(struct verdict_context *ctx, struct store_pair *rule)
{
	if (habit_learn(&rule->known, &rule_terms, ctx->now))
		rule->changed = true;
}

static void
key_learn(struct verdict_context *ctx, const struct verdict_charge *c,
    const struct verdict_key *k, bool accepted, bool refused)
{
	const struct habit_terms	terms = key_terms(k);

	rule_learn(ctx, k->rule);
	if (accepted && k->charge.valuelen > 0) {
		pair_learn(ctx, k->network, &terms);
		pair_learn(ctx, k->recipient, &terms);
	}
	if (accepted && c->tag != 0)
		cache_mark(ctx->cache, &k->instance, CACHE_AT_RCPT, ctx->now);
	if (refused && k->network != NULL &&
	    habit_refuse(&k->network->known, &terms, ctx->now))
		k->network->changed = true;
}

void
verdict_habit_learn(struct verdict_context *ctx,
    const struct verdict_charge *c)
{
	const struct msg_verdict	*v = &c->verdict;
	bool				 accepted, refused;
	size_t				 i;

	if (c->mode >= CHARGE_REPLAY)
		return;
	accepted = v->verdict == VERDICT_ACCEPTED && v->over == 0 &&
	    v->passed == 0;
	for (i = 0; i < c->nkeys; i++) {
		if (c->keys[i].charge.kind != CHARGE_HABIT)
			continue;
		refused = (v->verdict == VERDICT_REFUSED && v->key == i) ||
		    ((v->over | v->shadowed) >> i & 1) != 0;
		key_learn(ctx, c, &c->keys[i], accepted, refused &&
		    !ctx->decision.key[i].learning);
	}
}

void
verdict_habit_weigh(const struct verdict_context *ctx,
    const struct verdict_charge *c)
{
	const struct decision_key	*d;
	struct msg_weighed_key		*answer;
	size_t				 i;

	for (i = 0; i < c->nkeys; i++) {
		answer = &c->weighed->keys[i];
		answer->habit = c->keys[i].charge.kind == CHARGE_HABIT;
		if (!answer->habit)
			continue;
		d = &ctx->decision.key[i];
		answer->network[0] = d->network->first;
		answer->network[1] = d->network->last;
		answer->recipient[0] = d->recipient->first;
		answer->recipient[1] = d->recipient->last;
		answer->learning = d->learning ? num_add_clamp(rule_since(ctx,
		    c->keys[i].rule), HABIT_LEARNING) : 0;
	}
}

bool
verdict_habit_hit(const struct verdict_context *ctx,
    const struct verdict_key *k)
{
	if (k->charge.kind != CHARGE_HABIT)
		return true;
	if (cache_marked(ctx->cache, &k->instance, CACHE_HIT) > 0)
		return false;
	cache_mark(ctx->cache, &k->instance, CACHE_HIT, ctx->now);
	return true;
}
