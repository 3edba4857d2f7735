#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/cache.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define INSTANCES	(1024 * 1024)
#define CLOCK_SLACK	60	/* seconds */
#define INSTANCE_SHARE	160	/* bytes of the bound per instance */
/*
 * Approximate size of an allocation of so many bytes, malloc(3)'s own included.
 */
#define HEAP(bytes)	(((bytes) + 8 + 15) / 16 * 16)

TAILQ_HEAD(cache_uses, cache_id);

/* A row that the running batch records. */
struct cache_row {
	struct cache_id	*id;
	int64_t		 date;
	int64_t		 amount;
};

struct cache {
	struct map		*map;
	struct cache_uses	 uses;		/* the last used one first */
	struct instances	*instances;
	size_t			 bytes;
	size_t			 max;
	int64_t			 now;		/* of the running batch */
	int64_t			 oldest;	/* instances are recent from
						   this second on */
	int64_t			 latest;	/* greatest `now` so far */
	uint32_t		 batch;		/* the running one */
	uint32_t		 readings;	/* number of the last one */
	uint32_t		 last_void;	/* readings up to this number
						   are void: cache_drop_all */
	struct cache_row	*recorded;	/* and not committed yet */
	size_t			 nrecorded;
	size_t			 records;	/* room */
	struct pack_count	*counted;	/* by cache_counts */
	size_t			 ncounted;
	size_t			 counts;	/* room */
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct cache_id	*e = (const struct cache_id *)node;

	return e->idlen == len && memcmp(e->id, key, len) == 0;
}

struct cache *
cache_new(size_t max_bytes)
{
	struct cache	*c;

	c = alloc_zero(1, sizeof(*c));
	c->map = map_new(same_id);
	c->instances = instance_new(max_bytes / INSTANCE_SHARE < INSTANCES ?
	    max_bytes / INSTANCE_SHARE : INSTANCES);
	c->max = max_bytes;
	c->now = c->oldest = c->latest = INT64_MIN;
	c->batch = 1;
	TAILQ_INIT(&c->uses);
	return c;
}

static size_t
id_bytes(const struct cache_id *e)
{
	size_t	memory = window_memory(&e->window);

	return HEAP(offsetof(struct cache_id, id) + e->idlen) +
	    (memory == 0 ? 0 : HEAP(memory)) + sizeof(void *);
}

static void
remove_id(struct cache *c, struct cache_id *e)
{
	c->bytes -= id_bytes(e);
	map_remove(c->map, &e->node);
	TAILQ_REMOVE(&c->uses, e, use);
	window_clear(&e->window);
	free(e);
}

void
cache_free(struct cache *c)
{
	struct cache_id	*e;

	if (c == NULL)
		return;
	while ((e = TAILQ_FIRST(&c->uses)) != NULL)
		remove_id(c, e);
	map_free(c->map);
	instance_free(c->instances);
	free(c->counted);
	free(c->recorded);
	free(c);
}

void
cache_set_max(struct cache *c, size_t max_bytes)
{
	c->max = max_bytes;
}

size_t
cache_bytes(const struct cache *c)
{
	return c->bytes + instance_bytes(c->instances);
}

size_t
cache_ids(const struct cache *c)
{
	return map_count(c->map);
}

bool
cache_batch(struct cache *c, int64_t now)
{
	bool	forgot = num_add_clamp(now, CLOCK_SLACK) < c->latest;

	c->batch++;
	c->now = now;
	c->oldest = num_sub_clamp(now, INSTANCE_SECONDS);
	if (now > c->latest)
		c->latest = now;
	return forgot;
}

/* --- ids --- */

static void
empty_id(struct cache *c, struct cache_id *e)
{
	c->bytes -= id_bytes(e);
	window_clear(&e->window);
	memset(e->cursor, 0, sizeof(e->cursor));
	e->begun = false;
	c->bytes += id_bytes(e);
}

/* When the numbers run out they start again at 1. */
static uint32_t
next_reading(struct cache *c)
{
	struct cache_id	*e;

	if (c->readings == UINT32_MAX) {
		TAILQ_FOREACH(e, &c->uses, use) {
			if (e->reading <= c->last_void)
				empty_id(c, e);
			e->reading = 1;
		}
		c->readings = 1;
		c->last_void = 0;
	}
	return ++c->readings;
}

void
cache_drop(struct cache *c, struct cache_id *e)
{
	empty_id(c, e);
	e->reading = next_reading(c);
}

/* Drops an entry that was read before the last cache_drop_all. */
static void
drop_if_void(struct cache *c, struct cache_id *e)
{
	if (e->reading <= c->last_void)
		cache_drop(c, e);
}

struct cache_id *
cache_touch(struct cache *c, uint64_t hash, const char *id, size_t idlen,
    bool *first)
{
	struct cache_id	*e;

	e = (struct cache_id *)map_find(c->map, hash, id, idlen);
	if (e == NULL) {
		e = alloc_zero(1, offsetof(struct cache_id, id) + idlen);
		e->node.hash = hash;
		window_init(&e->window);
		e->reading = next_reading(c);
		e->idlen = (uint16_t)idlen;
		memcpy(e->id, id, idlen);
		map_insert(c->map, &e->node);
		c->bytes += id_bytes(e);
	} else {
		drop_if_void(c, e);
		TAILQ_REMOVE(&c->uses, e, use);
	}
	TAILQ_INSERT_HEAD(&c->uses, e, use);
	*first = e->batch != c->batch;
	e->batch = c->batch;
	return e;
}

struct store_cursor *
cache_cursor(struct cache_id *e)
{
	return (struct store_cursor *)(void *)e->cursor;
}

bool
cache_loaded(const struct cache_id *e)
{
	return *(const bool *)(const void *)e->cursor;
}

void
cache_complete(struct cache_id *e)
{
	*(bool *)(void *)e->cursor = true;
}

int64_t
cache_need(struct cache *c, struct cache_id *e, int64_t since)
{
	if (e->begun && since < e->since)
		cache_drop(c, e);
	if (!e->begun) {
		e->begun = true;
		e->since = since;
	} else if (cache_loaded(e) && since > e->since) {
		c->bytes -= id_bytes(e);
		window_forget(&e->window, since);
		c->bytes += id_bytes(e);
		e->since = since;
	}
	return e->since;
}

static void
add_amount(struct cache *c, struct cache_id *e, int64_t date, int64_t amount)
{
	c->bytes -= id_bytes(e);
	window_add(&e->window, date, amount);
	c->bytes += id_bytes(e);
}

/* --- instances --- */

int64_t
cache_charged(struct cache *c, const struct instance_keys *keys)
{
	return keys->has_instance ?
	    instance_total(c->instances, keys->instance) : 0;
}

bool
cache_has_tag(struct cache *c, const struct instance_keys *keys)
{
	return keys->has_tag && instance_total(c->instances, keys->tag) != 0;
}

bool
cache_charged_at(struct cache *c, const struct instance_keys *keys,
    int64_t *date, int64_t *amount)
{
	return keys->has_instance && instance_any(c->instances, keys->instance,
	    c->oldest, date, amount);
}

static uint64_t
mark_key(const struct instance_keys *keys, enum cache_mark mark)
{
	static const uint64_t	mask[CACHE_MARK__MAX] = {
		[CACHE_AT_RCPT] = UINT64_C(0x9e3779b97f4a7c15),
		[CACHE_HIT] = UINT64_C(0xc2b2ae3d27d4eb4f)
	};

	return keys->instance ^ mask[mark];
}

void
cache_mark(struct cache *c, const struct instance_keys *keys,
    enum cache_mark mark)
{
	if (keys->has_instance)
		instance_add(c->instances, mark_key(keys, mark), c->now, 1,
		    c->oldest);
}

int64_t
cache_marked(struct cache *c, const struct instance_keys *keys,
    enum cache_mark mark)
{
	return keys->has_instance ? instance_total(c->instances,
	    mark_key(keys, mark)) : 0;
}

/* --- rows --- */

void
cache_record(struct cache *c, struct cache_id *e,
    const struct instance_keys *keys, const struct store_row *row)
{
	add_amount(c, e, row->date, row->amount);
	c->recorded = alloc_room(c->recorded, c->nrecorded, &c->records,
	    sizeof(c->recorded[0]));
	c->recorded[c->nrecorded++] = (struct cache_row){ e, row->date,
	    row->amount };
	if (row->date < c->oldest)
		return;
	if (keys->has_instance)
		instance_add(c->instances, keys->instance, row->date,
		    row->amount, c->oldest);
	if (row->tag != 0)
		instance_add(c->instances, keys->tag, row->date, 1,
		    c->oldest);
}

static void
remember_instance(struct cache *c, uint64_t id, const struct store_row *row,
    uint32_t reading)
{
	struct instance_keys	keys;

	if (row->date < c->oldest)
		return;
	instance_keys_of(&keys, id, row->instance, row->instancelen, row->tag);
	if (keys.has_instance)
		instance_read(c->instances, keys.instance, row->date,
		    row->amount, c->oldest, reading);
	if (keys.has_tag)
		instance_read(c->instances, keys.tag, row->date, 1, c->oldest,
		    reading);
}

void
cache_first(struct cache *c, struct cache_id *e, const struct store_row *row)
{
	add_amount(c, e, row->date, row->amount);
	remember_instance(c, e->node.hash, row, e->reading);
}

void
cache_news(struct cache *c, const struct store_row *row)
{
	struct cache_id	*e;
	uint64_t	 hash;

	hash = map_hash(row->id, row->idlen);
	e = (struct cache_id *)map_find(c->map, hash, row->id, row->idlen);
	if (e != NULL) {
		drop_if_void(c, e);
		if (cache_loaded(e))
			add_amount(c, e, row->date, row->amount);
		else
			cache_drop(c, e);
	}
	remember_instance(c, hash, row, 0);
}

void
cache_end(struct cache *c, enum store_result result)
{
	const struct cache_row	*r;
	struct cache_id		*e;

	if (result == STORE_OK)
		instance_settle(c->instances);
	else
		instance_undo(c->instances);
	while (result == STORE_BUSY && c->nrecorded > 0) {
		r = &c->recorded[--c->nrecorded];
		add_amount(c, r->id, r->date, num_sub_clamp(0, r->amount));
	}
	c->nrecorded = 0;
	if (result == STORE_OK || result == STORE_BUSY)
		return;
	TAILQ_FOREACH(e, &c->uses, use) {
		if (e->batch != c->batch)
			break;
		cache_drop(c, e);
	}
}

void
cache_drop_all(struct cache *c)
{
	struct cache_id	*e;

	c->last_void = c->readings;
	c->latest = c->now;
	instance_clear(c->instances);
	TAILQ_FOREACH(e, &c->uses, use) {
		if (e->batch != c->batch)
			break;
		drop_if_void(c, e);
	}
}

void
cache_trim(struct cache *c)
{
	struct cache_id	*e;
	size_t		 others = instance_bytes(c->instances);

	/* Even after a reload that lowers the bound, half of it is for ids. */
	if (others > c->max / 2)
		others = c->max / 2;
	while (c->bytes > c->max - others &&
	    (e = TAILQ_LAST(&c->uses, cache_uses)) != NULL &&
	    e->batch != c->batch)
		remove_id(c, e);
}

static bool
is_known(const struct cache *c, const struct cache_id *e)
{
	return e->reading > c->last_void && cache_loaded(e);
}

void
cache_each(struct cache *c, size_t most,
    void (*each)(void *, const char *, size_t, const struct window *),
    void *arg)
{
	struct cache_id	*e;

	TAILQ_FOREACH(e, &c->uses, use) {
		if (most-- == 0)
			break;
		if (is_known(c, e))
			each(arg, e->id, e->idlen, &e->window);
	}
}

const struct window *
cache_peek(const struct cache *c, const char *id, size_t idlen)
{
	struct cache_id	*e;

	e = (struct cache_id *)map_find(c->map, map_hash(id, idlen), id,
	    idlen);
	return e != NULL && is_known(c, e) ? &e->window : NULL;
}

static void
collect_count(void *arg, int64_t when, int64_t amount)
{
	struct cache	*c = arg;

	c->counted = alloc_room(c->counted, c->ncounted, &c->counts,
	    sizeof(c->counted[0]));
	c->counted[c->ncounted++] = (struct pack_count){ when, amount };
}

size_t
cache_counts(struct cache *c, struct cache_id *e,
    const struct pack_count **counts)
{
	c->ncounted = 0;
	window_each(&e->window, collect_count, c);
	*counts = c->counted;
	return c->ncounted;
}
