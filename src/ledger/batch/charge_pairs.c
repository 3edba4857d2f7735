#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"

void
charge_pairs_take(struct verdict_key *k, const struct msg_charge_key *m,
    char **at)
{
	const char	*colon = memchr(m->id, ':', m->idlen);

	/* An id begins with the rule's name. */
	k->rule_name = habits_rule(m->id, colon == NULL ? m->idlen :
	    (size_t)(colon - m->id));
	k->charge.value = memcpy(*at, m->value, m->valuelen);
	*at += m->valuelen;
	k->charge.network = memcpy(*at, m->network, m->networklen);
	*at += m->networklen;
}

static struct store_pair *
pair_new(struct charge_batch *b)
{
	if (b->npair == b->pairs) {
		b->pairs = b->pairs == 0 ? 32 : b->pairs * 2;
		b->pair = alloc_resize(b->pair, b->pairs, sizeof(b->pair[0]));
	}
	return &b->pair[b->npair++];
}

/*
 * Names the pairs of a request: rule, network, recipient. `id` and `rule` are
 * the present ones, or earlier ones of a renamed rule.
 */
static size_t
pairs_name(const struct charge_batch *b, const struct msg_charge_key *c,
    const char *id, size_t idlen, uint64_t rule, struct store_pair name[3])
{
	size_t	n = 0;

	habits_name_rule(b->habits, &name[n++], rule);
	if (c->networklen > 0 && c->unfamiliar > 0)
		habits_name(b->habits, &name[n++], PAIR_NETWORK, id, idlen,
		    c->network, c->networklen);
	if (c->valuelen > 0)
		habits_name(b->habits, &name[n++], PAIR_RECIPIENT, id, idlen,
		    c->value, c->valuelen);
	return n;
}

static void
pairs_add(struct charge_batch *b, const struct store_pair *name, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		*pair_new(b) = name[i];
}

static struct store_pair *
pairs_find(const struct charge_batch *b, const struct store_pair *name,
    size_t n, enum store_pair_kind kind)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (name[i].kind == kind)
			return bsearch(&name[i], b->pair, b->npair,
			    sizeof(name[0]), habits_order);
	return NULL;
}

/* Adds the pairs of a charge, or once they are sorted points to them. */
static void
pairs_of(struct charge_batch *b, struct verdict_charge *c, bool point)
{
	struct store_pair	 name[3];
	struct verdict_key	*k;
	struct verdict_was	*w;
	size_t			 n, i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (k->charge.kind != CHARGE_HABIT)
			continue;
		n = pairs_name(b, &k->charge, k->charge.id, k->charge.idlen,
		    k->rule_name, name);
		if (!point) {
			pairs_add(b, name, n);
			continue;
		}
		k->network = pairs_find(b, name, n, PAIR_NETWORK);
		k->recipient = pairs_find(b, name, n, PAIR_RECIPIENT);
		k->rule = pairs_find(b, name, n, PAIR_RULE);
	}
	for (i = 0; i < c->nwas; i++) {
		w = &c->was[i];
		k = &c->keys[w->key];
		if (k->charge.kind != CHARGE_HABIT)
			continue;
		n = pairs_name(b, &k->charge, w->id, w->idlen, w->rule_name,
		    name);
		if (!point) {
			pairs_add(b, name, n);
			continue;
		}
		w->network = pairs_find(b, name, n, PAIR_NETWORK);
		w->recipient = pairs_find(b, name, n, PAIR_RECIPIENT);
		w->rule = pairs_find(b, name, n, PAIR_RULE);
	}
}

static bool
pairs_wanted(const struct charge_batch *b)
{
	const struct verdict_charge	*c;
	size_t				 i;

	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++)
			if (c->keys[i].charge.kind == CHARGE_HABIT)
				return true;
	return false;
}

enum store_result
charge_pairs_gather(struct charge_batch *b)
{
	struct verdict_charge	*c;
	enum store_result	 result;
	size_t			 i, n = 0;

	b->npair = 0;
	if (!pairs_wanted(b))
		return STORE_OK;
	if ((result = habits_ready(b->habits, b->store)) != STORE_OK)
		return result;
	TAILQ_FOREACH(c, &b->waiting, entry)
		pairs_of(b, c, false);
	qsort(b->pair, b->npair, sizeof(b->pair[0]), habits_order);
	for (i = 0; i < b->npair; i++)
		if (n == 0 || habits_order(&b->pair[n - 1], &b->pair[i]) != 0)
			b->pair[n++] = b->pair[i];
	b->npair = n;
	TAILQ_FOREACH(c, &b->waiting, entry)
		pairs_of(b, c, true);
	return STORE_OK;
}

void
charge_pairs_learn(struct charge_batch *b)
{
	size_t	i;

	for (i = 0; i < b->npair; i++)
		if (b->pair[i].changed)
			store_learn(b->store, &b->pair[i]);
}
