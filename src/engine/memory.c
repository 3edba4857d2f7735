#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "decision/decision.h"
#include "decision/instance.h"
#include "engine/mapping.h"
#include "engine/memory.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/num.h"
#include "lib/str.h"
#include "lib/window.h"

#define DAY		86400	/* seconds */
/*
 * An eighth of the limit is for instances, and another one for values. The
 * mapping may take a further eighth, which the limit does not include.
 */
#define INSTANCE_SHARE	(8 * INSTANCE_COST)
#define MAPPING_SHARE	8

struct memory_id {
	struct map_node		 node;
	TAILQ_ENTRY(memory_id)	 entry;
	struct window		 window;
	struct window		 owed;
	size_t			 bytes;		/* its share of memory.bytes */
	struct decision_wait	 wait;		/* told by the ledger */
	size_t			 len;
	char			 id[];
};

struct memory {
	struct map			*ids;
	TAILQ_HEAD(, memory_id)		 recent;	/* the newest last */
	struct instances		*instances;
	/* Of each value: an amount of 1 at the second it was seen last. */
	struct instances		*values;
	int64_t				 longest;	/* window of values */
	struct mapping			*mapping;
	size_t				 bytes;		/* of all ids */
	size_t				 max;
	/* One charge: the hashes of its ids, and of its instances or values. */
	struct decision			 decision;
	uint64_t			 hash[CHARGE_KEYS_MAX];
	struct instance_keys		 keys[CHARGE_KEYS_MAX];
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct memory_id	*id = (const struct memory_id *)node;

	return id->len == len && memcmp(id->id, key, len) == 0;
}

struct memory *
memory_new(size_t max_bytes)
{
	struct memory	*m;

	m = alloc_zero(1, sizeof(*m));
	m->ids = map_new(same_id);
	TAILQ_INIT(&m->recent);
	m->instances = instance_new(max_bytes / INSTANCE_SHARE);
	m->values = instance_new(max_bytes / INSTANCE_SHARE);
	m->mapping = mapping_new(max_bytes / MAPPING_SHARE);
	m->longest = INSTANCE_SECONDS;
	m->max = max_bytes;
	return m;
}

/* --- ids --- */

/* Updates the bytes that the id takes. */
static void
id_weigh(struct memory *m, struct memory_id *id)
{
	m->bytes -= id->bytes;
	id->bytes = sizeof(*id) + id->len + MAP_NODE_COST +
	    window_memory(&id->window) + window_memory(&id->owed);
	m->bytes += id->bytes;
}

static void
id_free(struct memory *m, struct memory_id *id)
{
	m->bytes -= id->bytes;
	TAILQ_REMOVE(&m->recent, id, entry);
	map_remove(m->ids, &id->node);
	window_clear(&id->window);
	window_clear(&id->owed);
	free(id);
}

/* NULL: unknown. An id that is found becomes the most recently used. */
static struct memory_id *
id_find(struct memory *m, const struct msg_charge_key *key, uint64_t hash)
{
	struct memory_id	*id;

	id = (struct memory_id *)map_find(m->ids, hash, key->id, key->idlen);
	if (id == NULL)
		return NULL;
	TAILQ_REMOVE(&m->recent, id, entry);
	TAILQ_INSERT_TAIL(&m->recent, id, entry);
	return id;
}

static struct memory_id *
id_get(struct memory *m, const struct msg_charge_key *key, uint64_t hash)
{
	struct memory_id	*id;

	if ((id = id_find(m, key, hash)) != NULL)
		return id;
	id = alloc_zero(1, sizeof(*id) + key->idlen);
	id->node.hash = hash;
	window_init(&id->window);
	window_init(&id->owed);
	id->len = key->idlen;
	memcpy(id->id, key->id, key->idlen);
	map_insert(m->ids, &id->node);
	TAILQ_INSERT_TAIL(&m->recent, id, entry);
	id_weigh(m, id);
	return id;
}

/* --- the bound --- */

static void
evict_ids(struct memory *m)
{
	while (memory_bytes(m) > m->max && !TAILQ_EMPTY(&m->recent))
		id_free(m, TAILQ_FIRST(&m->recent));
}

/* --- a rule's other name --- */

static void
id_add_second(void *arg, int64_t when, int64_t amount)
{
	window_add(arg, when, amount);
}

void
memory_rename(struct memory *m, const char *was, const char *name)
{
	struct msg_charge_key	 key = { 0 };
	struct memory_id	*id, *other;
	struct str		 fresh;
	size_t			 len = strlen(was);

	str_init(&fresh);
	/*
	 * No rule has the name `was` now, so the ids that id_get appends to the
	 * list are not renamed again.
	 */
	TAILQ_FOREACH(id, &m->recent, entry) {
		if (id->len <= len || id->id[len] != ':' ||
		    memcmp(id->id, was, len) != 0)
			continue;
		fresh.len = 0;
		str_addf(&fresh, "%s:", name);
		str_add(&fresh, id->id + len + 1, id->len - len - 1);
		key.id = fresh.data;
		key.idlen = fresh.len;
		other = id_get(m, &key, map_hash(fresh.data, fresh.len));
		window_each(&id->window, id_add_second, &other->window);
		if (id->wait.until > other->wait.until)
			other->wait = id->wait;
		id_weigh(m, other);
		/* `owed` stays: replay.c records it under the old name. */
		window_clear(&id->window);
		id->wait.until = 0;
		id_weigh(m, id);
	}
	str_clear(&fresh);
	evict_ids(m);
}

/* --- charges --- */

/* Finds what the instance was charged, or when the value was last seen. */
static void
look_up_key(struct memory *m, const struct msg_charge *charge, size_t i)
{
	const struct msg_charge_key	*key = &charge->keys[i];
	struct decision_key		*k = &m->decision.key[i];
	struct instance_keys		*keys = &m->keys[i];
	int64_t				 one;

	instance_keys_of(keys, m->hash[i], "", 0, 0);
	k->seen = -1;
	if (key->kind == CHARGE_EXTERNAL)
		return;
	if (key->kind == CHARGE_DISTINCT) {
		instance_keys_of(keys, m->hash[i], key->value, key->valuelen,
		    0);
		if (!instance_any(m->values, keys->instance, INT64_MIN,
		    &k->seen, &one))
			k->seen = -1;
		return;
	}
	instance_keys_of(keys, m->hash[i], charge->instance,
	    charge->instancelen, charge->tag);
	if (keys->has_instance)
		k->charged = instance_total(m->instances, keys->instance);
	if (k->charged > 0 && !instance_any(m->instances, keys->instance,
	    INT64_MIN, &k->charged_at, &one))
		k->charged_at = 0;
	if (keys->has_tag)
		k->repeated = instance_total(m->instances, keys->tag) != 0;
}

/* Fills in what is known of a charge. */
static struct decision *
fill_decision(struct memory *m, const struct msg_charge *charge, int64_t now)
{
	static const struct window	 empty;
	struct decision			*d = &m->decision;
	struct decision_key		*k;
	const struct memory_id		*id;
	size_t				 i;

	d->mode = charge->mode;
	d->date = charge->date;
	d->tag = charge->tag;
	d->now = now;
	d->pass = charge->pass;
	d->nkeys = charge->nkeys;
	for (i = 0; i < charge->nkeys; i++) {
		k = &d->key[i];
		memset(k, 0, sizeof(*k));
		k->charge = &charge->keys[i];
		k->limits = &k->charge->limits;
		m->hash[i] = map_hash(k->charge->id, k->charge->idlen);
		id = id_find(m, k->charge, m->hash[i]);
		k->window = id != NULL ? &id->window : &empty;
		if (id != NULL)
			k->wait = id->wait;
		look_up_key(m, charge, i);
	}
	return d;
}

static void
put_record(struct memory *m, const struct msg_charge *charge,
    const struct decision_record *r)
{
	const struct msg_charge_key	*key = &charge->keys[r->key];
	const struct instance_keys	*keys = &m->keys[r->key];
	int64_t				 before;

	window_add(&id_get(m, key, m->hash[r->key])->window, r->date,
	    r->amount);
	if (key->kind == CHARGE_DISTINCT) {
		m->longest = window_longest(&key->limits, m->longest);
		before = num_sub_clamp(m->decision.now, m->longest);
		instance_read(m->values, keys->instance, r->date, r->amount,
		    before, 0);
		return;
	}
	before = num_sub_clamp(m->decision.now, INSTANCE_SECONDS);
	if (keys->has_instance)
		instance_read(m->instances, keys->instance, r->date, r->amount,
		    before, 0);
	if (r->tag != 0)
		instance_read(m->instances, keys->tag, r->date, 1, before, 0);
}

/* Records the amounts of the decision. */
static void
record_charge(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	struct decision_record		 list[DECISION_RECORDS_MAX];
	const struct decision		*d = &m->decision;
	const struct msg_charge_key	*key;
	struct memory_id		*id;
	size_t				 n, i;

	n = decision_records(d, list);
	for (i = 0; i < n; i++)
		put_record(m, charge, &list[i]);
	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if (!decision_counts(key, v->passed))
			continue;
		id = id_get(m, key, m->hash[i]);
		/* An id without limits may get some: a day is kept. */
		window_forget(&id->window, num_sub_clamp(d->now,
		    key->limits.count > 0 ? window_longest(&key->limits, 0) :
		    DAY));
		/* Accepted after a refusal: a limit or a count was changed. */
		if ((v->over >> i & 1) == 0 && key->amount >= id->wait.amount)
			id->wait.until = 0;
		id_weigh(m, id);
	}
}

/* CHARGE_EACH: a refusal takes back what the instance was charged. */
static void
take_back(struct memory *m, const struct msg_charge *charge)
{
	struct decision_record	r = { 0 };
	int64_t			before, amount;

	before = num_sub_clamp(m->decision.now, INSTANCE_SECONDS);
	for (r.key = 0; r.key < charge->nkeys; r.key++)
		while (m->keys[r.key].has_instance &&
		    charge->keys[r.key].kind != CHARGE_DISTINCT &&
		    instance_any(m->instances, m->keys[r.key].instance, before,
		    &r.date, &amount)) {
			r.amount = -amount;
			put_record(m, charge, &r);
		}
}

/* --- verdicts --- */

void
memory_again(struct memory *m, const struct msg_charge *charge,
    struct msg_verdict *v, int64_t now)
{
	struct decision	*d = fill_decision(m, charge, now);
	size_t		 i;

	decision_amounts(d);
	for (i = 0; i < charge->nkeys && i < v->ncharged; i++)
		if (v->charged[i] == 0)
			v->charged[i] = d->key[i].amount;
}

void
memory_learn(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v, int64_t now)
{
	struct decision			*d = fill_decision(m, charge, now);
	const struct msg_charge_key	*key;
	struct decision_wait		*wait;
	size_t				 i;

	if (v->verdict == VERDICT_ACCEPTED) {
		for (i = 0; i < charge->nkeys; i++)
			d->key[i].amount = i < v->ncharged ? v->charged[i] : 0;
		record_charge(m, charge, v);
	}
	/* Which keys had no room, whether they refused or are soft. */
	for (i = 0; i < charge->nkeys && !v->per_mail; i++) {
		if ((v->over >> i & 1) == 0 &&
		    (v->verdict != VERDICT_REFUSED || v->key != i))
			continue;
		key = &charge->keys[i];
		wait = &id_get(m, key, m->hash[i])->wait;
		wait->until = v->never ? now :
		    num_add_clamp(now, v->full[i].retry_after);
		wait->amount = key->amount;
		wait->limit = v->full[i].limit;
	}
	if (decision_takes_back(d, v))
		take_back(m, charge);
	evict_ids(m);
}

void
memory_decide(struct memory *m, const struct msg_charge *charge, int64_t now,
    struct msg_verdict *v)
{
	struct decision	*d = fill_decision(m, charge, now);

	decision_make(d, v);
	if (v->verdict == VERDICT_ACCEPTED)
		record_charge(m, charge, v);
	else if (decision_takes_back(d, v))
		take_back(m, charge);
	evict_ids(m);
}

size_t
memory_locks(const struct memory *m, const struct override_list *l,
    struct msg_verdict *v, struct lock_hit *list, size_t max)
{
	return lock_hits(&m->decision, l, v, list, max);
}

void
memory_weigh(struct memory *m, const struct msg_charge *charge, int64_t now,
    struct msg_weighed *answer)
{
	struct decision	*d = fill_decision(m, charge, now);

	decision_make(d, &answer->verdict);
	decision_weigh(d, answer);
}

/* --- what the ledger did not know of --- */

void
memory_owe(struct memory *m, const struct msg_charge *charge,
    const int64_t *charged, int64_t date, int sign)
{
	const struct msg_charge_key	*key;
	struct memory_id		*id;
	uint64_t			 hash;
	size_t				 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		hash = map_hash(key->id, key->idlen);
		/* An evicted id is not created only to be reduced. */
		id = sign > 0 ? id_get(m, key, hash) :
		    id_find(m, key, hash);
		if (id == NULL || charged[i] == 0)
			continue;
		window_add(&id->owed, date, sign * charged[i]);
		id_weigh(m, id);
	}
}

/*
 * The limit that key `n` exceeds by what is owed, or NULL. The verdict tells
 * the database's sum for the window that is nearest to its limit. For the
 * others there is only this daemon's own sum, which includes what is owed.
 */
static const struct limit *
owed_over(const struct memory_id *id, const struct msg_charge_key *key,
    const struct msg_verdict *v, size_t n, int64_t now)
{
	const struct limit	*limit = &v->limit;
	int64_t			 owed;
	size_t			 i;

	if (v->key == n && limit->seconds > 0) {
		owed = window_used(&id->owed, limit->seconds, now);
		if (owed > 0 && num_add_clamp(v->used, owed) > limit->mails)
			return limit;
	}
	for (i = 0; i < key->limits.count && !key->sql; i++) {
		limit = &key->limits.list[i];
		if (window_used(&id->owed, limit->seconds, now) > 0 &&
		    num_add_clamp(window_used(&id->window, limit->seconds, now),
		    v->charged[n]) > limit->mails)
			return limit;
	}
	return NULL;
}

/*
 * Seconds until there is room. The age of the database's other rows is unknown,
 * so this assumes that they stay, and that what is owed leaves the window.
 */
static int64_t
owed_retry(const struct memory_id *id, const struct limit *limit,
    const struct msg_verdict *v, int64_t now)
{
	struct limit	rest = { limit->mails - v->used, limit->seconds };
	struct limits	one = { 1, &rest };
	int64_t		after;

	if (rest.mails < 0)
		rest.mails = 0;
	after = window_retry_after(&id->owed, &one, 0, now);
	return after > 0 ? after : limit->seconds;
}

bool
memory_over(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v, int64_t now, struct msg_verdict *right)
{
	const struct msg_charge_key	*key;
	const struct memory_id		*id;
	struct decision			*d;
	const struct limit		*limit;
	size_t				 i;

	for (i = 0; i < charge->nkeys; i++)
		if (charge->keys[i].kind == CHARGE_DISTINCT)
			return false;
	d = fill_decision(m, charge, now);
	decision_amounts(d);
	*right = *v;
	for (i = 0; i < charge->nkeys && i < v->ncharged; i++) {
		key = &charge->keys[i];
		decision_check_mail(d, right, i);
		if (right->verdict == VERDICT_REFUSED)
			break;
		d->key[i].amount = v->charged[i];
		/* A soft key is checked if the charge is repeated, too. */
		id = id_find(m, key, m->hash[i]);
		if (id == NULL || window_newest(&id->owed) == INT64_MIN ||
		    key->shadow || (v->charged[i] == 0 && !key->soft) ||
		    (limit = owed_over(id, key, v, i, now)) == NULL)
			continue;
		decision_no_room(d, right, i, limit,
		    window_used(d->key[i].window, limit->seconds, now));
		if (right->key == i && right->retry_after == 0)
			right->retry_after = owed_retry(id, limit, v, now);
		if (right->verdict == VERDICT_REFUSED)
			break;
	}
	if (right->verdict == VERDICT_REFUSED)
		right->ncharged = right->warned = 0;
	return right->verdict == VERDICT_REFUSED || right->over != v->over;
}

/* --- all of them --- */

const struct window *
memory_counts(const struct memory *m, const char *id, size_t idlen)
{
	const struct memory_id	*known;

	known = (const struct memory_id *)map_find(m->ids, map_hash(id, idlen),
	    id, idlen);
	return known != NULL ? &known->window : NULL;
}

void
memory_each(struct memory *m, void (*each)(void *, const char *, size_t,
    const struct window *), void *arg)
{
	struct memory_id	*id;

	TAILQ_FOREACH(id, &m->recent, entry)
		each(arg, id->id, id->len, &id->window);
}

void
memory_free(struct memory *m)
{
	struct memory_id	*id;

	if (m == NULL)
		return;
	while ((id = TAILQ_FIRST(&m->recent)) != NULL)
		id_free(m, id);
	instance_free(m->instances);
	instance_free(m->values);
	mapping_free(m->mapping);
	map_free(m->ids);
	free(m);
}

void
memory_resize(struct memory *m, size_t max_bytes)
{
	m->max = max_bytes;
	m->instances = instance_resize(m->instances,
	    max_bytes / INSTANCE_SHARE);
	m->values = instance_resize(m->values, max_bytes / INSTANCE_SHARE);
	mapping_resize(m->mapping, max_bytes / MAPPING_SHARE);
}

struct mapping *
memory_mapping(struct memory *m)
{
	return m == NULL ? NULL : m->mapping;
}

size_t
memory_bytes(const struct memory *m)
{
	return m->bytes + instance_bytes(m->instances) +
	    instance_bytes(m->values);
}
