#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"
#include "lib/num.h"

/* --- id_sql --- */

/*
 * Gives each key of a charge the id that is counted: the id that was charged,
 * or the one that id_sql gave for it, and the limits of that one. Its bytes are
 * copied, since the lookup entry may change before the verdict is sent. False:
 * it is unknown which id a key counts, since the query fails and has never
 * given an answer.
 */
static bool
map_charge(struct charge_batch *b, struct verdict_charge *c)
{
	const struct settings		*s = b->settings;
	const struct lookup_entry	*e;
	struct verdict_key		*k;
	size_t				 len, bare, i;

	for (i = 0; i < c->nkeys; i++) {
		k = &c->keys[i];
		if (!k->charge.map)
			continue;
		e = lookup_find(b->ids, k->charge.rule, k->own.id,
		    k->own.idlen);
		if (e != NULL && e->unknown)
			return false;
		k->charge.id = k->own.id;
		k->charge.idlen = k->own.idlen;
		k->charge.limits = k->own.limits;
		k->charge.reported = k->own.reported;
		if (e != NULL && e->counted != NULL) {
			len = strlen(e->counted);
			k->charge.id = memcpy(k->own.room, e->counted, len);
			k->charge.idlen = len;
			bare = strlen(s->rules[k->charge.rule].name) + 1;
			k->charge.limits = *settings_rule_limits(s,
			    k->charge.rule, k->charge.id + bare, len - bare);
			k->charge.reported = k->charge.report ?
			    settings_reported(s, &k->charge.limits) : 0;
		}
		c->ids[i].id = k->charge.id;
		c->ids[i].idlen = k->charge.idlen;
	}
	/* Adds each id that is counted, under the earlier names of its rule. */
	c->nids = c->nkeys;
	for (i = 0; i < c->nkeys && c->room > c->nkeys; i++) {
		k = &c->keys[i];
		if (k->charge.map && k->charge.id != k->own.id)
			charge_was(c, s, i, k->charge.id, k->charge.idlen);
		else
			charge_was(c, s, i, k->whole, k->wholelen);
	}
	return true;
}

static enum store_result
map_ids(struct charge_batch *b, struct mono mono)
{
	struct verdict_charge	*c, *next;
	struct verdict_key	*k;
	enum store_result	 result;
	size_t			 i;

	if (!lookup_used(b->ids))
		return STORE_OK;
	lookup_batch(b->ids, mono);
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

/* --- values that count once --- */

static int
order_values(const void *a, const void *b)
{
	const struct store_value	*x = a, *y = b;
	int				 order;

	if (x->idlen != y->idlen)
		return x->idlen < y->idlen ? -1 : 1;
	if (x->valuelen != y->valuelen)
		return x->valuelen < y->valuelen ? -1 : 1;
	if ((order = memcmp(x->id, y->id, x->idlen)) != 0)
		return order;
	return memcmp(x->value, y->value, x->valuelen);
}

/* False: the id has no value; one of CHARGE_EXTERNAL need not have any. */
static bool
name_value(struct store_value *value, const struct verdict_charge *c,
    const struct verdict_id *v)
{
	const struct msg_charge_key	*k = &c->keys[v->key].charge;

	if (k->kind != CHARGE_DISTINCT &&
	    (k->kind != CHARGE_EXTERNAL || k->valuelen == 0))
		return false;
	*value = (struct store_value){ v->id, v->idlen, k->value, k->valuelen,
	    -1 };
	return true;
}

/* Sorts the values, each once, and points every id to its value. */
static void
sort_values(struct charge_batch *b)
{
	struct store_batch	*g = &b->gathered;
	struct verdict_charge	*c;
	struct store_value	 value;
	size_t			 i, n = 0;

	if (g->nvalue == 0)
		return;
	qsort(g->value, g->nvalue, sizeof(g->value[0]), order_values);
	for (i = 0; i < g->nvalue; i++)
		if (n == 0 ||
		    order_values(&g->value[n - 1], &g->value[i]) != 0)
			g->value[n++] = g->value[i];
	g->nvalue = n;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++)
			if (name_value(&value, c, &c->ids[i]))
				c->ids[i].value = bsearch(&value, g->value,
				    g->nvalue, sizeof(value), order_values);
}

/* --- what rules that count new recipients know --- */

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

static enum store_result
gather_pairs(struct charge_batch *b)
{
	struct store_batch	*g = &b->gathered;
	struct verdict_charge	*c;
	struct verdict_id	*v;
	struct store_pair	 name[PAIR_KIND__MAX];
	enum store_result	 result;
	size_t			 n, kept = 0, i, j;
	bool			 wanted = false;

	g->npair = 0;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++)
			wanted |= c->keys[i].charge.kind == CHARGE_HABIT;
	if (!wanted)
		return STORE_OK;
	if ((result = habits_ready(b->habits, b->store)) != STORE_OK)
		return result;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++) {
			if (g->npair + PAIR_KIND__MAX > b->pairs) {
				b->pairs = (g->npair + PAIR_KIND__MAX) * 2;
				g->pair = alloc_resize(g->pair, b->pairs,
				    sizeof(g->pair[0]));
			}
			g->npair += name_pairs(b->habits, c, &c->ids[i],
			    &g->pair[g->npair]);
		}
	qsort(g->pair, g->npair, sizeof(g->pair[0]), habits_order);
	for (i = 0; i < g->npair; i++)
		if (kept == 0 || habits_order(&g->pair[kept - 1],
		    &g->pair[i]) != 0)
			g->pair[kept++] = g->pair[i];
	g->npair = kept;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++) {
			v = &c->ids[i];
			memset(v->pair, 0, sizeof(v->pair));
			n = name_pairs(b->habits, c, v, name);
			for (j = 0; j < n; j++)
				v->pair[name[j].kind] = bsearch(&name[j],
				    g->pair, g->npair, sizeof(name[0]),
				    habits_order);
		}
	return STORE_OK;
}

/* --- */

static void
touch(struct charge_batch *b, struct verdict_id *v)
{
	struct store_batch	*g = &b->gathered;
	bool			 first;

	v->hash = map_hash(v->id, v->idlen);
	v->cached = cache_touch(b->cache, v->hash, v->id, v->idlen, &first);
	if (!first)
		return;
	g->touch = alloc_room(g->touch, g->ntouch, &b->touches,
	    sizeof(g->touch[0]));
	v->cached->index = (uint32_t)g->ntouch;
	g->touch[g->ntouch++] = (struct store_touch){
		.id = v->cached->id, .idlen = v->cached->idlen,
		.since = INT64_MAX, .cursor = cache_cursor(v->cached),
		.cached = v->cached
	};
}

/*
 * Finds the oldest second that the batch needs of each id, so that one first
 * reading serves all charges of the id. An instance may be older than every
 * window: its charges are read as far back as instances are remembered.
 */
static void
need_since(struct charge_batch *b, int64_t now)
{
	const struct verdict_id	*v;
	struct store_batch	*g = &b->gathered;
	struct verdict_charge	*c;
	struct store_touch	*t;
	int64_t			 since;
	size_t			 i;

	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++) {
			v = &c->ids[i];
			t = &g->touch[v->cached->index];
			since = num_sub_clamp(now, window_longest(
			    verdict_limits(&c->keys[v->key]), b->configured));
			if (since < t->since)
				t->since = since;
		}
	for (i = 0; i < g->ntouch; i++)
		g->touch[i].since = cache_need(b->cache, g->touch[i].cached,
		    g->touch[i].since);
}

enum store_result
charge_gather(struct charge_batch *b, int64_t now, struct mono mono)
{
	struct store_batch	*g = &b->gathered;
	struct verdict_charge	*c;
	struct verdict_key	*k;
	struct verdict_id	*v;
	struct instance_keys	 name;
	enum store_result	 result;
	size_t			 i;

	g->ntouch = g->nvalue = b->nhit = 0;
	g->forgotten = cache_batch(b->cache, now);
	if ((result = map_ids(b, mono)) != STORE_OK)
		return result;
	lookup_batch(b->limits, mono);
	TAILQ_FOREACH(c, &b->waiting, entry) {
		instance_name(&name, c->instance, c->instancelen, c->tag);
		for (i = 0; i < c->nids; i++) {
			v = &c->ids[i];
			touch(b, v);
			instance_of_id(&v->instance, &name, v->hash);
			g->value = alloc_room(g->value, g->nvalue, &b->values,
			    sizeof(g->value[0]));
			if (name_value(&g->value[g->nvalue], c, v))
				g->nvalue++;
		}
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			k->sql = k->charge.sql ? lookup_get(b->limits,
			    k->charge.rule, k->charge.id, k->charge.idlen) :
			    NULL;
		}
	}
	sort_values(b);
	if ((result = gather_pairs(b)) != STORE_OK ||
	    (result = lookup_ask(b->limits, b->store)) != STORE_OK ||
	    (result = override_table_refresh(b->overrides, b->store, now,
	    mono)) == STORE_LOST)
		return result;
	need_since(b, now);
	return STORE_OK;
}
