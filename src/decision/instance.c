#include <stdlib.h>
#include <string.h>

#include "decision/instance.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/num.h"

/*
 * Entries are stored in a ring in order of arrival, so the next entry replaces
 * the oldest. A hash table of buckets heads chains of entries. Both arrays have
 * their full size from the start: untouched memory costs nothing, and nothing
 * is ever moved.
 */
struct entry {
	uint64_t	key;
	int64_t		date;
	int64_t		amount;
	uint32_t	next;		/* in the chain; index + 1, 0: end */
	uint32_t	reading;	/* last reading that set it */
};

/* What this batch added to an entry. */
struct change {
	uint32_t	at;
	uint64_t	key;
	int64_t		amount;
};

struct instances {
	struct entry	*ring;
	uint32_t	*bucket;	/* index + 1, 0: none */
	uint32_t	 mask;		/* of the buckets */
	uint32_t	 size;
	uint32_t	 first;		/* the oldest */
	uint32_t	 count;
	struct change	*change;
	size_t		 nchange;
	size_t		 changes;	/* room */
};

void
instance_name(struct instance_keys *name, const char *instance, size_t len,
    int64_t tag)
{
	uint64_t	tagged[2];

	name->has_instance = len > 0;
	name->has_tag = tag != 0;
	name->instance = len > 0 ? map_hash(instance, len) : 0;
	name->tag = 0;
	if (tag == 0)
		return;
	tagged[0] = name->instance;
	tagged[1] = (uint64_t)tag;
	name->tag = map_hash(tagged, sizeof(tagged));
}

/*
 * Two hashes under one secret are joined, so the result is as unpredictable as
 * they are. Only one is multiplied: an id may be written like an instance.
 */
void
instance_of_id(struct instance_keys *keys, const struct instance_keys *name,
    uint64_t id_hash)
{
	uint64_t	id = id_hash * UINT64_C(0x9e3779b97f4a7c15);

	*keys = *name;
	keys->instance ^= id;
	keys->tag ^= id;
}

void
instance_keys_of(struct instance_keys *keys, uint64_t id_hash,
    const char *instance, size_t len, int64_t tag)
{
	struct instance_keys	name;

	instance_name(&name, instance, len, tag);
	instance_of_id(keys, &name, id_hash);
}

static size_t
table_size(size_t entries)
{
	if (entries < 16)
		return 16;
	return entries > UINT32_MAX / 2 ? UINT32_MAX / 2 : entries;
}

struct instances *
instance_new(size_t entries)
{
	struct instances	*t;
	uint32_t		 buckets = 16;

	entries = table_size(entries);
	while (buckets < entries)
		buckets *= 2;
	t = alloc_zero(1, sizeof(*t));
	t->ring = alloc_zero(entries, sizeof(t->ring[0]));
	t->bucket = alloc_zero(buckets, sizeof(t->bucket[0]));
	t->mask = buckets - 1;
	t->size = (uint32_t)entries;
	return t;
}

void
instance_free(struct instances *t)
{
	if (t == NULL)
		return;
	free(t->ring);
	free(t->bucket);
	free(t->change);
	free(t);
}

void
instance_clear(struct instances *t)
{
	t->nchange = 0;
	if (t->count == 0)
		return;
	t->first = t->count = 0;
	memset(t->bucket, 0, ((size_t)t->mask + 1) * sizeof(t->bucket[0]));
}

size_t
instance_bytes(const struct instances *t)
{
	return sizeof(*t) +
	    t->count * (sizeof(t->ring[0]) + sizeof(t->bucket[0])) +
	    t->changes * sizeof(t->change[0]);
}

/* The entry of this key and second, or NULL. */
static struct entry *
find_entry(struct instances *t, uint64_t key, int64_t date)
{
	struct entry	*e;
	uint32_t	 at;

	for (at = t->bucket[key & t->mask]; at != 0; at = e->next) {
		e = &t->ring[at - 1];
		if (e->key == key && e->date == date)
			return e;
	}
	return NULL;
}

/* Makes an entry; those before second `oldest` may be evicted for it. */
static struct entry *
make_entry(struct instances *t, uint64_t key, int64_t date, int64_t oldest)
{
	struct entry	*e = &t->ring[t->first];
	uint32_t	*chain, at;

	while (t->count > 0 && (t->count == t->size || e->date < oldest)) {
		chain = &t->bucket[e->key & t->mask];
		while (*chain != t->first + 1)
			chain = &t->ring[*chain - 1].next;
		*chain = e->next;
		t->first = (t->first + 1) % t->size;
		t->count--;
		e = &t->ring[t->first];
	}
	at = (uint32_t)(((uint64_t)t->first + t->count) % t->size);
	t->count++;
	e = &t->ring[at];
	e->key = key;
	e->date = date;
	e->amount = 0;
	e->reading = 0;
	e->next = t->bucket[key & t->mask];
	t->bucket[key & t->mask] = at + 1;
	return e;
}

struct instances *
instance_resize(struct instances *t, size_t entries)
{
	struct instances	*new;
	const struct entry	*e;
	uint32_t		 i;

	if (table_size(entries) == t->size)
		return t;
	new = instance_new(entries);
	for (i = 0; i < t->count; i++) {
		e = &t->ring[((uint64_t)t->first + i) % t->size];
		make_entry(new, e->key, e->date, INT64_MIN)->amount = e->amount;
	}
	instance_free(t);
	return new;
}

void
instance_read(struct instances *t, uint64_t key, int64_t date, int64_t amount,
    int64_t oldest, uint32_t reading)
{
	struct entry	*e;

	if ((e = find_entry(t, key, date)) == NULL)
		e = make_entry(t, key, date, oldest);
	if (reading != 0 && e->reading != reading) {
		e->amount = 0;
		e->reading = reading;
	}
	e->amount = num_add_clamp(e->amount, amount);
}

void
instance_add(struct instances *t, uint64_t key, int64_t date, int64_t amount,
    int64_t oldest)
{
	struct entry	*e;
	struct change	*c;

	if ((e = find_entry(t, key, date)) == NULL)
		e = make_entry(t, key, date, oldest);
	if (t->nchange == t->changes) {
		t->changes = t->changes == 0 ? 64 : t->changes * 2;
		t->change = alloc_resize(t->change, t->changes,
		    sizeof(t->change[0]));
	}
	c = &t->change[t->nchange++];
	c->at = (uint32_t)(e - t->ring);
	c->key = key;
	c->amount = amount;
	e->amount = num_add_clamp(e->amount, amount);
}

int64_t
instance_total(const struct instances *t, uint64_t key)
{
	const struct entry	*e;
	int64_t			 sum = 0;
	uint32_t		 at;

	for (at = t->bucket[key & t->mask]; at != 0; at = e->next) {
		e = &t->ring[at - 1];
		if (e->key == key)
			sum = num_add_clamp(sum, e->amount);
	}
	return sum;
}

bool
instance_any(const struct instances *t, uint64_t key, int64_t oldest,
    int64_t *date, int64_t *amount)
{
	const struct entry	*e;
	uint32_t		 at;

	for (at = t->bucket[key & t->mask]; at != 0; at = e->next) {
		e = &t->ring[at - 1];
		if (e->key != key || e->amount <= 0 || e->date < oldest)
			continue;
		*date = e->date;
		*amount = e->amount;
		return true;
	}
	return false;
}

void
instance_settle(struct instances *t)
{
	t->nchange = 0;
}

void
instance_undo(struct instances *t)
{
	struct change	*c;

	while (t->nchange > 0) {
		c = &t->change[--t->nchange];
		/*
		 * An entry that was evicted in the same batch is not restored.
		 */
		if (t->ring[c->at].key == c->key)
			t->ring[c->at].amount = num_sub_clamp(
			    t->ring[c->at].amount, c->amount);
	}
}
