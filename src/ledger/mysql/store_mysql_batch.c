#include <poll.h>
#include <stdlib.h>

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

/*
 * When daemons on different nodes of a cluster compete for an id, the quickest
 * would win each time, and the others would miss the deadlines of their
 * requests. So a daemon that has won waits for about as long as its batch took.
 * The others run their batches meanwhile.
 */
#define YIELD_MS	100		/* at most */

/* --- a transaction --- */

static enum store_result
try_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	int64_t			most;
	size_t			i;

	if (s->spoilt)
		return STORE_LOST;
	if (store_take_in(s, false) == STORE_LOST)
		return STORE_LOST;
	if (batch->forgotten)
		reader->changed(reader->arg);
	if (s->took > 0 && !clock_passed(s->rivals, clock_mono())) {
		most = s->took * 3 < YIELD_MS ? s->took * 3 : YIELD_MS;
		(void)poll(NULL, 0, (int)arc4random_uniform((uint32_t)most +
		    1));
	}
	s->took = 0;
	s->begun = clock_mono();
	s->batch = batch;
	s->touch = batch->touch;
	s->ntouch = batch->ntouch;
	for (i = 0; i < QUEUE_COPY; i++)
		s->queue[i].count = 0;
	s->nrow = 0;
	s->read_rows = false;
	if (s->ntouch > s->room) {
		s->room = s->ntouch * 2;
		s->order = alloc_resize(s->order, s->room, sizeof(s->order[0]));
		s->place = alloc_resize(s->place, s->room, sizeof(s->place[0]));
		s->upto = alloc_resize(s->upto, s->room, sizeof(s->upto[0]));
	}
	store_sort(s);
	if (store_lock(s) == 0 && store_read_changes(s, reader) == 0 &&
	    store_read_numbers(s) == 0 &&
	    store_read_rows(s, reader) == 0 &&
	    store_read_seen(s) == 0 &&
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
		s->db->inside = false;
		result = try_begin(s, batch, reader);
	} while (result == STORE_BUSY && s->db->inside);
	return result;
}

/* --- writing --- */

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	struct mysqldb_params	*q = &s->queue[QUEUE_ROWS];
	int64_t			 left = row->amount, part;

	s->touch[touch].cursor->rows++;
	s->slot[s->place[touch]].raised = true;
	do {
		part = sums_part(left, s->narrow);
		left -= part;
		mysqldb_add_text(q, row->id, row->idlen);
		mysqldb_add(q, row->date);
		mysqldb_add(q, part);
		if (row->instancelen > 0)
			mysqldb_add_text(q, row->instance, row->instancelen);
		else
			mysqldb_add_text(q, "empty", 5);
		mysqldb_add(q, row->tag);
		mysqldb_add_text(q, row->state,
		    str_utf8_cut(row->state, row->statelen, STATE_MAX));
		mysqldb_add(q, store_batch_of(s, touch) + 1);
		s->nrow++;
	} while (left != 0);
}

void
store_see(struct store *s, const struct store_value *v)
{
	struct mysqldb_params	*q = &s->queue[QUEUE_VALUES];

	mysqldb_add_text(q, v->id, v->idlen);
	mysqldb_add_text(q, v->value, v->valuelen);
	mysqldb_add(q, v->date);
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	struct mysqldb_params	*q = &s->queue[QUEUE_PAIRS];

	mysqldb_add(q, p->who);
	mysqldb_add(q, p->kind);
	mysqldb_add(q, p->what);
	mysqldb_add(q, p->known.first);
	mysqldb_add(q, p->known.last);
}

void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	struct mysqldb_params	*q = &s->queue[QUEUE_HITS + (int)kind];

	mysqldb_add_text(q, id, idlen);
	mysqldb_add(q, seconds);
}

/*
 * A fault of that table undoes no verdict: a statement that fails leaves the
 * transaction as it was, unless a deadlock has ended it.
 */
static int
write_hits(struct store *s, enum hit_kind kind)
{
	if (s->spoilt || mysqldb_run_with(s->db, HIT + (size_t)kind,
	    &s->queue[QUEUE_HITS + (int)kind]) == 0)
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

/* The batch's rows are committed; `seq` is the number of the last one. */
static void
own_rows(struct store *s, int64_t seq)
{
	size_t	i;

	writers_own(&s->others, seq, (int64_t)s->nrow * s->step);
	/* Under the lock no other daemon added rows. */
	for (i = 0; i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded)
			s->touch[i].cursor->newest = store_batch_of(s, i) +
			    (s->alone || s->slot[s->place[i]].raised);
	if (s->cluster)
		s->took = (clock_mono().ns - s->begun.ns) / 1000000 + 1;
}

enum store_result
store_commit(struct store *s, bool *later)
{
	enum store_result	result;
	enum hit_kind		kind;
	int64_t			seq = 0;
	size_t			i;
	bool			good = true, more = false, only_rows, empty;

	foreign_give_back(&s->foreign);
	for (i = QUEUE_VALUES; i < QUEUE_COPY; i++)
		more = more || s->queue[i].count > 0;
	/* Beside the count of STORE_ALL_SLOT, which is raised already. */
	only_rows = s->alone && !more && s->db->writes == s->writes;
	empty = only_rows && s->nrow == 0;
	/* Other writes must be visible to what is read outside of a batch. */
	*later = *later && s->other != NULL && s->nrow > 0 && only_rows;
	if (s->nrow > 0) {
		good = (s->alone || store_write_raised(s) == 0) &&
		    mysqldb_run_with(s->db, APPEND, &s->queue[QUEUE_ROWS]) == 0;
		/*
		 * Exact while auto_increment_increment (`step`) does not
		 * change: the rows of one statement get numbers that are `step`
		 * apart.
		 */
		if (good)
			seq = mysqldb_inserted(s->db, s->step);
	}
	if (good && more)
		good = store_lock_ranges(s) == 0 && mysqldb_run_with(s->db, SEE,
		    &s->queue[QUEUE_VALUES]) == 0 && mysqldb_run_with(s->db,
		    LEARN, &s->queue[QUEUE_PAIRS]) == 0;
	for (kind = 0; kind < HIT_KIND__MAX && good; kind++)
		good = write_hits(s, kind) == 0;
	*later = *later && good;
	/* If there is nothing to write, a commit would wait for the disk. */
	if (*later || empty)
		result = (*later ? mysqldb_commit_begin(s->db) :
		    mysqldb_rollback(s->db)) == 0 ? STORE_OK : store_failed(s);
	else
		result = store_end(s, good);
	if (result != STORE_OK)
		return result;
	if (s->alone && !empty)
		s->left = s->base + 1;
	if (s->nrow > 0)
		own_rows(s, seq);
	if (*later)
		return store_flush_begin(s);
	/* An answer may depend on what the last batch recorded. */
	return s->unflushed ? store_flush(s, true) : STORE_OK;
}
