#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"

/* Names the pairs of an id; returns how many there are. */
static size_t
name_pairs(const struct habits *h, const struct verdict_charge *c,
    const struct verdict_id *v, struct store_pair name[PAIR_KIND__MAX])
{
	const struct msg_charge_key	*k = &c->keys[v->key].charge;
	size_t				 n = 0;

	if (k->kind != CHARGE_HABIT)
		return 0;
	habits_name_rule(h, &name[n++], v->rule_name);
	if (k->networklen > 0 && k->unfamiliar > 0)
		habits_name(h, &name[n++], PAIR_NETWORK, v->id, v->idlen,
		    k->network, k->networklen);
	if (k->valuelen > 0)
		habits_name(h, &name[n++], PAIR_RECIPIENT, v->id, v->idlen,
		    k->value, k->valuelen);
	return n;
}

enum store_result
charge_pairs(struct charge_batch *b)
{
	struct verdict_charge	*c;
	struct verdict_id	*v;
	struct store_pair	 name[PAIR_KIND__MAX];
	enum store_result	 result;
	size_t			 n, kept = 0, i, j;
	bool			 wanted = false;

	b->npair = 0;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++)
			wanted |= c->keys[i].charge.kind == CHARGE_HABIT;
	if (!wanted)
		return STORE_OK;
	if ((result = habits_ready(b->habits, b->store)) != STORE_OK)
		return result;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++) {
			if (b->npair + PAIR_KIND__MAX > b->pairs) {
				b->pairs = (b->npair + PAIR_KIND__MAX) * 2;
				b->pair = alloc_resize(b->pair, b->pairs,
				    sizeof(b->pair[0]));
			}
			b->npair += name_pairs(b->habits, c, &c->ids[i],
			    &b->pair[b->npair]);
		}
	qsort(b->pair, b->npair, sizeof(b->pair[0]), habits_order);
	for (i = 0; i < b->npair; i++)
		if (kept == 0 || habits_order(&b->pair[kept - 1],
		    &b->pair[i]) != 0)
			b->pair[kept++] = b->pair[i];
	b->npair = kept;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++) {
			v = &c->ids[i];
			memset(v->pair, 0, sizeof(v->pair));
			n = name_pairs(b->habits, c, v, name);
			for (j = 0; j < n; j++)
				v->pair[name[j].kind] = bsearch(&name[j],
				    b->pair, b->npair, sizeof(name[0]),
				    habits_order);
		}
	return STORE_OK;
}
