#include <string.h>

#include "ledger/batch/charge_batch.h"

/* Where the value begins in an id, behind the rule's name and the colon. */
static size_t
charge_bare(const struct settings *s, uint16_t rule)
{
	return strlen(s->rules[rule].name) + 1;
}

/*
 * The key as it was charged, or with the id that SQL gave for it, and the
 * limits of that id. The id is copied, since the entry may change before the
 * verdict is sent.
 */
static void
charge_map_key(struct charge_batch *b, struct verdict_key *k,
    const struct lookup_entry *e)
{
	const struct settings	*s = b->settings;
	const char		*id;
	size_t			 len, bare;

	k->charge.id = k->own.id;
	k->charge.idlen = k->own.idlen;
	k->charge.limits = k->own.limits;
	k->charge.reported = k->own.reported;
	if (e == NULL || (id = lookup_id(e, &len)) == NULL)
		return;
	memcpy(k->own.room, id, len);
	k->charge.id = k->own.room;
	k->charge.idlen = len;
	bare = charge_bare(s, k->charge.rule);
	k->charge.limits = *settings_rule_limits(s, k->charge.rule, id + bare,
	    len - bare);
	k->charge.reported = k->charge.report ?
	    settings_reported(s, &k->charge.limits) : 0;
}

/* False: no id is known, and SQL gives none. */
static bool
charge_map_one(struct charge_batch *b, struct verdict_charge *c)
{
	const struct lookup_entry	*e;
	struct verdict_key		*k;
	size_t				 i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (!k->charge.map)
			continue;
		e = lookup_find(b->ids, k->charge.rule, k->own.id,
		    k->own.idlen);
		if (e != NULL && lookup_is_unknown(e))
			return false;
		charge_map_key(b, k, e);
	}
	charge_was_again(c, b->settings);
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
		if (!charge_map_one(b, c))
			charge_give_up(b, c);
	}
	return STORE_OK;
}

void
charge_map_tell(struct verdict_charge *c)
{
	const struct verdict_key	*k;
	size_t				 i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (!k->charge.map || k->charge.id == k->own.id)
			continue;
		c->verdict.mapped |= UINT32_C(1) << i;
		c->verdict.map[i].id = k->charge.id;
		c->verdict.map[i].idlen = k->charge.idlen;
	}
}

enum store_result
charge_batch_map(struct charge_batch *b, struct mono mono,
    const struct settings_rule *rule, const char **id, size_t *len,
    bool *unknown)
{
	struct lookup_entry	*e = NULL;
	const char		*counted;
	enum store_result	 result;
	size_t			 n;

	*unknown = false;
	lookup_batch(b->ids, mono);
	if (rule != NULL)
		e = lookup_get(b->ids, (uint16_t)(rule - b->settings->rules),
		    *id, *len);
	if (e == NULL)
		return STORE_OK;
	if ((result = lookup_ask(b->ids, b->store)) != STORE_OK)
		return result;
	*unknown = lookup_is_unknown(e);
	if ((counted = lookup_id(e, &n)) != NULL) {
		*id = counted;
		*len = n;
	}
	return STORE_OK;
}
