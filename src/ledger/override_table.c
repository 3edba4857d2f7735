#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/rule_lock.h"
#include "decision/lock.h"
#include "ledger/id.h"
#include "ledger/override_table.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define FRESH_MS	1000
#define SHARE		50	/* pause, in times of a reading */

struct override_table {
	struct override_list	*list;
	bool			 known;
	bool			 ever;
	struct mono		 again;		/* time of the next reading */
	int64_t			 read_at;	/* by the wall clock */
	void			(*on_read)(void *, bool);
	void			*arg;
	void			(*on_set)(void *, const struct override *);
	void			*set_arg;
	const struct settings	*settings;
	/* Locks of this batch and their records, copies of them. */
	struct override		*fresh;
	size_t			 nfresh;
	size_t			 room;
};

struct override_table *
override_table_new(void)
{
	struct override_table	*t = alloc_zero(1, sizeof(*t));

	t->list = override_list_new();
	return t;
}

void
override_table_free(struct override_table *t)
{
	if (t == NULL)
		return;
	override_table_settle(t, false);
	override_list_free(t->list);
	free(t->fresh);
	free(t);
}

void
override_table_on_read(struct override_table *t, void (*on_read)(void *, bool),
    void *arg)
{
	t->on_read = on_read;
	t->arg = arg;
}

void
override_table_on_set(struct override_table *t,
    void (*on_set)(void *, const struct override *), void *arg)
{
	t->on_set = on_set;
	t->set_arg = arg;
}

void
override_table_settings(struct override_table *t, const struct settings *s)
{
	t->settings = s;
}

/* Tells of it and puts it into the list, which may own its strings. */
static void
override_table_put(struct override_table *t, const struct override *o)
{
	if (t->on_set != NULL)
		t->on_set(t->set_arg, o);
	(void)override_list_set(t->list, o);
}

const struct override_list *
override_table_list(const struct override_table *t)
{
	return t->list;
}

bool
override_table_known(const struct override_table *t)
{
	return t->ever;
}

void
override_table_stale(struct override_table *t)
{
	t->known = false;
}

/* Another program may have written any values. */
static void
override_table_on_row(void *arg, const struct override *row)
{
	struct override	o = *row;

	if (o.kind >= OVERRIDE__MAX || o.idlen > ID_STORED_MAX ||
	    o.wholen > OVERRIDE_WHO_MAX || o.reasonlen > OVERRIDE_REASON_MAX ||
	    o.amount < 0 || o.until <= 0)
		return;
	/* The engine takes no larger amount. */
	if (o.amount > CHARGE_AMOUNT_MAX)
		o.amount = CHARGE_AMOUNT_MAX;
	if (o.until > OVERRIDE_FOREVER)
		o.until = OVERRIDE_FOREVER;
	if (o.since < 0 || o.since > OVERRIDE_FOREVER)
		o.since = 0;
	(void)override_list_set(arg, &o);
}

/*
 * An earlier version of ours blocked one key: "bob", or "rule:bob" with rules.
 * Convert that to a block of the login or the address.
 */
struct conversion {
	struct store	*store;
	int64_t		 now;
	bool		 lost;
};

static void
override_table_convert(void *arg, const struct override *old)
{
	struct conversion	*c = arg;
	struct override		 new[2] = { *old, *old };
	struct network		 net;
	const char		*value = old->id, *colon;
	char			*id, text[ADDR_TEXT_MAX];
	size_t			 len = old->idlen;

	if (old->kind != OVERRIDE_KEY_BLOCK || c->lost)
		return;
	if (addr_network_parse(&net, value, len) == -1 &&
	    (colon = memchr(value, ':', len)) != NULL) {
		len -= (size_t)(colon + 1 - value);
		value = colon + 1;
	}
	if (addr_network_parse(&net, value, len) == 0)
		id = alloc_printf("network:%s", addr_network_format(&net, text,
		    sizeof(text)));
	else
		id = alloc_printf("login:%.*s", (int)len, value);
	new[0].until = 0;
	new[1].kind = OVERRIDE_BLOCK;
	new[1].id = id;
	new[1].idlen = strlen(id);
	c->lost = store_set_overrides(c->store, new,
	    new[1].idlen <= OVERRIDE_ID_MAX ? 2 : 1, c->now) == STORE_LOST;
	free(id);
}

/* Locks that end too late for their rule, because a clock was wrong. */
struct trimming {
	const struct settings	*settings;
	int64_t			 now;
	struct override		*late;
	size_t			 n;
	size_t			 room;
};

static int64_t
override_table_longest(const struct settings *s, const struct override *lock)
{
	const struct settings_lock	*of;
	size_t				 i;

	for (i = 0; s != NULL && i < s->nrules; i++) {
		of = &s->rules[i].lock;
		if (of->seconds > 0 && rule_lock_is_named(&s->rules[i],
		    lock->who, lock->wholen))
			return of->again > of->seconds ? of->again :
			    of->seconds;
	}
	return 0;
}

static void
override_table_on_lock(void *arg, const struct override *o)
{
	struct trimming	*t = arg;
	struct override	 lock = *o;

	if (o->kind != OVERRIDE_LOCK || !lock_outlasts(&lock,
	    override_table_longest(t->settings, o), t->now))
		return;
	if (t->n == t->room) {
		t->room = t->room == 0 ? 16 : t->room * 2;
		t->late = alloc_resize(t->late, t->room, sizeof(t->late[0]));
	}
	t->late[t->n++] = lock;
}

/* A lock that cannot be written now is corrected with the next reading. */
static bool
override_table_trim(const struct override_table *t, struct store *store,
    struct override_list *list, int64_t now)
{
	struct trimming	trimming = { .settings = t->settings, .now = now };
	bool		lost;
	size_t		i;

	override_list_each(list, override_table_on_lock, &trimming);
	lost = trimming.n > 0 && store_set_overrides(store, trimming.late,
	    trimming.n, now) == STORE_LOST;
	for (i = 0; i < trimming.n; i++)
		(void)override_list_set(list, &trimming.late[i]);
	free(trimming.late);
	return lost;
}

/* NULL: the reading failed; *lost: the connection is lost. */
static struct override_list *
override_table_read(const struct override_table *t, struct store *store,
    int64_t now, bool *lost)
{
	struct override_list	*list = override_list_new();
	enum store_result	 result;

	result = store_overrides(store, now, override_table_on_row, list);
	*lost = result == STORE_LOST;
	if (result == STORE_OK) {
		*lost = override_table_trim(t, store, list, now);
		return list;
	}
	override_list_free(list);
	return NULL;
}

static void
override_table_take(struct override_table *t, struct override_list *fresh)
{
	bool	changed;

	changed = override_list_sum(fresh) != override_list_sum(t->list);
	override_list_free(t->list);
	t->list = fresh;
	t->known = t->ever = true;
	if (t->on_read != NULL)
		t->on_read(t->arg, changed);
}

enum store_result
override_table_refresh(struct override_table *t, struct store *store,
    int64_t now, struct mono mono)
{
	struct conversion	 conversion = { store, now, false };
	struct override_list	*fresh;
	struct mono		 began = clock_mono();
	int64_t			 took;
	bool			 lost;

	/*
	 * Overrides that had ended are in force again when the clock is set
	 * back.
	 */
	if (t->known && !clock_passed(t->again, mono) && now >= t->read_at)
		return STORE_OK;
	t->read_at = now;
	t->again = clock_after(mono, FRESH_MS);
	fresh = override_table_read(t, store, now, &lost);
	if (fresh != NULL && override_list_count(fresh,
	    OVERRIDE_KEY_BLOCK) > 0) {
		override_list_each(fresh, override_table_convert, &conversion);
		override_list_free(fresh);
		fresh = override_table_read(t, store, now, &lost);
		lost = lost || conversion.lost;
	}
	if (fresh == NULL)
		return lost ? STORE_LOST : STORE_OK;
	took = clock_between(began, clock_mono()) / 1000000 * SHARE;
	if (took > FRESH_MS)
		t->again = clock_after(mono, took);
	override_table_take(t, fresh);
	return STORE_OK;
}

/* --- locks --- */

enum store_result
override_table_batch(struct override_table *t, struct store *store,
    int64_t now)
{
	struct override_list	*list = override_list_new();
	enum store_result	 result;
	size_t			 i;

	result = store_batch_overrides(store, now, override_table_on_row, list);
	if (result != STORE_OK) {
		override_list_free(list);
		return result;
	}
	/* What this batch wrote is among them, for no other daemon yet. */
	for (i = 0; i < t->nfresh; i++)
		(void)override_list_set(list, &t->fresh[i]);
	override_table_take(t, list);
	return STORE_OK;
}

static void
override_table_keep(struct override_table *t, const struct override *o)
{
	struct override	*copy;

	if (t->nfresh == t->room) {
		t->room = t->room == 0 ? 16 : t->room * 2;
		t->fresh = alloc_resize(t->fresh, t->room,
		    sizeof(t->fresh[0]));
	}
	copy = &t->fresh[t->nfresh++];
	*copy = *o;
	copy->id = alloc_copy(o->id, o->idlen);
	copy->who = alloc_copy(o->who, o->wholen);
	copy->reason = "";
	copy->reasonlen = 0;
	(void)override_list_set(t->list, copy);
}

enum store_result
override_table_lock(struct override_table *t, struct store *store,
    const struct override *lock, const struct override *record)
{
	const struct override	both[2] = { *lock, *record };

	override_table_keep(t, lock);
	override_table_keep(t, record);
	return store_batch_set_overrides(store, both, 2);
}

void
override_table_settle(struct override_table *t, bool committed)
{
	struct override	*o;

	while (t->nfresh > 0) {
		o = &t->fresh[--t->nfresh];
		if (!committed) {
			/* What was there before is read again. */
			o->until = 0;
			t->known = false;
		}
		override_table_put(t, o);
		free((void *)(uintptr_t)o->id);
		free((void *)(uintptr_t)o->who);
	}
}

enum override_result
override_table_late(struct override_table *t, struct store *store,
    const struct override *lock, int64_t now, bool *lost)
{
	struct override		both[2] = { *lock, *lock };
	const struct override	*there;
	enum store_result	result;
	int64_t			longest;

	override_table_stale(t);
	*lost = override_table_refresh(t, store, now, clock_mono()) ==
	    STORE_LOST;
	if (*lost || !t->known)
		return OVERRIDE_FAILED;
	there = override_find(t->list, OVERRIDE_LOCKED, lock->id, lock->idlen,
	    now);
	both[1].kind = OVERRIDE_LOCKED;
	both[1].amount = lock->since;
	both[1].since = lock->until;
	longest = t->settings != NULL ?
	    settings_longest_window(t->settings) : 0;
	both[1].until = num_add_clamp(lock->until, longest > LOCK_AGAIN ?
	    longest : LOCK_AGAIN);
	if (both[1].until > OVERRIDE_FOREVER)
		both[1].until = OVERRIDE_FOREVER;
	if (lock->until <= now || (there != NULL && there->since > lock->since))
		return OVERRIDE_DONE;
	result = store_set_overrides(store, both, 2, now);
	*lost = result == STORE_LOST;
	if (result != STORE_OK)
		return OVERRIDE_FAILED;
	override_table_put(t, &both[0]);
	override_table_put(t, &both[1]);
	return OVERRIDE_DONE;
}

/* --- what policyctl sets --- */

/*
 * The locks that the end of a block ends too: of the same id, and of a login in
 * unfamiliar networks. Returns their number.
 */
static size_t
override_table_locks_of(const struct override_table *t,
    const struct override *block, int64_t now, const struct override *out[2])
{
	const size_t	 len = sizeof("login:") - 1;
	const char	*login = block->id + len;
	char		 id[OVERRIDE_ID_MAX + 1];
	size_t		 n = 0, idlen;

	if (block->kind != OVERRIDE_BLOCK || block->until > now)
		return 0;
	out[n] = override_find(t->list, OVERRIDE_LOCK, block->id,
	    block->idlen, now);
	n += out[n] != NULL;
	if (block->idlen <= len || memcmp(block->id, "login:", len) != 0)
		return n;
	/* What is a hash already stays one. */
	if (login[0] == '#')
		idlen = (size_t)snprintf(id, sizeof(id), "%s%.*s",
		    OVERRIDE_UNFAMILIAR, (int)(block->idlen - len), login);
	else
		idlen = override_id(id, OVERRIDE_UNFAMILIAR, login,
		    block->idlen - len);
	out[n] = override_find(t->list, OVERRIDE_LOCK, id, idlen, now);
	return n + (out[n] != NULL);
}

/* How many of these are in force, by a list that is refreshed if it is old. */
static size_t
override_table_there(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now, bool *lost)
{
	const struct override	*locks[2];
	size_t			 there = 0, i;

	*lost = override_table_refresh(t, store, now, clock_mono()) ==
	    STORE_LOST;
	for (i = 0; i < n; i++)
		there += override_find(t->list, (enum override_kind)list->kind,
		    list[i].id, list[i].idlen, now) != NULL ||
		    override_table_locks_of(t, &list[i], now, locks) > 0;
	return there;
}

/* Adds the end of a lock, and of what it leaves behind. Returns the number. */
static size_t
override_table_end(const struct override_table *t, struct override *out,
    const struct override *end, const struct override *lock, int64_t now)
{
	const struct override	*record;

	out[0] = *end;
	out[0].kind = OVERRIDE_LOCK;
	out[0].id = lock->id;
	out[0].idlen = lock->idlen;
	record = override_find(t->list, OVERRIDE_LOCKED, lock->id, lock->idlen,
	    now);
	if (record == NULL)
		return 1;
	out[1] = *record;
	lock_end(&out[1], now);
	return 2;
}

/*
 * Writes them with the ends of the locks of the same ids, and puts all of that
 * into the list.
 */
static enum store_result
override_table_write(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now)
{
	struct override		*all;
	const struct override	*locks[2];
	enum store_result	 result;
	size_t			 count = 0, nlocks, i, j;

	all = alloc_resize(NULL, 5 * n, sizeof(*all));
	for (i = 0; i < n; i++) {
		all[count++] = list[i];
		nlocks = override_table_locks_of(t, &list[i], now, locks);
		for (j = 0; j < nlocks; j++)
			count += override_table_end(t, &all[count], &list[i],
			    locks[j], now);
	}
	result = store_set_overrides(store, all, count, now);
	/* The record's strings are the list's own. */
	for (i = count; i-- > 0 && result == STORE_OK;)
		override_table_put(t, &all[i]);
	free(all);
	return result;
}

enum override_result
override_table_set(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now, bool *lost)
{
	enum store_result	result;
	size_t			there;

	there = override_table_there(t, store, list, n, now, lost);
	if (list->until > now && override_list_count(t->list,
	    (enum override_kind)list->kind) + n - there > OVERRIDE_MOST)
		return OVERRIDE_FULL;
	if (list->until <= now && there == 0 && !*lost) {
		/* Another daemon may have set them since the list was read. */
		override_table_stale(t);
		there = override_table_there(t, store, list, n, now, lost);
		if (t->known && there == 0)
			return OVERRIDE_WAS_NONE;
	}
	if (*lost)
		return OVERRIDE_FAILED;
	result = override_table_write(t, store, list, n, now);
	*lost = result == STORE_LOST;
	return result == STORE_OK ? OVERRIDE_DONE : OVERRIDE_FAILED;
}
