#include <stdlib.h>
#include <string.h>

#include "ledger/schema.h"
#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/str.h"

/*
 * Why limits are exact with any number of daemons on one database.
 *
 * A batch is one transaction. Its first statement locks one of 65536 rows of
 * mail_lock for each id, found by a hash, until the end of the transaction.
 * Every later statement sees what was committed when it began (READ COMMITTED),
 * which is after the locks were taken. InnoDB releases locks only once the
 * commit is visible to others. So the daemon that holds the lock of an id sees
 * all rows recorded for it, and no other daemon adds one before it commits:
 * batches with the same id run one after the other. All daemons lock the rows
 * in primary key order, so they cannot deadlock; ids that share a row only wait
 * longer. One more row is locked before statements that lock ranges of an
 * index (store_lock_ranges). One row is locked before all others, by every
 * batch in share mode; a daemon that seems to be alone locks that row
 * exclusively, and no row of an id.
 *
 * A locked row also counts the batches that wrote rows (store_mysql_lock.c):
 * each row gets the number of its batch, and for one id the order of numbers is
 * the order of commits. Reading on from the largest known number neither misses
 * a row nor reads one twice, and an id whose number has not changed has no new
 * rows. On a Galera cluster the count makes two nodes' batches with the same id
 * conflict: the loser is rolled back, at its COMMIT too, and decides again.
 *
 * Rows of other programs (`own` is 0) are read separately, until a daemon gives
 * them a number under the locks of their ids (server/foreign.h). A first
 * reading goes by date, in pieces; rows that were added meanwhile before the
 * date of a piece are read with that piece. Or it begins with sums
 * (server/sums.h), which were written under the lock together with the number
 * that they include. It may take several statements: under the lock all of them
 * see the same rows.
 *
 * A program that deletes or changes rows by hand takes no lock. Triggers count
 * its changes in the same transaction, in one row of mail_change for each
 * session, so that such transactions do not wait for each other. The cache is
 * dropped when the count has changed, or when the newest row is older than one
 * that was seen (TRUNCATE). Where the server does not permit triggers, an id is
 * read again after ten seconds.
 *
 * An answer is sent after COMMIT is confirmed. If the connection is lost before
 * that, the result is unknown: no answer is sent, and when the same instance
 * comes again, its charges are read from the table.
 */
#define STATE_MAX	64		/* schema.c */

/* --- faults --- */

void
store_rollback(struct store *s)
{
	foreign_give_back(&s->foreign);
	if (mysqldb_fault(s->db) != MYSQLDB_FAULT_LOST)
		(void)mysqldb_rollback(s->db);
}

/* --- the ids of a batch --- */

/* the array that qsort(3) sorts */
static struct store_touch	*sorted;

static int
touch_order(const void *a, const void *b)
{
	const struct store_touch	*x = &sorted[*(const size_t *)a];
	const struct store_touch	*y = &sorted[*(const size_t *)b];

	return store_compare(x->id, x->idlen, y->id, y->idlen);
}

/* --- a transaction --- */

static enum store_result
try_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	size_t			i;

	if (s->spoilt)
		return STORE_LOST;
	if (store_take_in(s, false) == STORE_LOST)
		return STORE_LOST;
	if (batch->forgotten)
		reader->changed(reader->arg);
	store_yield(s);
	s->batch = batch;
	s->touch = sorted = batch->touch;
	s->ntouch = batch->ntouch;
	s->nrow = s->nsee = s->npair = s->nhit = 0;
	s->read_rows = false;
	if (s->ntouch > s->room) {
		s->room = s->ntouch * 2;
		s->order = alloc_resize(s->order, s->room, sizeof(s->order[0]));
		s->place = alloc_resize(s->place, s->room, sizeof(s->place[0]));
		s->end = alloc_resize(s->end, s->room, sizeof(s->end[0]));
	}
	for (i = 0; i < s->ntouch; i++)
		s->order[i] = i;
	/* At the start there is no array yet. */
	if (s->ntouch > 0)
		qsort(s->order, s->ntouch, sizeof(s->order[0]), touch_order);
	if (store_lock(s) == 0 && store_read_changes(s, reader) == 0 &&
	    store_read_numbers(s) == 0 &&
	    store_read_news(s, reader) == 0 &&
	    store_read_kept(s, reader) == 0 &&
	    store_read_first(s, reader) == 0 &&
	    store_read_values(s) == 0 &&
	    store_read_pairs(s) == 0 &&
	    store_keep_sums(s, reader) == 0 &&
	    store_read_foreign(s, reader) == 0) {
		foreign_tell(&s->foreign, reader);
		return STORE_OK;
	}
	result = store_failed(s);
	/* Drop first readings that did not complete. */
	for (i = 0; s->read_rows && i < s->ntouch; i++)
		reader->again(reader->arg, i);
	return result;
}

enum store_result
store_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;

	do {
		(void)mysqldb_prepared_inside(s->db);
		result = try_begin(s, batch, reader);
	} while (result == STORE_BUSY && mysqldb_prepared_inside(s->db));
	return result;
}

/* --- writing --- */

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	struct store_append	*a;
	int64_t			 left = row->amount;

	s->touch[touch].cursor->rows++;
	store_raise(s, touch);
	do {
		s->row = alloc_room(s->row, s->nrow, &s->rows,
		    sizeof(s->row[0]));
		a = &s->row[s->nrow++];
		a->row = *row;
		a->row.amount = sums_part(left, s->narrow);
		a->batch = store_batch_of(s, touch) + 1;
		left -= a->row.amount;
	} while (left != 0);
}

void
store_see(struct store *s, const struct store_value *v)
{
	s->see = alloc_room(s->see, s->nsee, &s->sees, sizeof(s->see[0]));
	s->see[s->nsee++] = *v;
}

void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	s->hit = alloc_room(s->hit, s->nhit, &s->hits, sizeof(s->hit[0]));
	s->hit[s->nhit++] = (struct store_count){ kind, id, idlen, seconds };
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	s->pair = alloc_room(s->pair, s->npair, &s->pairs, sizeof(s->pair[0]));
	s->pair[s->npair++] = *p;
}

static int
write_rows(struct store *s)
{
	const struct store_row	*row;
	size_t			 i;

	mysqldb_begin(s->db, APPEND);
	for (i = 0; i < s->nrow; i++) {
		row = &s->row[i].row;
		mysqldb_bind_text(s->db, row->id, row->idlen);
		mysqldb_bind(s->db, row->date);
		mysqldb_bind(s->db, row->amount);
		if (row->instancelen > 0)
			mysqldb_bind_text(s->db, row->instance,
			    row->instancelen);
		else
			mysqldb_bind_text(s->db, "empty", 5);
		mysqldb_bind(s->db, row->tag);
		mysqldb_bind_text(s->db, row->state,
		    str_utf8_cut(row->state, row->statelen, STATE_MAX));
		mysqldb_bind(s->db, s->row[i].batch);
	}
	return mysqldb_run(s->db);
}

/* Values and pairs. */
static int
write_seen(struct store *s)
{
	const struct store_value	*v;
	const struct store_pair		*p;
	size_t				 i;

	mysqldb_begin(s->db, SEE);
	for (i = 0; i < s->nsee; i++) {
		v = &s->see[i];
		mysqldb_bind_text(s->db, v->id, v->idlen);
		mysqldb_bind_text(s->db, v->value, v->valuelen);
		mysqldb_bind(s->db, v->date);
	}
	if (mysqldb_run(s->db) == -1)
		return -1;
	mysqldb_begin(s->db, LEARN);
	for (i = 0; i < s->npair; i++) {
		p = &s->pair[i];
		mysqldb_bind(s->db, p->who);
		mysqldb_bind(s->db, p->kind);
		mysqldb_bind(s->db, p->what);
		mysqldb_bind(s->db, p->known.first);
		mysqldb_bind(s->db, p->known.last);
	}
	return mysqldb_run(s->db);
}

/*
 * A fault of that table undoes no verdict: a statement that fails leaves the
 * transaction as it was, unless a deadlock has ended it.
 */
static int
write_hits(struct store *s, enum hit_kind kind)
{
	size_t	i;

	if (s->spoilt)
		return 0;
	mysqldb_begin(s->db, HIT + (size_t)kind);
	for (i = 0; i < s->nhit; i++) {
		if (s->hit[i].kind != kind)
			continue;
		mysqldb_bind_text(s->db, s->hit[i].id, s->hit[i].idlen);
		mysqldb_bind(s->db, s->hit[i].seconds);
	}
	if (mysqldb_run(s->db) == 0)
		return 0;
	switch (store_result(s)) {
	case STORE_BUSY:
		return -1;
	case STORE_LOST:
		s->spoilt = true;
		return 0;
	default:
		schema_hit_failed(s->hit_failed, kind, s->error);
		return 0;
	}
}

/*
 * Whether the transaction has nothing to write but rows of mail_count: it has
 * only raised the count of STORE_ALL_SLOT.
 */
static bool
only_rows(const struct store *s)
{
	return s->alone && mysqldb_writes(s->db) == s->writes &&
	    s->nsee == 0 && s->npair == 0 && s->nhit == 0;
}

/* An answer may depend on what the last batch recorded. */
static enum store_result
settled(struct store *s, enum store_result result)
{
	return result == STORE_OK && s->unflushed ? store_flush(s, true) :
	    result;
}

enum store_result
store_commit(struct store *s, bool *later)
{
	enum store_result	result;
	enum hit_kind		kind;
	int64_t			seq = 0;
	size_t			i;
	bool			good;

	foreign_give_back(&s->foreign);
	/* Other writes must be visible to what is read outside of a batch. */
	*later = *later && s->other != NULL && s->nrow > 0 &&
	    only_rows(s);
	/* A commit would wait for the disk. */
	if (s->nrow == 0 && only_rows(s))
		return settled(s, mysqldb_rollback(s->db) == 0 ?
		    STORE_OK : store_failed(s));
	good = s->nrow == 0 || (store_write_raised(s) == 0 &&
	    write_rows(s) == 0);
	/*
	 * Exact while auto_increment_increment (`step`) does not change: the
	 * rows of one statement get numbers that are `step` apart.
	 */
	if (good && s->nrow > 0)
		seq = mysqldb_inserted(s->db, s->step);
	if (good && (s->nsee > 0 || s->npair > 0 || s->nhit > 0))
		good = store_lock_ranges(s) == 0 && write_seen(s) == 0;
	for (kind = 0; kind < HIT_KIND__MAX && good; kind++)
		good = write_hits(s, kind) == 0;
	*later = *later && good;
	if (!*later)
		result = store_end(s, good);
	else
		result = mysqldb_commit_begin(s->db) == 0 ? STORE_OK :
		    store_failed(s);
	if (result != STORE_OK)
		return result;
	if (s->alone)
		s->left = s->base + 1;
	if (s->nrow > 0) {
		writers_own(&s->others, seq, (int64_t)s->nrow * s->step);
		/* Under the lock no other daemon added rows. */
		for (i = 0; i < s->ntouch; i++)
			if (s->touch[i].cursor->loaded)
				s->touch[i].cursor->newest =
				    store_batch_of(s, i) + (s->alone ||
				    s->slot[s->place[i]].raised);
		store_won(s);
	}
	return *later ? store_flush_begin(s) : settled(s, STORE_OK);
}
