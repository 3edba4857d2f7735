#include <stdlib.h>
#include <string.h>

#include "decision/decision.h"
#include "decision/habit.h"
#include "simulated.h"
#include "lib/alloc.h"
#include "lib/map.h"

#define DAY		INT64_C(86400)
#define RULES_MAX	2

struct pair {
	struct map_node		node;		/* first */
	struct habit_entry	entry;
};

/* What one rule has recorded. */
struct rule {
	struct msg_charge_key	charge;
	struct window		window;
	struct map		*recipients;
	struct map		*networks;
};

struct simulated {
	int64_t		since;
	size_t		nrules;
	struct rule	rule[RULES_MAX];
	struct decision	decision;
};

static struct limit	volume[] = { { 10, 60 }, { 150, DAY } };
static struct limit	habit[] = { { 30, DAY } };
static struct limit	backstop[] = { { 100, DAY } };

/* The rules of each policy, as etc/policyd-rate-limit.conf has them. */
static const struct msg_charge_key	rules[POLICY__MAX][RULES_MAX] = {
	[POLICY_VOLUME] = {
		{ .kind = CHARGE_SUM, .amount = 1, .limits = { 2, volume } }
	},
	[POLICY_HABIT] = {
		{ .kind = CHARGE_HABIT, .amount = 1, .valuelen = 1,
		  .limits = { 1, habit },
		  .unfamiliar = 7 * DAY, .learn = 90 * DAY }
	},
	[POLICY_BACKSTOP] = {
		{ .kind = CHARGE_HABIT, .amount = 1, .valuelen = 1,
		  .limits = { 1, habit },
		  .unfamiliar = 7 * DAY, .learn = 90 * DAY },
		{ .kind = CHARGE_HABIT, .amount = 1, .valuelen = 1,
		  .limits = { 1, backstop },
		  .learn = 90 * DAY }
	}
};

static int
pair_same(const struct map_node *node, const void *key, size_t len)
{
	(void)len;
	return ((const struct pair *)node)->entry.hash ==
	    *(const uint64_t *)key;
}

struct simulated *
simulated_new(enum simulated_rules policy, int64_t since)
{
	struct simulated	*l = alloc_zero(1, sizeof(*l));
	struct rule		*r;
	size_t			 i;

	l->since = since;
	for (i = 0; i < RULES_MAX && rules[policy][i].amount > 0; i++) {
		r = &l->rule[l->nrules++];
		r->charge = rules[policy][i];
		window_init(&r->window);
		r->recipients = map_new(pair_same);
		r->networks = map_new(pair_same);
	}
	return l;
}

static void
pair_drop(struct map_node *node, void *map)
{
	map_remove(map, node);
	free(node);
}

void
simulated_free(struct simulated *l)
{
	size_t	i;

	for (i = 0; i < l->nrules; i++) {
		window_clear(&l->rule[i].window);
		map_each(l->rule[i].recipients, pair_drop,
		    l->rule[i].recipients);
		map_free(l->rule[i].recipients);
		map_each(l->rule[i].networks, pair_drop, l->rule[i].networks);
		map_free(l->rule[i].networks);
	}
	free(l);
}

static struct pair *
pair_find(struct map *map, uint64_t key)
{
	return (struct pair *)map_find(map, map_hash(&key, sizeof(key)), &key,
	    sizeof(key));
}

static struct habit_pair
pair_read(struct map *map, uint64_t key)
{
	struct habit_pair	 none = { -1, 0 };
	struct pair		*p = pair_find(map, key);

	return p != NULL ? p->entry.pair : none;
}

struct list {
	struct habit_entry	*entry;
	size_t			 n;
};

static void
pair_collect(struct map_node *node, void *arg)
{
	struct list	*list = arg;

	list->entry[list->n++] = ((struct pair *)node)->entry;
}

static void
pair_evict(struct map *map, size_t max, bool networks,
    const struct habit_terms *terms, int64_t now)
{
	struct list	 list = { NULL, 0 };
	size_t		 n, i;

	if (map_count(map) <= max)
		return;
	list.entry = alloc_zero(map_count(map), sizeof(list.entry[0]));
	map_each(map, pair_collect, &list);
	n = habit_evict(list.entry, list.n, max, networks, terms, now);
	for (i = 0; i < n; i++)
		pair_drop(&pair_find(map, list.entry[i].hash)->node, map);
	free(list.entry);
}

static void
pair_write(struct map *map, uint64_t key, const struct habit_pair *value)
{
	struct pair	*p = pair_find(map, key);

	if (p == NULL) {
		p = alloc_zero(1, sizeof(*p));
		p->node.hash = map_hash(&key, sizeof(key));
		p->entry.hash = key;
		map_insert(map, &p->node);
	}
	p->entry.pair = *value;
}

/* What the ledger does with the verdict for one rule. */
static void
rule_record(struct rule *r, const struct decision_key *k, bool accepted,
    bool refused, uint64_t network, uint64_t recipient, int64_t now)
{
	struct habit_terms	terms = { r->charge.unfamiliar,
				    r->charge.learn };
	struct habit_pair	from = *k->network, to = *k->recipient;

	if (accepted && k->amount > 0)
		window_add(&r->window, now, k->amount);
	window_forget(&r->window, now - 2 * DAY);
	if (r->charge.kind != CHARGE_HABIT)
		return;
	if (accepted && habit_learn(&to, &terms, now)) {
		pair_write(r->recipients, recipient, &to);
		pair_evict(r->recipients, HABIT_RECIPIENTS, false, &terms, now);
	}
	if (terms.unfamiliar == 0)
		return;
	if (accepted ? habit_learn(&from, &terms, now) :
	    refused && habit_refuse(&from, &terms, now)) {
		pair_write(r->networks, network, &from);
		pair_evict(r->networks, HABIT_NETWORKS, true, &terms, now);
	}
}

bool
simulated_send(struct simulated *l, uint64_t network, uint64_t recipient,
    int64_t now)
{
	struct decision		*d = &l->decision;
	struct habit_pair	 from[RULES_MAX], to[RULES_MAX];
	struct msg_verdict	 v;
	bool			 accepted;
	size_t			 i;

	d->mode = CHARGE_ONCE;
	d->tag = 1;
	d->now = now;
	d->nkeys = l->nrules;
	for (i = 0; i < l->nrules; i++) {
		memset(&d->key[i], 0, sizeof(d->key[i]));
		from[i] = pair_read(l->rule[i].networks, network);
		to[i] = pair_read(l->rule[i].recipients, recipient);
		d->key[i].charge = &l->rule[i].charge;
		d->key[i].limits = &l->rule[i].charge.limits;
		d->key[i].window = &l->rule[i].window;
		d->key[i].seen = -1;
		d->key[i].network = &from[i];
		d->key[i].recipient = &to[i];
		d->key[i].learning = habit_learning(l->since, now);
	}
	decision_make(d, &v);
	accepted = v.verdict == VERDICT_ACCEPTED;
	for (i = 0; i < l->nrules; i++)
		rule_record(&l->rule[i], &d->key[i], accepted, v.key == i,
		    network, recipient, now);
	return accepted;
}

void
simulated_stored(const struct simulated *l, int64_t *recipients,
    int64_t *networks)
{
	*recipients = (int64_t)map_count(l->rule[0].recipients);
	*networks = (int64_t)map_count(l->rule[0].networks);
}
