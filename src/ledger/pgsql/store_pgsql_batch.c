#include <stdlib.h>
#include <string.h>

#include "ledger/pgsql/pgsql.h"
#include "ledger/schema.h"
#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/str.h"

/*
 * Why limits are exact with any number of daemons on one database.
 *
 * A batch is one transaction. Its first statement takes an advisory lock for
 * each id, held until the end of the transaction. Every later statement has its
 * own snapshot (READ COMMITTED), taken after the locks. PostgreSQL releases
 * locks only once the commit is visible to others. So the daemon that holds the
 * lock of an id sees all rows recorded for it, and no other daemon adds one
 * before it commits: batches with the same id run one after the other. All
 * daemons take the locks in the order of their numbers, so they cannot
 * deadlock; ids that share a number only wait longer. One lock is taken before
 * all others, in share mode; a daemon that seems to be alone, or whose batch
 * has very many ids, takes that lock exclusively, and no lock of an id.
 *
 * Daemons take seq from a sequence under the lock of the id. So for one id the
 * order of seq is the order of commits: a newer row has a larger seq, and
 * reading on from the largest known seq neither misses a row nor reads one
 * twice. Rows of other programs have no seq until a daemon gives them one under
 * the lock of all ids (server/foreign.h). A first reading goes by date, in
 * pieces, each in one snapshot: the rows from the date where the last piece
 * stopped, and the rows before that date that were added meanwhile. Or it
 * begins with sums (server/sums.h), which were written under the lock together
 * with the seq that they include.
 *
 * New rows of an id are read only if others were given numbers since
 * (server/writers.h), which the sequence tells under the locks.
 *
 * A program that deletes or changes rows by hand takes no lock. A trigger adds
 * a row to mail_change in the same transaction, so that such transactions do
 * not wait for each other; the cache is dropped when the count has changed.
 *
 * An answer is sent after COMMIT is confirmed, and after the log is durable up
 * to there: see store_pgsql_flush.c. If the connection is lost before that, the
 * result is unknown: no answer is sent, and when the same instance comes again,
 * its charges are read from the table.
 */
#define LOCKS_MAX	256	/* a server has room for a few thousand */
#define STATE_MAX	64		/* schema.c */

/* --- locking --- */

static int
lock_order(const void *a, const void *b)
{
	uint64_t	x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/*
 * Every daemon must compute the same number, so the key of the hash is no
 * secret.
 */
static void
put_locks(struct store *s)
{
	static const uint64_t	key[2] = { 0, 0 };
	size_t			i;

	if (s->alone || s->ntouch > LOCKS_MAX) {
		pgsql_put(s->db, LOCK_ALL, NULL);
		return;
	}
	for (i = 0; i < s->ntouch; i++)
		s->lock[i] = map_siphash(key, s->touch[i].id,
		    s->touch[i].idlen);
	/* At the start there is no array yet. */
	if (s->ntouch > 0)
		qsort(s->lock, s->ntouch, sizeof(s->lock[0]), lock_order);
	store_empty(s, LOCKS, LOCKS);
	/* Number 0 stands for the lock that all batches share. */
	pgsql_array_number(&s->column[LOCKS], 0);
	for (i = 0; i < s->ntouch; i++)
		if (i == 0 || s->lock[i] != s->lock[i - 1])
			pgsql_array_number(&s->column[LOCKS],
			    (int64_t)s->lock[i]);
	store_put(s, LOCK, LOCKS, LOCKS);
}

/* --- a transaction --- */

enum store_result
store_begin(struct store *s, struct store_batch *batch,
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
	s->touch = batch->touch;
	s->ntouch = batch->ntouch;
	if (s->ntouch > s->room) {
		s->room = s->ntouch * 2;
		s->index = alloc_resize(s->index, s->room, sizeof(s->index[0]));
		s->lock = alloc_resize(s->lock, s->room, sizeof(s->lock[0]));
	}
	s->read_rows = false;
	s->alone = writers_silent(&s->others);
	store_empty(s, ROW_ID, HIT_LAST);
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	put_locks(s);
	pgsql_put(s->db, CHANGES, NULL);
	store_put_reads(s, batch);
	/* The first two results are those of BEGIN and of the locks. */
	if (pgsql_take(s->db) != -1 && pgsql_take(s->db) != -1 &&
	    store_take_reads(s, batch, reader) == 0 && pgsql_end(s->db) == 0) {
		store_keep_sums(s, reader);
		foreign_tell(&s->foreign, reader);
		return STORE_OK;
	}
	result = store_failed(s);
	/* Drop first readings that did not complete. */
	for (i = 0; s->read_rows && i < s->ntouch; i++)
		reader->again(reader->arg, i);
	return result;
}

/* --- writing --- */

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	int64_t	left = row->amount, part;

	s->touch[touch].cursor->rows++;
	do {
		part = sums_part(left, s->narrow);
		left -= part;
		pgsql_array_text(&s->column[ROW_ID], row->id, row->idlen);
		pgsql_array_number(&s->column[ROW_DATE], row->date);
		pgsql_array_number(&s->column[ROW_AMOUNT], part);
		if (row->instancelen > 0)
			pgsql_array_text(&s->column[ROW_INSTANCE],
			    row->instance, row->instancelen);
		else
			pgsql_array_text(&s->column[ROW_INSTANCE], "empty", 5);
		pgsql_array_text(&s->column[ROW_STATE], row->state,
		    str_utf8_cut(row->state, row->statelen, STATE_MAX));
		pgsql_array_number(&s->column[ROW_TAG], row->tag);
	} while (left != 0);
}

void
store_see(struct store *s, const struct store_value *v)
{
	pgsql_array_text(&s->column[SEE_ID], v->id, v->idlen);
	pgsql_array_text(&s->column[SEE_VALUE], v->value, v->valuelen);
	pgsql_array_number(&s->column[SEE_DATE], v->date);
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	pgsql_array_number(&s->column[LEARN_WHO], p->who);
	pgsql_array_number(&s->column[LEARN_KIND], p->kind);
	pgsql_array_number(&s->column[LEARN_WHAT], p->what);
	pgsql_array_number(&s->column[LEARN_SINCE], p->known.first);
	pgsql_array_number(&s->column[LEARN_SEEN], p->known.last);
}

void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	struct pgsql_array	*column = &s->column[HIT_ID + 2 * (int)kind];

	pgsql_array_text(&column[0], id, idlen);
	pgsql_array_number(&column[1], seconds);
}

/*
 * Hits are written after the counts are committed, by themselves: a fault of
 * that table undoes no verdict.
 */
static void
write_hits(struct store *s, enum hit_kind kind)
{
	enum column	first = HIT_ID + 2 * (int)kind;

	if (s->spoilt || s->column[first].count == 0)
		return;
	pgsql_begin(s->db);
	store_put(s, HIT + (int)kind, first, first + 1);
	if (pgsql_end(s->db) == 0)
		return;
	s->spoilt = store_result(s) == STORE_LOST;
	if (!s->spoilt)
		schema_hit_failed(s->hit_failed, kind, s->error);
}

/*
 * The batch's rows, if it has any, are committed; `seq` is the number of the
 * last one, else 0.
 */
static void
own_rows(struct store *s, int64_t seq)
{
	struct store_cursor	*c;
	size_t			 i;

	if (s->column[ROW_ID].count > 0)
		writers_own(&s->others, seq, s->column[ROW_ID].count);
	/* Under the lock no other daemon added rows. */
	for (i = 0; i < s->ntouch; i++) {
		c = s->touch[i].cursor;
		if (c->loaded && c->newest < seq)
			c->newest = seq;
	}
}

enum store_result
store_commit(struct store *s, bool *later)
{
	enum hit_kind	kind;
	int64_t		seq = 0;
	bool		good;

	foreign_give_back(&s->foreign);
	*later = *later && s->flusher != NULL && s->column[ROW_ID].count > 0;
	pgsql_begin(s->db);
	if (s->column[ROW_ID].count > 0) {
		store_put(s, APPEND, ROW_ID, ROW_TAG);
		pgsql_put(s->db, *later ? AHEAD : APPENDED, NULL);
	}
	if (s->column[SEE_ID].count > 0)
		store_put(s, SEE, SEE_ID, SEE_DATE);
	if (s->column[LEARN_WHO].count > 0)
		store_put(s, LEARN_ALL, LEARN_WHO, LEARN_SEEN);
	if (s->column[SUMS_ID].count > 0) {
		store_put(s, SUMS_GONE, SUMS_ID, SUMS_ID);
		store_put(s, SUMS_NEW, SUMS_ID, SUMS_COUNTS);
	}
	/*
	 * The previous ledger's last commits may not be durable yet, and are
	 * answered by this one.
	 */
	if (!*later && s->flusher != NULL &&
	    !clock_passed(s->young, clock_mono()))
		pgsql_put(s->db, FLUSH, NULL);
	pgsql_put(s->db, DO_COMMIT, NULL);
	good = s->column[ROW_ID].count == 0 || (pgsql_take(s->db) == 0 &&
	    pgsql_take(s->db) == 1);
	if (good && s->column[ROW_ID].count > 0)
		seq = pgsql_column(s->db, 0, 0);
	if (good && pgsql_end(s->db) == 0) {
		own_rows(s, seq);
		if (s->column[SUMS_ID].count > 0)
			s->touch[s->sums].cursor->rows = 0;
		for (kind = 0; kind < HIT_KIND__MAX; kind++)
			write_hits(s, kind);
		/* Does not wait from here on: nothing is answered yet. */
		if (*later)
			return store_flush_begin(s);
		/* An answer may depend on what the last batch recorded. */
		return s->unflushed ? store_flush(s, true) : STORE_OK;
	}
	/* If the sums are what failed, go on without them. */
	s->sumless = s->column[SUMS_ID].count > 0;
	return store_failed(s);
}
