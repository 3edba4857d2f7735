#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/clean.h"
#include "lib/alloc.h"
#include "lib/num.h"

static void
touch(struct charge_batch *b, struct verdict_id *v)
{
	struct store_touch	*t;
	bool			 first;

	v->cached = cache_touch(b->cache, v->hash, v->id, v->idlen, &first);
	if (!first)
		return;
	if (b->ntouch == b->touches) {
		b->touches = b->touches == 0 ? 64 : b->touches * 2;
		b->touch = alloc_resize(b->touch, b->touches,
		    sizeof(b->touch[0]));
		b->id = alloc_resize(b->id, b->touches, sizeof(b->id[0]));
	}
	v->cached->index = (uint32_t)b->ntouch;
	b->id[b->ntouch] = v->cached;
	t = &b->touch[b->ntouch++];
	t->id = v->cached->id;
	t->idlen = v->cached->idlen;
	t->since = INT64_MAX;
	t->cursor = cache_cursor(v->cached);
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

/* False: the id has none; that of CHARGE_EXTERNAL may be missing. */
static bool
name_value(struct store_value *value, const struct verdict_charge *c,
    const struct verdict_id *v)
{
	const struct msg_charge_key	*k = &c->keys[v->key].charge;

	if (k->kind != CHARGE_DISTINCT &&
	    (k->kind != CHARGE_EXTERNAL || k->valuelen == 0))
		return false;
	value->id = v->id;
	value->idlen = v->idlen;
	value->value = k->value;
	value->valuelen = k->valuelen;
	value->date = -1;
	return true;
}

static void
add_value(struct charge_batch *b, const struct verdict_charge *c,
    const struct verdict_id *v)
{
	struct store_value	value;

	if (!name_value(&value, c, v))
		return;
	if (b->nvalue == b->values) {
		b->values = b->values == 0 ? 16 : b->values * 2;
		b->value = alloc_resize(b->value, b->values,
		    sizeof(b->value[0]));
	}
	b->value[b->nvalue++] = value;
}

/* Sorts the values, each once, and points every id to its value. */
static void
sort_values(struct charge_batch *b)
{
	struct verdict_charge	*c;
	struct store_value	 value;
	size_t			 i, n = 0;

	if (b->nvalue == 0)
		return;
	qsort(b->value, b->nvalue, sizeof(b->value[0]), order_values);
	for (i = 0; i < b->nvalue; i++)
		if (n == 0 ||
		    order_values(&b->value[n - 1], &b->value[i]) != 0)
			b->value[n++] = b->value[i];
	b->nvalue = n;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++)
			if (name_value(&value, c, &c->ids[i]))
				c->ids[i].value = bsearch(&value, b->value,
				    b->nvalue, sizeof(value), order_values);
}

/*
 * The oldest second that the batch needs of an id, so that one first reading
 * serves all charges of the id. An instance may be older than every window: its
 * charges are read as far back as instances are remembered.
 */
static void
need(struct charge_batch *b, const struct verdict_charge *c,
    const struct verdict_id *v, int64_t now)
{
	const struct limits	*limits = verdict_limits(&c->keys[v->key]);
	struct store_touch	*t = &b->touch[v->cached->index];
	int64_t			 longest = b->configured, since;
	size_t			 i;

	for (i = 0; i < limits->count; i++)
		if (limits->list[i].seconds > longest)
			longest = limits->list[i].seconds;
	if (longest < INSTANCE_SECONDS)
		longest = INSTANCE_SECONDS;
	since = num_add_clamp(now, -longest);
	if (since < t->since)
		t->since = since;
}

enum store_result
charge_gather(struct charge_batch *b, int64_t now, struct mono mono)
{
	struct verdict_charge	*c;
	struct verdict_key	*k;
	struct verdict_id	*v;
	struct instance_keys	 name;
	enum store_result	 result;
	int64_t			 longest;
	size_t			 i;

	b->ntouch = b->nvalue = b->nhit = 0;
	cache_batch(b->cache);
	if ((result = charge_map(b, mono)) != STORE_OK)
		return result;
	TAILQ_FOREACH(c, &b->waiting, entry) {
		instance_name(&name, c->instance, c->instancelen, c->tag);
		for (i = 0; i < c->nids; i++) {
			v = &c->ids[i];
			v->hash = map_hash(v->id, v->idlen);
			instance_of_id(&v->instance, &name, v->hash);
		}
	}
	lookup_batch(b->limits, mono);
	TAILQ_FOREACH(c, &b->waiting, entry) {
		for (i = 0; i < c->nids; i++) {
			touch(b, &c->ids[i]);
			add_value(b, c, &c->ids[i]);
		}
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			k->sql = k->charge.sql ? lookup_get(b->limits,
			    k->charge.rule, k->charge.id, k->charge.idlen) :
			    NULL;
		}
	}
	sort_values(b);
	if ((result = charge_pairs(b)) != STORE_OK ||
	    (result = lookup_ask(b->limits, b->store)) != STORE_OK ||
	    (result = override_table_refresh(b->overrides, b->store, now,
	    mono)) != STORE_OK)
		return result;
	/*
	 * Saves a longer window that SQL returned before a row is recorded for
	 * it, so that no cleaning deletes the row too early.
	 */
	longest = lookup_longest(b->limits);
	if (longest > b->longest && clean_remember(b->store, b->limits, now))
		b->longest = longest;
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nids; i++)
			need(b, c, &c->ids[i], now);
	for (i = 0; i < b->ntouch; i++)
		b->touch[i].since = cache_need(b->cache, b->id[i],
		    b->touch[i].since);
	return STORE_OK;
}
