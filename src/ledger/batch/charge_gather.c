#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/clean.h"
#include "lib/alloc.h"
#include "lib/num.h"

static struct cache_id *
charge_touch(struct charge_batch *b, uint64_t hash, const char *id,
    size_t idlen)
{
	struct store_touch	*touch;
	struct cache_id		*cached;
	bool			 first;

	cached = cache_touch(b->cache, hash, id, idlen, &first);
	if (!first)
		return cached;
	if (b->ntouch == b->touches) {
		b->touches = b->touches == 0 ? 64 : b->touches * 2;
		b->touch = alloc_resize(b->touch, b->touches,
		    sizeof(b->touch[0]));
		b->id = alloc_resize(b->id, b->touches, sizeof(b->id[0]));
	}
	cache_set_index(cached, b->ntouch);
	b->id[b->ntouch] = cached;
	touch = &b->touch[b->ntouch++];
	touch->id = cache_name(cached, &touch->idlen);
	touch->since = INT64_MAX;
	touch->cursor = cache_cursor(cached);
	return cached;
}

/*
 * The oldest second that this key needs of an id, so that one first reading
 * serves all charges of the id. An instance may be older than every window: its
 * charges are read as far back as instances are remembered.
 */
static void
charge_since(struct charge_batch *b, const struct verdict_key *k,
    const struct cache_id *id, int64_t now)
{
	struct store_touch	*touch = &b->touch[cache_index(id)];
	int64_t			 longest, since;

	longest = verdict_longest(k, b->configured);
	if (longest < INSTANCE_SECONDS)
		longest = INSTANCE_SECONDS;
	since = num_add_clamp(now, -longest);
	if (since < touch->since)
		touch->since = since;
}

static int
charge_value_order(const void *a, const void *b)
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

/* A value that counts once; that of CHARGE_EXTERNAL may be missing. */
static bool
charge_has_value(const struct msg_charge_key *k)
{
	return k->kind == CHARGE_DISTINCT ||
	    (k->kind == CHARGE_EXTERNAL && k->valuelen > 0);
}

static void
charge_add_value(struct charge_batch *b, const struct msg_charge_key *k,
    const char *id, size_t idlen)
{
	struct store_value	*value;

	if (!charge_has_value(k))
		return;
	if (b->nvalue == b->values) {
		b->values = b->values == 0 ? 16 : b->values * 2;
		b->value = alloc_resize(b->value, b->values,
		    sizeof(b->value[0]));
	}
	value = &b->value[b->nvalue++];
	value->id = id;
	value->idlen = idlen;
	value->value = k->value;
	value->valuelen = k->valuelen;
	value->date = -1;
}

static struct store_value *
charge_value(struct charge_batch *b, const struct msg_charge_key *k,
    const char *id, size_t idlen)
{
	struct store_value	 wanted;

	if (!charge_has_value(k))
		return NULL;
	wanted.id = id;
	wanted.idlen = idlen;
	wanted.value = k->value;
	wanted.valuelen = k->valuelen;
	return bsearch(&wanted, b->value, b->nvalue, sizeof(wanted),
	    charge_value_order);
}

/* Sorts the values, each once, and points every key to its value. */
static void
charge_values(struct charge_batch *b)
{
	struct verdict_charge	*c;
	struct verdict_key	*k;
	struct verdict_was	*w;
	size_t			 i, n = 0;

	if (b->nvalue == 0)
		return;
	qsort(b->value, b->nvalue, sizeof(b->value[0]), charge_value_order);
	for (i = 0; i < b->nvalue; i++)
		if (n == 0 ||
		    charge_value_order(&b->value[n - 1], &b->value[i]) != 0)
			b->value[n++] = b->value[i];
	b->nvalue = n;
	TAILQ_FOREACH(c, &b->waiting, entry) {
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			k->value = charge_value(b, &k->charge, k->charge.id,
			    k->charge.idlen);
		}
		for (i = 0; i < c->nwas; i++) {
			w = &c->was[i];
			w->value = charge_value(b, &c->keys[w->key].charge,
			    w->id, w->idlen);
		}
	}
}

/* Prefetches everything that the batch will look up in the cache. */
static void
charge_ahead(struct charge_batch *b)
{
	struct verdict_charge	*c;
	struct verdict_key	*k;
	struct verdict_was	*w;
	struct instance_keys	 name;
	size_t			 i;

	TAILQ_FOREACH(c, &b->waiting, entry) {
		instance_name(&name, c->instance, c->instancelen, c->tag);
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			k->hash = cache_hash(k->charge.id, k->charge.idlen);
			instance_of_id(&k->instance, &name, k->hash);
			cache_soon(b->cache, k->hash, &k->instance);
		}
		for (i = 0; i < c->nwas; i++) {
			w = &c->was[i];
			w->hash = cache_hash(w->id, w->idlen);
			instance_of_id(&w->instance, &name, w->hash);
		}
	}
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++)
			cache_ahead(b->cache, c->keys[i].hash,
			    &c->keys[i].instance);
}

/*
 * Saves a longer window that SQL returned before a row is recorded for it, so
 * that no cleaning deletes the row too early.
 */
static void
charge_remember(struct charge_batch *b, int64_t now)
{
	int64_t	longest = lookup_longest(b->limits);

	if (longest > b->longest && clean_remember(b->store, b->limits, now))
		b->longest = longest;
}

/* The ids under earlier names of the rules are read, and never written to. */
static void
charge_touch_was(struct charge_batch *b)
{
	struct verdict_charge	*c;
	struct verdict_was	*w;
	size_t			 i;

	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nwas; i++) {
			w = &c->was[i];
			w->cached = charge_touch(b, w->hash, w->id, w->idlen);
			charge_add_value(b, &c->keys[w->key].charge, w->id,
			    w->idlen);
		}
}

enum store_result
charge_gather(struct charge_batch *b, int64_t now, struct mono mono)
{
	struct verdict_charge	*c;
	struct verdict_key	*k;
	enum store_result	 result;
	size_t			 i;

	b->ntouch = b->nvalue = b->nhit = 0;
	cache_batch(b->cache);
	if ((result = charge_map(b, mono)) != STORE_OK)
		return result;
	charge_ahead(b);
	lookup_batch(b->limits, mono);
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			k->id = charge_touch(b, k->hash, k->charge.id,
			    k->charge.idlen);
			charge_add_value(b, &k->charge, k->charge.id,
			    k->charge.idlen);
			k->sql = k->charge.sql ?
			    lookup_get(b->limits, k->charge.rule, k->charge.id,
				k->charge.idlen) :
			    NULL;
		}
	charge_touch_was(b);
	charge_values(b);
	if ((result = charge_pairs_gather(b)) != STORE_OK ||
	    (result = lookup_ask(b->limits, b->store)) != STORE_OK ||
	    (result = override_table_refresh(b->overrides, b->store, now,
	    mono)) != STORE_OK)
		return result;
	charge_remember(b, now);
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nkeys; i++) {
			window_ahead(cache_window(c->keys[i].id));
			charge_since(b, &c->keys[i], c->keys[i].id, now);
		}
	TAILQ_FOREACH(c, &b->waiting, entry)
		for (i = 0; i < c->nwas; i++)
			charge_since(b, &c->keys[c->was[i].key],
			    c->was[i].cached, now);
	for (i = 0; i < b->ntouch; i++)
		b->touch[i].since = cache_need(b->cache, b->id[i],
		    b->touch[i].since);
	return STORE_OK;
}
