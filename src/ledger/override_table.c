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
#define SHARE		50	/* least age, in durations of a reading */
#define CORRECT_PORTION	20	/* corrections in a call of the store */
#define CORRECT_MS	50	/* in a batch of their own, then no more */

void
override_table_copy(struct override_copies *c, const struct override *o)
{
	struct override	*copy;

	c->list = alloc_room(c->list, c->n, &c->room, sizeof(c->list[0]));
	copy = &c->list[c->n++];
	*copy = *o;
	copy->id = alloc_copy(o->id, o->idlen);
	copy->who = alloc_copy(o->who, o->wholen);
	copy->reason = alloc_copy(o->reason, o->reasonlen);
}

void
override_table_empty(struct override_copies *c)
{
	struct override	*o;

	while (c->n > 0) {
		o = &c->list[--c->n];
		free((void *)(uintptr_t)o->id);
		free((void *)(uintptr_t)o->who);
		free((void *)(uintptr_t)o->reason);
	}
	free(c->list);
	c->list = NULL;
	c->room = 0;
}

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
	override_table_empty(&t->fresh);
	override_table_empty(&t->due);
	override_list_free(t->list);
	free(t);
}

/* Another program may have written any values. */
static void
on_row(void *arg, const struct override *row)
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

/* --- what was read and has to be corrected --- */

/*
 * An earlier version of ours blocked one key: "bob", or "rule:bob" with rules.
 * Convert that to a block of the login or the address.
 */
static void
convert_old(struct override_copies *due, const struct override *old)
{
	struct override	 new[2] = { *old, *old };
	struct network	 net;
	const char	*value = old->id, *colon;
	char		*id, text[ADDR_TEXT_MAX];
	size_t		 len = old->idlen;

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
	/* In this order, since a batch may end between them. */
	if (new[1].idlen <= OVERRIDE_ID_MAX)
		override_table_copy(due, &new[1]);
	override_table_copy(due, &new[0]);
	free(id);
}

struct correction {
	struct override_table	*table;
	int64_t			 now;
};

static void
correct_override(void *arg, const struct override *o)
{
	const struct correction		*c = arg;
	const struct settings		*s = c->table->settings;
	const struct settings_lock	*of;
	struct override			 lock = *o;
	int64_t				 longest = 0;
	size_t				 i;

	if (o->kind == OVERRIDE_KEY_BLOCK)
		convert_old(&c->table->due, o);
	if (o->kind != OVERRIDE_LOCK)
		return;
	/* It may end too late for its rule, because a clock was wrong. */
	for (i = 0; s != NULL && i < s->nrules && longest == 0; i++) {
		of = &s->rules[i].lock;
		if (of->seconds > 0 && rule_lock_is_named(&s->rules[i],
		    o->who, o->wholen))
			longest = of->again > of->seconds ? of->again :
			    of->seconds;
	}
	if (lock_outlasts(&lock, longest, c->now))
		override_table_copy(&c->table->due, &lock);
}

/*
 * Puts a list that was read in place of the last one. What is wrong in it is
 * corrected now, and in the database by override_table_change.
 */
static void
take_list(struct override_table *t, struct override_list *fresh, int64_t now)
{
	struct correction	c = { t, now };
	size_t			i;
	bool			changed;

	override_table_empty(&t->due);
	override_list_each(fresh, correct_override, &c);
	for (i = 0; i < t->due.n; i++)
		(void)override_list_set(fresh, &t->due.list[i]);
	changed = override_list_sum(fresh) != override_list_sum(t->list);
	override_list_free(t->list);
	t->list = fresh;
	t->known = t->ever = true;
	if (t->on_read != NULL)
		t->on_read(t->arg, changed);
}

/*
 * Whether the list need not be read yet. Overrides that had ended are in force
 * again when the clock is set back.
 */
static bool
is_fresh(const struct override_table *t, int64_t now, struct mono mono)
{
	return t->known && !clock_passed(t->again, mono) && now >= t->read_at;
}

enum store_result
override_table_refresh(struct override_table *t, struct store *store,
    int64_t now, struct mono mono)
{
	struct override_list	*fresh;
	struct mono		 began;
	enum store_result	 result;
	int64_t			 took;

	if (is_fresh(t, now, mono))
		return STORE_OK;
	t->read_at = now;
	t->again = clock_after(mono, FRESH_MS);
	began = clock_mono();
	fresh = override_list_new();
	result = store_overrides(store, false, now, on_row, fresh);
	if (result != STORE_OK) {
		override_list_free(fresh);
		return result;
	}
	took = clock_between(began, clock_mono()) / 1000000 * SHARE;
	if (took > FRESH_MS)
		t->again = clock_after(mono, took);
	take_list(t, fresh, now);
	return STORE_OK;
}

/* --- in a batch --- */

enum store_result
override_table_batch(struct override_table *t, struct store *store,
    int64_t now)
{
	struct override_list	*list = override_list_new();
	enum store_result	 result;
	size_t			 i;

	result = store_overrides(store, true, now, on_row, list);
	if (result != STORE_OK) {
		override_list_free(list);
		return result;
	}
	/* The list also has what this batch is to write, or wrote already. */
	for (i = 0; i < t->fresh.n; i++)
		(void)override_list_set(list, &t->fresh.list[i]);
	take_list(t, list, now);
	return STORE_OK;
}

enum store_result
override_table_lock(struct override_table *t, struct store *store,
    const struct override *lock, const struct override *record, int64_t now)
{
	const struct override	both[2] = { *lock, *record };
	size_t			i;

	t->locks = true;
	for (i = 0; i < 2; i++) {
		override_table_copy(&t->fresh, &both[i]);
		(void)override_list_set(t->list, &both[i]);
	}
	return store_set_overrides(store, both, 2, now);
}

void
override_table_settle(struct override_table *t, bool committed)
{
	struct override	*o;
	size_t		 i;

	for (i = 0; i < t->fresh.n; i++) {
		o = &t->fresh.list[i];
		/* Remove them: the next reading brings what they replaced. */
		if (!committed)
			o->until = 0;
		if (!committed && !t->locks)
			continue;
		if (t->on_set != NULL)
			t->on_set(t->arg, o);
		(void)override_list_set(t->list, o);
	}
	if (!committed)
		t->known = false;
	else if (t->corrects > 0 && t->corrects == t->due.n)
		override_table_empty(&t->due);
	override_table_empty(&t->fresh);
	t->corrects = 0;
	t->locks = false;
}

/* --- changes --- */

/*
 * The locks that the end of a block ends too: of the same id, and of a login in
 * unfamiliar networks. Returns their number.
 */
static size_t
find_locks(const struct override_table *t,
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
	/* A hash is not hashed again. */
	if (login[0] == '#')
		idlen = (size_t)snprintf(id, sizeof(id), "%s%.*s",
		    OVERRIDE_UNFAMILIAR, (int)(block->idlen - len), login);
	else
		idlen = override_id(id, OVERRIDE_UNFAMILIAR, login,
		    block->idlen - len);
	out[n] = override_find(t->list, OVERRIDE_LOCK, id, idlen, now);
	return n + (out[n] != NULL);
}

/*
 * Collects in t->fresh the overrides to write: the changes, and the ends of the
 * locks that they end too.
 */
static enum override_result
set_overrides(struct override_table *t, const struct override *list,
    size_t n, int64_t now)
{
	const struct override	*locks[2], *record;
	struct override		 end;
	size_t			 there = 0, nlocks, i, j;

	/* How many of these are in force. */
	for (i = 0; i < n; i++)
		there += override_find(t->list, (enum override_kind)list->kind,
		    list[i].id, list[i].idlen, now) != NULL ||
		    find_locks(t, &list[i], now, locks) > 0;
	if (list->until > now && override_list_count(t->list,
	    (enum override_kind)list->kind) + n - there > OVERRIDE_MOST)
		return OVERRIDE_FULL;
	if (list->until <= now && there == 0)
		return OVERRIDE_WAS_NONE;
	for (i = 0; i < n; i++) {
		override_table_copy(&t->fresh, &list[i]);
		nlocks = find_locks(t, &list[i], now, locks);
		for (j = 0; j < nlocks; j++) {
			end = list[i];
			end.kind = OVERRIDE_LOCK;
			end.id = locks[j]->id;
			end.idlen = locks[j]->idlen;
			override_table_copy(&t->fresh, &end);
			record = override_find(t->list, OVERRIDE_LOCKED,
			    end.id, end.idlen, now);
			if (record == NULL)
				continue;
			end = *record;
			lock_end(&end, now);
			override_table_copy(&t->fresh, &end);
		}
	}
	return OVERRIDE_DONE;
}

/* A lock that was set while the database was away, with its record. */
static enum override_result
record_lock(struct override_table *t, const struct override *lock, int64_t now)
{
	const struct override	*there;
	struct override		 record = *lock;
	int64_t			 longest = t->settings != NULL ?
				    settings_longest_window(t->settings) : 0;

	there = override_find(t->list, OVERRIDE_LOCKED, lock->id, lock->idlen,
	    now);
	record.kind = OVERRIDE_LOCKED;
	record.amount = lock->since;
	record.since = lock->until;
	record.until = num_add_clamp(lock->until, longest > LOCK_AGAIN ?
	    longest : LOCK_AGAIN);
	if (record.until > OVERRIDE_FOREVER)
		record.until = OVERRIDE_FOREVER;
	if (lock->until <= now || (there != NULL && there->since > lock->since))
		return OVERRIDE_DONE;
	override_table_copy(&t->fresh, lock);
	override_table_copy(&t->fresh, &record);
	return OVERRIDE_DONE;
}

/*
 * Writes corrections; without `all` only as many as take little time. The next
 * reading finds the others again.
 */
static enum store_result
write_corrections(struct override_table *t, struct store *store, bool all,
    int64_t now)
{
	struct mono		end = clock_after(clock_mono(), CORRECT_MS);
	enum store_result	result = STORE_OK;
	size_t			n;

	t->corrects = 0;
	while (result == STORE_OK && t->corrects < t->due.n &&
	    (all || !clock_passed(end, clock_mono()))) {
		n = t->due.n - t->corrects;
		if (n > CORRECT_PORTION)
			n = CORRECT_PORTION;
		result = store_set_overrides(store, t->due.list + t->corrects,
		    n, now);
		t->corrects += n;
	}
	return result;
}

enum store_result
override_table_change(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now,
    enum override_result *outcome)
{
	enum store_result	result;

	/* A long list takes too long to be read for each change. */
	if (n > 0 && list->kind != OVERRIDE_LOCK && t->due.n == 0 &&
	    is_fresh(t, now, clock_mono()) &&
	    (*outcome = set_overrides(t, list, n, now)) != OVERRIDE_WAS_NONE)
		return store_set_overrides(store, t->fresh.list, t->fresh.n,
		    now);
	if ((result = override_table_batch(t, store, now)) != STORE_OK)
		return result;
	result = write_corrections(t, store, n > 0, now);
	if (n > 0)
		*outcome = list->kind == OVERRIDE_LOCK ?
		    record_lock(t, list, now) : set_overrides(t, list, n, now);
	if (result == STORE_OK)
		result = store_set_overrides(store, t->fresh.list, t->fresh.n,
		    now);
	return result;
}
