#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/map.h"

/*
 * The locks of a batch, and the numbers that order batches.
 *
 * Each row of mail_lock, a slot, has a lock and a count of batches. An id has
 * the slot that its hash gives; STORE_ALL_SLOT is every id's. The number of an
 * id is the count of its slot plus the count of STORE_ALL_SLOT.
 *
 *  1. Every batch with ids locks STORE_ALL_SLOT first: in share mode, and then
 *     the slots of its ids; or exclusively, if it is alone, and then no slot of
 *     an id.
 *  2. A batch that writes rows adds 1 to the counts of the slots of their ids,
 *     or, if it is alone, to that of STORE_ALL_SLOT, in the same transaction.
 *     Its rows get the new number of their id. Rows of others that are taken in
 *     are numbered by the counts of their slots, under the exclusive lock of
 *     STORE_ALL_SLOT (store_raise_slots): so they are right on a cluster too.
 *  3. So while a batch holds its locks, no other batch changes the numbers of
 *     its ids, and the numbers of one id rise in the order of commits.
 *
 * The nodes of a Galera cluster do not share locks, but of two transactions
 * that change one row only one commits, and a batch reads the count that it
 * adds to after it locked the row. So batches of two nodes with rows of one id
 * run one after the other as well, provided that both add to the count of the
 * id's slot. On a cluster a batch is therefore never alone.
 *
 * A daemon that is alone changes the number of every id with each batch, and
 * need not look for new rows of all of them:
 *
 *  4. A batch is undisturbed if it is alone, if the count of STORE_ALL_SLOT is
 *     the one that our last batch, which was alone too, left (`left`), and if
 *     store_read_changes found neither rows nor changes of others.
 *  5. `quiet` is the count of STORE_ALL_SLOT (`base`) that the last disturbed
 *     batch found. Since then only this process has written rows, and has added
 *     to no other count. So the counts of slots that were read since then
 *     (`known`) are still right, and when that batch began, the number of an id
 *     was quiet + the count of its slot.
 *  6. An id that is loaded is complete if its cursor is at least that number.
 *     If the cursor was moved after that batch had begun, it was moved to the
 *     number of that time, and the only newer rows are ours. If it was moved
 *     before, to the number of an earlier time, the two numbers are equal:
 *     both counts only rise, so neither has risen in between.
 */

static int
slot_order(const void *a, const void *b)
{
	const struct store_slot	*x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static struct store_slot *
slot_find(const struct store *s, uint32_t slot)
{
	struct store_slot	wanted = { .slot = slot };

	return bsearch(&wanted, s->slot, s->nslot, sizeof(wanted), slot_order);
}

/* Sorts the slots, each once: all daemons lock rows in the same order. */
static void
sort_slots(struct store *s)
{
	size_t	i, n = 0;

	if (s->nslot == 0)
		return;
	qsort(s->slot, s->nslot, sizeof(s->slot[0]), slot_order);
	for (i = 0; i < s->nslot; i++)
		if (n == 0 || s->slot[n - 1].slot != s->slot[i].slot)
			s->slot[n++] = s->slot[i];
	s->nslot = n;
}

/*
 * Reads the counts of the slots whose count is still 0: a count begins with 1.
 * The statement LOCK also locks the rows.
 */
static int
read_slots(struct store *s, enum statement n)
{
	struct store_slot	*slot;
	size_t			 i;
	int			 more;

	mysqldb_begin(s->db, n);
	for (i = 0; i < s->nslot; i++)
		if (s->slot[i].count == 0)
			mysqldb_bind(s->db, s->slot[i].slot);
	while ((more = mysqldb_next(s->db)) == 1) {
		slot = slot_find(s, (uint32_t)mysqldb_column(s->db, 0));
		if (slot != NULL)
			slot->count = mysqldb_column(s->db, 1);
	}
	if (more == -1)
		return -1;
	for (i = 0; i < s->nslot; i++)
		if (s->slot[i].count == 0)
			return store_no_lock(s);
	return 0;
}

/* Locks one row, with LOCK or LOCK_SHARED. */
static int
lock_one(struct store *s, enum statement n, int64_t slot, int64_t *count)
{
	int	more;

	*count = 0;
	mysqldb_begin(s->db, n);
	mysqldb_bind(s->db, slot);
	while ((more = mysqldb_next(s->db)) == 1)
		*count = mysqldb_column(s->db, 1);
	return more == 0 && *count == 0 ? store_no_lock(s) : more;
}

int
store_lock_ranges(struct store *s)
{
	int64_t	count;

	return lock_one(s, LOCK, STORE_RANGES_SLOT, &count);
}

int
store_lock_all(struct store *s)
{
	return lock_one(s, LOCK, STORE_ALL_SLOT, &s->base);
}

/*
 * Every daemon must compute the same row, so the key of the hash is no secret.
 */
uint32_t
store_slots_add(struct store *s, const char *id, size_t idlen)
{
	static const uint64_t	key[2] = { 0, 0 };
	uint32_t		slot;

	slot = (uint32_t)(map_siphash(key, id, idlen) % STORE_SLOTS);
	s->slot = alloc_room(s->slot, s->nslot, &s->slots, sizeof(s->slot[0]));
	s->slot[s->nslot++] = (struct store_slot){ .slot = slot };
	return slot;
}

int
store_lock(struct store *s)
{
	size_t	i;

	s->alone = s->ntouch > 0 && !s->cluster && writers_silent(&s->others);
	if (s->ntouch == 0)
		return 0;
	s->nslot = 0;
	for (i = 0; i < s->ntouch; i++)
		s->place[i] = store_slots_add(s, s->touch[i].id,
		    s->touch[i].idlen);
	sort_slots(s);
	if (s->alone) {
		/* Locks STORE_ALL_SLOT, and adds 1 to its count. */
		mysqldb_begin(s->db, RAISE_ALL);
		mysqldb_bind(s->db, STORE_ALL_SLOT);
		if (mysqldb_run(s->db) == -1)
			return -1;
		if (s->db->changes == 0)
			return store_no_lock(s);
		s->base = mysqldb_inserted(s->db, 0) - 1;
	} else if (lock_one(s, LOCK_SHARED, STORE_ALL_SLOT,
	    &s->base) == -1 || read_slots(s, LOCK) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++)
		s->place[i] = (uint32_t)(slot_find(s, s->place[i]) - s->slot);
	s->writes = s->db->writes;
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
		s->slot[i].count = s->known[s->slot[i].slot];
	if (read_slots(s, SLOTS) == -1)
		return -1;
	for (i = 0; i < s->nslot; i++)
		s->known[s->slot[i].slot] = s->slot[i].count;
	return 0;
}

int64_t
store_batch_of(const struct store *s, size_t touch)
{
	return s->base + s->slot[s->place[touch]].count;
}

bool
store_knows(const struct store *s, size_t touch)
{
	return s->touch[touch].cursor->newest >= s->quiet +
	    s->slot[s->place[touch]].count;
}

int
store_write_raised(struct store *s)
{
	size_t	i;

	mysqldb_begin(s->db, RAISE);
	for (i = 0; i < s->nslot; i++)
		if (s->slot[i].raised)
			mysqldb_bind(s->db, s->slot[i].slot);
	return mysqldb_run(s->db);
}

int
store_raise_slots(struct store *s)
{
	size_t	i;

	sort_slots(s);
	/* The next batch is disturbed. */
	s->left = -1;
	for (i = 0; i < s->nslot; i++)
		s->slot[i].raised = true;
	return store_write_raised(s);
}
