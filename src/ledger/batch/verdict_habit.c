#include "ledger/batch/charge_batch.h"
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
 * A rule that was not used for a year is new. So a rule whose first mail came
 * while the clock was years behind learns when the clock is right.
 */
static bool
rule_known(const struct charge_batch *b, const struct store_pair *rule)
{
	return rule != NULL && habit_known(&rule->known, &rule_terms, b->now);
}

static int64_t
rule_since(const struct charge_batch *b, const struct store_pair *rule)
{
	return rule_known(b, rule) ? rule->known.first : b->now;
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
verdict_habit_inherit(const struct charge_batch *b,
    const struct verdict_charge *c)
{
	struct store_pair	*const *of, *const *was, *rule;
	struct habit_terms	 terms;
	size_t			 i;

	for (i = c->nkeys; i < c->nids; i++) {
		was = c->ids[i].pair;
		of = c->ids[c->ids[i].key].pair;
		if ((rule = of[PAIR_RULE]) == NULL)
			continue;
		terms = key_terms(&c->keys[c->ids[i].key]);
		pair_inherit(of[PAIR_NETWORK], was[PAIR_NETWORK], &terms,
		    b->now);
		pair_inherit(of[PAIR_RECIPIENT], was[PAIR_RECIPIENT], &terms,
		    b->now);
		/* The rule is as old as its oldest name. */
		if (rule_known(b, was[PAIR_RULE]) && (!rule_known(b, rule)
		    || was[PAIR_RULE]->known.first < rule->known.first)) {
			rule->known.first = was[PAIR_RULE]->known.first;
			rule->known.last = b->now;
			rule->changed = c->weighed == NULL;
		}
	}
}

/* The id of the key whose rule made the lock; NULL: the charge has none. */
static const struct verdict_id *
id_of_lock(const struct verdict_charge *c, const struct override *lock)
{
	uint64_t	name = habits_rule(lock->who, lock->wholen);
	size_t		i;

	for (i = 0; i < c->nids; i++)
		if (c->keys[c->ids[i].key].charge.kind == CHARGE_HABIT &&
		    c->ids[i].rule_name == name)
			return &c->ids[c->ids[i].key];
	return NULL;
}

bool
verdict_habit_locks(const void *habits, const struct override *lock)
{
	const struct verdict_habits	*h = habits;
	const struct verdict_id		*v = id_of_lock(h->c, lock);
	const struct store_pair		*network;
	struct habit_terms		 terms;

	if (v == NULL)
		return false;
	terms = key_terms(&h->c->keys[v->key]);
	network = v->pair[PAIR_NETWORK];
	return !habit_familiar(network != NULL ? &network->known : NULL,
	    &terms, h->b->now);
}

/* The rule of an id refused: its time of the network starts again. */
static void
refuse(const struct charge_batch *b, const struct verdict_charge *c,
    const struct verdict_id *v)
{
	const struct habit_terms	 terms = key_terms(&c->keys[v->key]);
	struct store_pair		*network = v->pair[PAIR_NETWORK];

	if (network != NULL && habit_refuse(&network->known, &terms, b->now))
		network->changed = true;
}

void
verdict_habit_closed(const struct charge_batch *b,
    const struct verdict_charge *c, const struct override *closed)
{
	const struct verdict_id	*v;

	if (c->weighed == NULL && closed->kind == OVERRIDE_LOCK &&
	    lock_is_partial(closed) && (v = id_of_lock(c, closed)) != NULL)
		refuse(b, c, v);
}

void
verdict_habit_know(const struct charge_batch *b,
    const struct verdict_charge *c, size_t i, struct decision_key *d)
{
	const struct verdict_id	*v = &c->ids[i];

	d->network = d->recipient = NULL;
	d->learning = false;
	d->at_rcpt = 0;
	if (c->keys[i].charge.kind != CHARGE_HABIT)
		return;
	d->network = v->pair[PAIR_NETWORK] != NULL ?
	    &v->pair[PAIR_NETWORK]->known : &unknown;
	d->recipient = v->pair[PAIR_RECIPIENT] != NULL ?
	    &v->pair[PAIR_RECIPIENT]->known : &unknown;
	d->learning = habit_learning(rule_since(b, v->pair[PAIR_RULE]),
	    b->now);
	if (c->instancelen > 0)
		d->at_rcpt = cache_marked(b->cache, &v->instance,
		    CACHE_AT_RCPT);
}

static void
pair_learn(struct charge_batch *b, struct store_pair *p,
    const struct habit_terms *terms)
{
	bool	known;

	if (p == NULL)
		return;
	known = habit_known(&p->known, terms, b->now);
	if (!habit_learn(&p->known, terms, b->now))
		return;
	p->changed = true;
	if (known)
		return;
	b->learns++;
	habits_learned(b->habits, p, terms);
}

void
verdict_habit_learn(struct charge_batch *b,
    const struct verdict_charge *c)
{
	const struct msg_verdict	*m = &c->verdict;
	const struct verdict_id		*v;
	struct store_pair		*rule;
	struct habit_terms		 terms;
	size_t				 i;
	bool				 accepted, refused;

	if (!CHARGE_MAY_REFUSE(c->mode))
		return;
	accepted = m->verdict == VERDICT_ACCEPTED && m->over == 0 &&
	    m->passed == 0;
	for (i = 0; i < c->nkeys; i++) {
		v = &c->ids[i];
		if ((rule = v->pair[PAIR_RULE]) == NULL)
			continue;
		/* Notes once a day that the rule is still in use. */
		if (habit_learn(&rule->known, &rule_terms, b->now))
			rule->changed = true;
		if (accepted && c->keys[i].charge.valuelen > 0) {
			terms = key_terms(&c->keys[i]);
			pair_learn(b, v->pair[PAIR_NETWORK], &terms);
			pair_learn(b, v->pair[PAIR_RECIPIENT], &terms);
		}
		if (accepted && c->tag != 0)
			cache_mark(b->cache, &v->instance, CACHE_AT_RCPT);
		refused = (m->verdict == VERDICT_REFUSED && m->key == i) ||
		    ((m->over | m->shadowed) >> i & 1) != 0;
		if (refused && !b->decision.key[i].learning)
			refuse(b, c, v);
	}
}

void
verdict_habit_weigh(const struct charge_batch *b,
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
		d = &b->decision.key[i];
		answer->network[0] = d->network->first;
		answer->network[1] = d->network->last;
		answer->recipient[0] = d->recipient->first;
		answer->recipient[1] = d->recipient->last;
		answer->learning = d->learning ? num_add_clamp(rule_since(b,
		    c->ids[i].pair[PAIR_RULE]), CHARGE_LEARNING) : 0;
	}
}

bool
verdict_habit_hit(const struct charge_batch *b,
    const struct verdict_charge *c, size_t i)
{
	const struct instance_keys	*instance = &c->ids[i].instance;

	if (c->keys[i].charge.kind != CHARGE_HABIT)
		return true;
	if (cache_marked(b->cache, instance, CACHE_HIT) > 0)
		return false;
	cache_mark(b->cache, instance, CACHE_HIT);
	return true;
}
