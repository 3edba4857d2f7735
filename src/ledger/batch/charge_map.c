#include <string.h>

#include "ledger/batch/charge_batch.h"

/*
 * Gives a key the id that is counted: the one that was charged, or the one that
 * SQL gave for it, with the limits of that id. The id is copied, since the
 * entry may change before the verdict is sent.
 */
static void
map_key(const struct settings *s, struct verdict_charge *c, size_t i,
    const struct lookup_entry *e)
{
	struct verdict_key	*k = &c->keys[i];
	size_t			 len, bare;

	k->charge.id = k->own.id;
	k->charge.idlen = k->own.idlen;
	k->charge.limits = k->own.limits;
	k->charge.reported = k->own.reported;
	if (e != NULL && e->counted != NULL) {
		len = strlen(e->counted);
		k->charge.id = memcpy(k->own.room, e->counted, len);
		k->charge.idlen = len;
		bare = strlen(s->rules[k->charge.rule].name) + 1;
		k->charge.limits = *settings_rule_limits(s, k->charge.rule,
		    k->charge.id + bare, len - bare);
		k->charge.reported = k->charge.report ?
		    settings_reported(s, &k->charge.limits) : 0;
	}
	c->ids[i].id = k->charge.id;
	c->ids[i].idlen = k->charge.idlen;
}

/* False: no id is known, and SQL gives none. */
static bool
map_charge(struct charge_batch *b, struct verdict_charge *c)
{
	const struct lookup_entry	*e;
	const struct verdict_key	*k;
	size_t				 i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (!k->charge.map)
			continue;
		e = lookup_find(b->ids, k->charge.rule, k->own.id,
		    k->own.idlen);
		if (e != NULL && e->unknown)
			return false;
		map_key(b->settings, c, i, e);
	}
	/* Earlier names of the rules now go with the ids that are counted. */
	c->nids = c->nkeys;
	for (i = 0; i < c->nkeys && c->room > c->nkeys; i++)
		charge_was(c, b->settings, i, &c->keys[i].charge);
	return true;
}

enum store_result
charge_map(struct charge_batch *b, struct mono mono)
{
	struct verdict_charge	*c, *next;
	struct verdict_key	*k;
	enum store_result	 result;
	size_t			 i;

	lookup_batch(b->ids, mono);
	if (!lookup_used(b->ids))
		return STORE_OK;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			if (k->charge.map)
				(void)lookup_get(b->ids, k->charge.rule,
				    k->own.id, k->own.idlen);
		}
	if ((result = lookup_ask(b->ids, b->store)) != STORE_OK)
		return result;
	for (c = TAILQ_FIRST(&b->waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!map_charge(b, c))
			charge_give_up(b, c);
	}
	return STORE_OK;
}

enum store_result
charge_batch_map(struct charge_batch *b, struct mono mono,
    const struct settings_rule *rule, const char **id, size_t *len,
    bool *unknown)
{
	struct lookup_entry	*e = NULL;
	enum store_result	 result;

	*unknown = false;
	lookup_batch(b->ids, mono);
	if (rule != NULL)
		e = lookup_get(b->ids, (uint16_t)(rule - b->settings->rules),
		    *id, *len);
	if (e == NULL)
		return STORE_OK;
	if ((result = lookup_ask(b->ids, b->store)) != STORE_OK)
		return result;
	*unknown = e->unknown;
	if (e->counted != NULL) {
		*id = e->counted;
		*len = strlen(e->counted);
	}
	return STORE_OK;
}
