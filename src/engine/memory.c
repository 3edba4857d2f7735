#include <stdlib.h>
#include <string.h>

#include "decision/per_mail.h"
#include "decision/retry.h"
#include "engine/memory.h"
#include "engine/memory_state.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/window.h"

#define SEEN_SECONDS	3600	/* as long as the ledger remembers */
#define DAY		86400	/* seconds */
#define SEEN_SHARE	4	/* at most a quarter of the memory */

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
	seen_init(&m->seen);
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

struct memory_id *
memory_id_find(struct memory *m, const struct msg_charge_key *key,
    uint64_t hash)
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

	if ((id = memory_id_find(m, key, hash)) != NULL)
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

/* --- instances, tags and values --- */

/* Of the instance; for rules that count values, of the value. */
static uint64_t
key_hash(const struct msg_charge *charge, const struct msg_charge_key *key,
    uint64_t id)
{
	if (key->kind == CHARGE_DISTINCT)
		return seen_hash(~id, key->value, key->valuelen);
	return seen_hash(id, charge->instance, charge->instancelen);
}

/* --- the bound --- */

static void
memory_trim(struct memory *m, int64_t now)
{
	seen_trim(&m->seen, now - SEEN_SECONDS, m->max / SEEN_SHARE);
	while (m->bytes + m->seen.bytes > m->max && !TAILQ_EMPTY(&m->recent))
		id_free(m, TAILQ_FIRST(&m->recent));
}

/* --- charges --- */

/* The first second inside any of these windows. */
static int64_t
oldest(const struct limits *limits, int64_t now)
{
	int64_t	seconds = 0;
	size_t	i;

	for (i = 0; i < limits->count; i++)
		if (limits->list[i].seconds > seconds)
			seconds = limits->list[i].seconds;
	return num_add_clamp(now, -seconds);
}

/* The tag of this key: for CHARGE_TOTAL the instance alone. */
static int64_t
key_tag(const struct msg_charge *charge, const struct msg_charge_key *key)
{
	return key->kind == CHARGE_TOTAL ? 0 : charge->tag;
}

/* The part of the key's amount that is new. */
static int64_t
key_new(struct memory *m, const struct msg_charge *charge,
    const struct msg_charge_key *key, uint64_t id, int64_t now)
{
	const struct seen	*seen;
	int64_t			 tag = key_tag(charge, key), rest;

	seen = seen_find(&m->seen, key_hash(charge, key, id));
	if (seen == NULL)
		return key->amount;
	if (key->kind == CHARGE_DISTINCT)
		return seen->date < oldest(&key->limits, now) ? key->amount : 0;
	if (tag != 0)
		return seen_has_tag(seen, tag) ? 0 : key->amount;
	rest = key->amount - seen->amount;
	return rest > 0 ? rest : 0;
}

static void
key_record(struct memory *m, const struct msg_charge *charge,
    const struct msg_charge_key *key, uint64_t hash, int64_t amount,
    bool over, int64_t now)
{
	struct memory_id	*id = id_get(m, key, hash);

	/* Without an instance no charge can be recognised as repeated. */
	if (key->kind == CHARGE_DISTINCT || charge->instancelen > 0)
		seen_add(&m->seen, key_hash(charge, key, hash),
		    key_tag(charge, key), amount, now);
	if (amount > 0)
		window_add(&id->window, now, amount);
	/* An id may get limits later, so without limits a day is kept. */
	window_forget(&id->window, key->limits.count > 0 ?
	    oldest(&key->limits, now) : num_sub_clamp(now, DAY));
	/* Accepted after a refusal: a limit or a count was changed. */
	if (!over && key->amount >= id->amount)
		id->until = 0;
	id_weigh(m, id);
}

/* CHARGE_EACH: a refusal takes back what the instance was charged. */
static void
key_take_back(struct memory *m, const struct msg_charge *charge,
    const struct msg_charge_key *key, uint64_t hash)
{
	struct memory_id	*id = memory_id_find(m, key, hash);
	struct seen		*seen;

	seen = seen_find(&m->seen, key_hash(charge, key, hash));
	if (id == NULL || seen == NULL || key->kind == CHARGE_DISTINCT)
		return;
	window_add(&id->window, seen->date, -seen->amount);
	seen->amount = 0;
	id_weigh(m, id);
}

static void
memory_take_back(struct memory *m, const struct msg_charge *charge)
{
	size_t	i;

	if (charge->mode != CHARGE_EACH || charge->instancelen == 0)
		return;
	for (i = 0; i < charge->nkeys; i++)
		key_take_back(m, charge, &charge->keys[i],
		    map_hash(charge->keys[i].id, charge->keys[i].idlen));
}

/* --- verdicts --- */

static bool
is_over(const struct msg_verdict *v, size_t key)
{
	return (v->over & UINT32_C(1) << key) != 0;
}

/* Remembers that v->key had no room, whether it refused or is soft. */
static void
learn_full(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v, int64_t now)
{
	const struct msg_charge_key	*key;
	struct memory_id		*id;

	if (v->key >= charge->nkeys)
		return;
	key = &charge->keys[v->key];
	id = id_get(m, key, map_hash(key->id, key->idlen));
	id->until = v->never ? now : num_add_clamp(now, v->key_retry_after);
	id->amount = key->amount;
	id->limit = v->limit;
}

void
memory_again(struct memory *m, const struct msg_charge *charge,
    struct msg_verdict *v, int64_t now)
{
	const struct msg_charge_key	*key;
	size_t				 i;

	for (i = 0; i < charge->nkeys && i < v->ncharged; i++) {
		key = &charge->keys[i];
		if (v->charged[i] == 0)
			v->charged[i] = key_new(m, charge, key,
			    map_hash(key->id, key->idlen), now);
	}
}

void
memory_learn(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v, int64_t now)
{
	const struct msg_charge_key	*key;
	size_t				 i;

	if (v->verdict == VERDICT_ACCEPTED) {
		for (i = 0; i < charge->nkeys && i < v->ncharged; i++) {
			key = &charge->keys[i];
			key_record(m, charge, key,
			    map_hash(key->id, key->idlen), v->charged[i],
			    is_over(v, i), now);
		}
		if (v->over != 0)
			learn_full(m, charge, v, now);
	}
	if (v->verdict == VERDICT_REFUSED && !v->per_mail) {
		learn_full(m, charge, v, now);
		memory_take_back(m, charge);
	}
	memory_trim(m, now);
}

bool
memory_id_waits(const struct memory_id *id, const struct msg_charge_key *key,
    int64_t amount, int64_t now)
{
	if (id == NULL || now >= id->until)
		return false;
	return amount > 0 ? amount >= id->amount : key->soft;
}

/*
 * Whether a window of the key has no room for `amount`; which one, and its sum.
 * An amount of 0 always fits.
 */
static bool
key_full(struct memory *m, const struct msg_charge_key *key, uint64_t hash,
    int64_t amount, int64_t now, struct limit *limit, int64_t *used)
{
	struct memory_id	*id = memory_id_find(m, key, hash);
	struct window		 empty, *window = &empty;
	int			 full;

	if (memory_id_waits(id, key, amount, now)) {
		*limit = id->limit;
		*used = window_used(&id->window, id->limit.seconds, now);
		return true;
	}
	window_init(&empty);
	if (id != NULL)
		window = &id->window;
	if ((full = window_full(window, &key->limits, amount, now, used)) == -1)
		return false;
	*limit = key->limits.list[full];
	return true;
}

/* As in struct msg_verdict. */
static int64_t
memory_retry(struct memory *m, const struct msg_charge *charge, int64_t now,
    const uint64_t *hash, const int64_t *amounts, const struct limit *limit,
    bool soft)
{
	static struct window		 empty;
	struct retry_key		 keys[CHARGE_KEYS_MAX], *r;
	const struct msg_charge_key	*key;
	struct memory_id		*id;
	size_t				 n = 0, i;
	int64_t				 after;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if (key->shadow || (key->soft ? !soft : amounts[i] == 0))
			continue;
		id = memory_id_find(m, key, hash[i]);
		r = &keys[n++];
		memset(r, 0, sizeof(*r));
		r->window = id != NULL ? &id->window : &empty;
		r->amount = amounts[i];
		if (memory_id_waits(id, key, amounts[i], now))
			r->not_before = id->until;
		r->nlimits = key->limits.count;
		memcpy(r->limits, key->limits.list,
		    key->limits.count * sizeof(r->limits[0]));
	}
	after = retry_after(keys, n, now);
	return after == -1 ? limit->seconds : after;
}

/* What the mail was charged before under this key. */
static int64_t
key_charged(struct memory *m, const struct msg_charge *charge,
    const struct msg_charge_key *key, uint64_t hash)
{
	const struct seen	*seen;

	if (key->kind == CHARGE_DISTINCT || charge->instancelen == 0)
		return 0;
	seen = seen_find(&m->seen, key_hash(charge, key, hash));
	return seen != NULL ? seen->amount : 0;
}

/*
 * Whether the mail, with what its instance was charged before, alone exceeds
 * the limit. If the ledger refused it, the ledger has said so.
 */
static bool
key_never(struct memory *m, const struct msg_charge *charge,
    const struct msg_charge_key *key, uint64_t hash, int64_t amount,
    const struct limit *limit, int64_t now)
{
	if (memory_id_waits(memory_id_find(m, key, hash), key, amount, now))
		return false;
	return num_add_clamp(amount, key_charged(m, charge, key, hash)) >
	    limit->mails;
}

/*
 * Whether the mail is within max_per_mail of key `n`, or the rule is in shadow;
 * else the verdict becomes a refusal.
 */
static bool
mail_fits(struct memory *m, const struct msg_charge *charge, size_t n,
    uint64_t hash, struct msg_verdict *v)
{
	const struct msg_charge_key	*key = &charge->keys[n];
	int64_t				 charged;

	if (key->max_per_mail == 0 || v->charged[n] == 0)
		return true;
	charged = key_charged(m, charge, key, hash);
	if (!per_mail_exceeded(key, charged, v->charged[n]) ||
	    per_mail_goes_on(v, key, n, charged))
		return true;
	v->retry_after = 0;
	return false;
}

void
memory_judge(struct memory *m, const struct msg_charge *charge, int64_t now,
    uint64_t *hash, struct msg_verdict *v)
{
	const struct msg_charge_key	*key;
	struct limit			 limit;
	int64_t				 used;
	size_t				 i;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		hash[i] = map_hash(key->id, key->idlen);
		v->charged[i] = key_new(m, charge, key, hash[i], now);
	}
	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		/* For a repeated charge only soft keys are checked again. */
		if (v->charged[i] == 0 && !key->soft)
			continue;
		if (!mail_fits(m, charge, i, hash[i], v))
			return;
		if (!key_full(m, key, hash[i], v->charged[i], now, &limit,
		    &used))
			continue;
		if (key->shadow) {
			v->shadowed |= UINT32_C(1) << i;
			v->full[i].limit = limit;
			v->full[i].used = used;
			continue;
		}
		if (!key->soft)
			v->never = key_never(m, charge, key, hash[i],
			    v->charged[i], &limit, now);
		if (!key->soft || v->over == 0) {
			v->key = (uint16_t)i;
			v->limit = limit;
			v->used = used;
			v->retry_after = v->never ? limit.seconds :
			    memory_retry(m, charge, now, hash, v->charged,
			    &limit, key->soft);
		}
		if (!key->soft) {
			v->verdict = VERDICT_REFUSED;
			v->over = 0;
			return;
		}
		v->over |= UINT32_C(1) << i;
	}
	v->verdict = VERDICT_ACCEPTED;
	v->ncharged = (uint32_t)charge->nkeys;
}

void
memory_decide(struct memory *m, const struct msg_charge *charge, int64_t now,
    struct msg_verdict *v)
{
	uint64_t	hash[CHARGE_KEYS_MAX];
	size_t		i;

	memory_judge(m, charge, now, hash, v);
	if (v->verdict == VERDICT_REFUSED) {
		if (!v->per_mail)
			memory_take_back(m, charge);
		return;
	}
	for (i = 0; i < charge->nkeys; i++)
		key_record(m, charge, &charge->keys[i], hash[i], v->charged[i],
		    is_over(v, i), now);
	memory_trim(m, now);
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
		/* An id that was dropped is not created again to be reduced. */
		id = sign > 0 ? id_get(m, key, hash) :
		    memory_id_find(m, key, hash);
		if (id == NULL || charged[i] == 0)
			continue;
		window_add(&id->owed, date, sign * charged[i]);
		id_weigh(m, id);
	}
}

/*
 * The verdict tells the database's sum for the window that is nearest to its
 * limit. For the others there is only this daemon's own sum, which includes
 * what is owed.
 */
static const struct limit *
key_over(const struct memory_id *id, const struct msg_charge_key *key,
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

static bool
has_values(const struct msg_charge *charge)
{
	size_t	i;

	for (i = 0; i < charge->nkeys; i++)
		if (charge->keys[i].kind == CHARGE_DISTINCT)
			return true;
	return false;
}

/* For a soft key also if the charge is repeated. */
static const struct limit *
owed_over(struct memory *m, const struct msg_charge *charge,
    const struct msg_verdict *v, size_t n, uint64_t hash, int64_t now)
{
	const struct msg_charge_key	*key = &charge->keys[n];
	const struct memory_id		*id = memory_id_find(m, key, hash);

	if (id == NULL || window_newest(&id->owed) == INT64_MIN ||
	    key->shadow || (v->charged[n] == 0 && !key->soft))
		return NULL;
	return key_over(id, key, v, n, now);
}

/*
 * The age of the database's other rows is unknown, so if there is no room this
 * waits until what is owed has left the window.
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
	const struct limit		*limit;
	uint64_t			 hash[CHARGE_KEYS_MAX];
	size_t				 i;

	if (has_values(charge))
		return false;
	for (i = 0; i < charge->nkeys; i++)
		hash[i] = map_hash(charge->keys[i].id, charge->keys[i].idlen);
	*right = *v;
	for (i = 0; i < charge->nkeys && i < v->ncharged; i++) {
		key = &charge->keys[i];
		if (key_new(m, charge, key, hash[i], now) > 0 &&
		    !mail_fits(m, charge, i, hash[i], right)) {
			right->ncharged = right->warned = 0;
			return true;
		}
		limit = owed_over(m, charge, v, i, hash[i], now);
		if (limit == NULL)
			continue;
		if (!key->soft)
			memset(right, 0, sizeof(*right));
		if (right->over == 0 || i < right->key) {
			right->key = (uint16_t)i;
			right->limit = *limit;
			id = memory_id_find(m, key, hash[i]);
			right->used = window_used(&id->window, limit->seconds,
			    now);
			right->retry_after = memory_retry(m, charge, now,
			    hash, v->charged, limit, key->soft);
			if (right->retry_after == 0)
				right->retry_after = owed_retry(id, limit, v,
				    now);
		}
		if (!key->soft) {
			right->verdict = VERDICT_REFUSED;
			return true;
		}
		right->over |= UINT32_C(1) << i;
	}
	return right->over != v->over;
}

/* --- */

static void
free_id(struct map_node *node, void *arg)
{
	id_free(arg, (struct memory_id *)node);
}

void
memory_free(struct memory *m)
{
	if (m == NULL)
		return;
	seen_clear(&m->seen);
	map_each(m->ids, free_id, m);
	map_free(m->ids);
	free(m);
}

void
memory_resize(struct memory *m, size_t max_bytes)
{
	m->max = max_bytes;
}

size_t
memory_bytes(const struct memory *m)
{
	return m->bytes + m->seen.bytes;
}
