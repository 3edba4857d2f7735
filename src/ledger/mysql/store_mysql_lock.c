#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/map.h"

/*
 * The locks of a batch, and the numbers that order batches.
 *
 * Every row of mail_lock holds a lock and a count, `batch`. The number of an id
 * is the count of its own row plus the count of the row STORE_ALL_SLOT. A batch
 * that writes rows raises one of the two counts in the same transaction, and
 * gives its rows the new number. While a batch holds its locks, nobody else
 * raises either count: the numbers of one id rise in the order of commits.
 *
 * The nodes of a Galera cluster do not share locks, but of two transactions
 * that change the same row only one commits. Both read the count that they
 * raise after they locked its row; a row that another node changes is taken
 * from the transaction that has locked it. So batches of different nodes with
 * rows of one id run one after the other as well, provided that both raise the
 * count of the id's own row. A daemon that seems to be alone raises only the
 * count of STORE_ALL_SLOT, and must not do so there.
 *
 * Such a daemon's batch changes the numbers of all ids, but need not read on
 * for them. A batch is undisturbed if it has locked STORE_ALL_SLOT exclusively,
 * if the count there (`base`) is what our last batch, which had locked it too,
 * left behind, and if neither rows nor changes of others are found under this
 * lock. Since the last disturbed batch took its locks, when `base` was `quiet`,
 * only this process has written rows, and it raised only `base`. So the counts
 * of slots that were read since then are still right, and each id had the
 * number quiet + slot.batch at that moment. A cursor that was moved later is at
 * least that number, and its id is complete. One that was moved before and has
 * that number is complete too: both counts only rise, so an equal sum means
 * that neither was raised in between. Only ids of smaller cursors are read.
 */

static int
store_slot_order(const void *a, const void *b)
{
	const struct store_slot	*x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/*
 * Every daemon must compute the same row, so the key of the hash is no secret.
 */
uint32_t
store_slot_of(const char *id, size_t idlen)
{
	static const uint64_t	key[2] = { 0, 0 };

	return (uint32_t)(map_siphash(key, id, idlen) % STORE_SLOTS);
}

static struct store_slot *
store_slot_find(const struct store *s, uint32_t slot)
{
	struct store_slot	wanted;

	wanted.slot = slot;
	return bsearch(&wanted, s->slot, s->nslot, sizeof(wanted),
	    store_slot_order);
}

/* Sorts the slots, each once: all daemons lock rows in the same order. */
static void
store_sort_slots(struct store *s)
{
	size_t	i, n = 0;

	if (s->nslot == 0)
		return;
	qsort(s->slot, s->nslot, sizeof(s->slot[0]), store_slot_order);
	for (i = 0; i < s->nslot; i++)
		if (n == 0 || s->slot[n - 1].slot != s->slot[i].slot)
			s->slot[n++] = s->slot[i];
	s->nslot = n;
}

static size_t
store_bind_slot(struct store *s, size_t i)
{
	mysqldb_bind(s->db, s->slot[i].slot);
	return 1;
}

static size_t
store_bind_unknown(struct store *s, size_t i)
{
	return s->slot[i].batch == 0 ? store_bind_slot(s, i) : 0;
}

static size_t
store_bind_raised(struct store *s, size_t i)
{
	return s->slot[i].raised ? store_bind_slot(s, i) : 0;
}

static int
store_take_slot(struct store *s, const struct store_reader *reader)
{
	struct store_slot	*slot;

	(void)reader;
	slot = store_slot_find(s, (uint32_t)mysqldb_column(s->db, 0));
	if (slot != NULL)
		slot->batch = mysqldb_column(s->db, 1);
	return 0;
}

/*
 * Reads the counts of the slots that are still 0, which is no count: they begin
 * with 1. LOCK also locks the rows.
 */
static int
store_read_slots(struct store *s, enum statement n)
{
	size_t	i;

	if (store_each(s, n, s->nslot, store_bind_nothing, store_bind_unknown,
	    store_take_slot, NULL) == -1)
		return -1;
	for (i = 0; i < s->nslot; i++)
		if (s->slot[i].batch == 0)
			return store_no_lock(s);
	return 0;
}

/* Locks one row, with LOCK or LOCK_SHARED; *batch is its count. */
static int
store_lock_one(struct store *s, enum statement n, int64_t slot, int64_t *batch)
{
	int	more;

	*batch = 0;
	mysqldb_begin(s->db, n);
	mysqldb_bind(s->db, slot);
	if (mysqldb_run(s->db, 1) == -1)
		return -1;
	while ((more = mysqldb_next(s->db)) == 1)
		*batch = mysqldb_column(s->db, 1);
	return more == 0 && *batch == 0 ? store_no_lock(s) : more;
}

int
store_lock_ranges(struct store *s)
{
	int64_t	batch;

	return store_lock_one(s, LOCK, STORE_HITS_SLOT, &batch);
}

int
store_lock_all(struct store *s)
{
	return store_lock_one(s, LOCK, STORE_ALL_SLOT, &s->base);
}

/* Locks STORE_ALL_SLOT and raises its count; s->base is the one before. */
static int
store_raise_all(struct store *s)
{
	mysqldb_begin(s->db, RAISE_ALL);
	mysqldb_bind(s->db, STORE_ALL_SLOT);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	if (mysqldb_changes(s->db) == 0)
		return store_no_lock(s);
	s->base = mysqldb_inserted(s->db) - 1;
	return 0;
}

void
store_slots_clear(struct store *s)
{
	s->nslot = 0;
}

void
store_slots_add(struct store *s, uint32_t slot)
{
	if (s->nslot == s->slots) {
		s->slots = s->slots == 0 ? 64 : s->slots * 2;
		s->slot = alloc_resize(s->slot, s->slots, sizeof(s->slot[0]));
	}
	s->slot[s->nslot++] = (struct store_slot){ .slot = slot };
}

int
store_lock(struct store *s)
{
	size_t	i;

	s->alone = s->ntouch > 0 && !s->cluster && writers_silent(&s->others);
	if (s->ntouch == 0)
		return 0;
	store_slots_clear(s);
	for (i = 0; i < s->ntouch; i++) {
		s->place[i] = store_slot_of(s->touch[i].id, s->touch[i].idlen);
		store_slots_add(s, s->place[i]);
	}
	store_sort_slots(s);
	if (s->alone ? store_raise_all(s) == -1 :
	    store_lock_one(s, LOCK_SHARED, STORE_ALL_SLOT, &s->base) == -1 ||
	    store_read_slots(s, LOCK) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++)
		s->place[i] = (uint32_t)(store_slot_find(s, s->place[i]) -
		    s->slot);
	s->writes = mysqldb_writes(s->db);
	return 0;
}

int
store_read_numbers(struct store *s)
{
	const size_t	 size = STORE_SLOTS * sizeof(s->known[0]);
	size_t		 i;

	if (s->disturbed)
		s->quiet = s->base;
	s->left = s->alone ? s->base : -1;
	if (!s->alone)
		return 0;
	if (s->known == NULL)
		s->known = alloc_zero(1, size);
	else if (s->disturbed)
		memset(s->known, 0, size);
	for (i = 0; i < s->nslot; i++)
		s->slot[i].batch = s->known[s->slot[i].slot];
	if (store_read_slots(s, SLOTS) == -1)
		return -1;
	for (i = 0; i < s->nslot; i++)
		s->known[s->slot[i].slot] = s->slot[i].batch;
	return 0;
}

int64_t
store_batch_of(const struct store *s, size_t touch)
{
	return s->base + s->slot[s->place[touch]].batch;
}

bool
store_knows(const struct store *s, size_t touch)
{
	return s->touch[touch].cursor->newest >= s->quiet +
	    s->slot[s->place[touch]].batch;
}

void
store_raise(struct store *s, size_t touch)
{
	s->slot[s->place[touch]].raised = true;
}

int
store_write_raised(struct store *s)
{
	return s->alone ? 0 : store_each(s, RAISE, s->nslot, store_bind_nothing,
	    store_bind_raised, NULL, NULL);
}

int
store_raise_slots(struct store *s)
{
	size_t	i;

	store_sort_slots(s);
	for (i = 0; i < s->nslot; i++)
		s->slot[i].raised = true;
	s->alone = false;
	s->left = -1;
	return store_write_raised(s);
}
