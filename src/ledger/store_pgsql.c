#include <stdlib.h>
#include <string.h>

#include "ledger/pgsql.h"
#include "ledger/store_pgsql.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/map.h"

/*
 * Why this is exact with any number of daemons on one database.
 *
 * A batch is one transaction. Its first statement takes an advisory lock for
 * each id, which is held until the transaction's end, and every later statement
 * has a snapshot of its own (READ COMMITTED), taken when the locks are held.
 * PostgreSQL gives locks back after a commit can be seen by others. So whoever
 * holds the lock of an id sees all that was recorded for it, and nobody adds to
 * it before he has committed: for one id, batches follow each other, each with
 * all that those before it wrote. Locks are taken in the order of their
 * numbers, by all, so that nobody waits in a circle; ids that share a number
 * only wait longer.
 *
 * seq is taken from a sequence under the lock of the id, so the order of seq
 * is, for this id, the order of commits: what is newer than the newest known
 * row has a larger seq, and reading from there on misses nothing and sees
 * nothing twice. A first reading goes by date, in pieces, all of one piece in
 * one snapshot: rows from where the last one stopped, and those that came in
 * meanwhile for the time before that.
 *
 * Who deletes or changes rows by hand takes no lock. A trigger counts that in
 * the same transaction, and what is cached is dropped when the count is not
 * what it was.
 *
 * An answer is sent after COMMIT was confirmed. Where the connection is lost
 * before that, nobody knows whether the rows are there: no answer is sent, and
 * when the same instance comes again, what it was charged is read from the
 * table.
 */
#define LOCKS_MAX	256	/* a server has room for a few thousand */
#define NEWS_MAX	10000	/* rows of one id; more are read by seconds */
#define FIRST_MIN	1000
#define STATE_MAX	64		/* schema.c */
#define LOG_SECONDS	60

/* --- faults --- */

enum store_result
store_result(struct store *s)
{
	(void)strlcpy(s->error, pgsql_error(s->db), sizeof(s->error));
	switch (pgsql_fault(s->db)) {
	case PGSQL_FAULT_BUSY:
		return STORE_BUSY;
	case PGSQL_FAULT_LOST:
		return STORE_LOST;
	default:
		return STORE_FAILED;
	}
}

static void
store_put(struct store *s, enum statement n, enum column first,
    enum column last)
{
	struct pgsql_params	p = { .count = 0 };
	enum column		c;

	for (c = first; c <= last; c++)
		pgsql_add_array(&p, &s->column[c]);
	pgsql_put(s->db, n, &p);
}

static void
store_empty(struct store *s, enum column first, enum column last)
{
	enum column	c;

	for (c = first; c <= last; c++)
		pgsql_array_empty(&s->column[c]);
}

void
store_rollback(struct store *s)
{
	if (pgsql_fault(s->db) == PGSQL_FAULT_LOST)
		return;
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_ROLLBACK, NULL);
	(void)pgsql_end(s->db);
}

enum store_result
store_failed(struct store *s)
{
	enum store_result	result;

	(void)pgsql_end(s->db);
	result = store_result(s);
	store_rollback(s);
	return pgsql_fault(s->db) == PGSQL_FAULT_LOST ? STORE_LOST : result;
}

/* --- locking --- */

static int
store_lock_order(const void *a, const void *b)
{
	uint64_t	x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/*
 * Every daemon must come to the same number, so the key of the hash is no
 * secret.
 */
static void
store_put_locks(struct store *s)
{
	static const uint64_t	key[2] = { 0, 0 };
	size_t			i;

	if (s->ntouch > LOCKS_MAX) {
		pgsql_put(s->db, LOCK_ALL, NULL);
		return;
	}
	pgsql_put(s->db, LOCK_SHARED, NULL);
	for (i = 0; i < s->ntouch; i++)
		s->lock[i] = map_siphash(key, s->touch[i].id,
		    s->touch[i].idlen);
	qsort(s->lock, s->ntouch, sizeof(s->lock[0]), store_lock_order);
	store_empty(s, LOCKS, LOCKS);
	for (i = 0; i < s->ntouch; i++)
		if (i == 0 || s->lock[i] != s->lock[i - 1])
			pgsql_array_number(&s->column[LOCKS],
			    (int64_t)s->lock[i]);
	store_put(s, LOCK, LOCKS, LOCKS);
}

/* --- reading --- */

static void
store_put_news(struct store *s)
{
	struct pgsql_params		 p = { .count = 0 };
	const struct store_touch	*t;
	size_t				 i;

	s->nnews = 0;
	store_empty(s, NEWS_ID, NEWS_SEEN);
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		if (!t->cursor->loaded)
			continue;
		s->index[s->nnews++] = i;
		pgsql_array_text(&s->column[NEWS_ID], t->id, t->idlen);
		pgsql_array_number(&s->column[NEWS_SEEN], t->cursor->seen);
	}
	if (s->nnews == 0)
		return;
	pgsql_add_array(&p, &s->column[NEWS_ID]);
	pgsql_add_array(&p, &s->column[NEWS_SEEN]);
	pgsql_add_number(&p, NEWS_MAX);
	pgsql_put(s->db, NEWS, &p);
}

static void
store_put_first(struct store *s, size_t budget)
{
	struct pgsql_params		 p = { .count = 0 };
	const struct store_touch	*t;
	const struct store_cursor	*c;
	size_t				 i, n = s->nnews;
	enum column			 column;

	store_empty(s, FIRST_ID, FIRST_BASE);
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		c = t->cursor;
		if (c->loaded)
			continue;
		s->index[n++] = i;
		pgsql_array_text(&s->column[FIRST_ID], t->id, t->idlen);
		pgsql_array_number(&s->column[FIRST_SINCE], t->since);
		pgsql_array_number(&s->column[FIRST_POSITION],
		    c->position != 0 ? c->position : t->since);
		pgsql_array_number(&s->column[FIRST_BASE],
		    c->position != 0 ? c->base : INT64_MAX);
	}
	if (n == s->nnews)
		return;
	for (column = FIRST_ID; column <= FIRST_BASE; column++)
		pgsql_add_array(&p, &s->column[column]);
	budget /= n - s->nnews;
	pgsql_add_number(&p, budget < FIRST_MIN ? FIRST_MIN : (int64_t)budget);
	pgsql_put(s->db, FIRST, &p);
}

static void
store_put_values(struct store *s, const struct store_batch *batch)
{
	const struct store_value	*v;
	size_t				 i;

	if (batch->nvalue == 0)
		return;
	store_empty(s, VALUE_ID, VALUE_VALUE);
	for (i = 0; i < batch->nvalue; i++) {
		v = &batch->value[i];
		pgsql_array_text(&s->column[VALUE_ID], v->id, v->idlen);
		pgsql_array_text(&s->column[VALUE_VALUE], v->value,
		    v->valuelen);
	}
	store_put(s, VALUE, VALUE_ID, VALUE_VALUE);
}

/* A row of touch `t` whose columns begin with its date. */
static void
store_row(const struct store *s, const struct store_touch *t, int row,
    int column,
    struct store_row *out)
{
	memset(out, 0, sizeof(*out));
	out->id = t->id;
	out->idlen = t->idlen;
	out->date = pgsql_column(s->db, row, column);
	out->amount = pgsql_column(s->db, row, column + 1);
	out->instance = pgsql_column_text(s->db, row, column + 2,
	    &out->instancelen);
	if (out->instance == NULL || (out->instancelen == 5 &&
	    memcmp(out->instance, "empty", 5) == 0)) {
		out->instance = "";
		out->instancelen = 0;
	}
	out->tag = pgsql_column(s->db, row, column + 3);
	out->state = "";
}

/* The touch that a row of news or a first reading belongs to; -1: none. */
static int
store_row_of(const struct store *s, int row, size_t first, size_t end,
    size_t *index)
{
	int64_t	n = pgsql_column(s->db, row, 0);

	if (n < 1 || (uint64_t)n > end - first)
		return -1;
	*index = s->index[first + (size_t)n - 1];
	return 0;
}

/* The rows of one id stand together. One that has too many is read anew. */
static int
store_take_news(struct store *s, const struct store_reader *reader)
{
	struct store_row	 row;
	struct store_touch	*t;
	size_t			 index;
	int			 rows, i, j, n;

	if (s->nnews == 0)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0; i < rows; i += n) {
		if (store_row_of(s, i, 0, s->nnews, &index) == -1)
			return -1;
		t = &s->touch[index];
		for (n = 1; i + n < rows && pgsql_column(s->db, i + n, 0) ==
		    pgsql_column(s->db, i, 0); n++)
			;
		if (n >= NEWS_MAX) {
			reader->again(reader->arg, index);
			continue;
		}
		s->told = true;
		for (j = i; j < i + n; j++) {
			store_row(s, t, j, 1, &row);
			reader->news(reader->arg, &row);
		}
		t->cursor->seen = pgsql_column(s->db, i + n - 1, 5);
	}
	return 0;
}

static int
store_take_first(struct store *s, const struct store_reader *reader,
    size_t nfirst)
{
	struct store_row	 row;
	struct store_cursor	*c;
	const char		*control;
	size_t			 index, len;
	int			 rows, i;

	if (nfirst == 0)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	s->told = true;
	for (i = 0; i < rows; i++) {
		if (store_row_of(s, i, s->nnews, s->nnews + nfirst,
		    &index) == -1)
			return -1;
		store_row(s, &s->touch[index], i, 2, &row);
		control = pgsql_column_text(s->db, i, 1, &len);
		if (control != NULL && control[0] == 't') {
			c = s->touch[index].cursor;
			c->loaded = row.date == INT64_MAX;
			c->position = c->loaded ? 0 : row.date + 1;
			c->seen = c->base = row.amount;
		} else
			reader->first(reader->arg, index, &row);
	}
	return 0;
}

static int
store_take_values(struct store *s, struct store_batch *batch)
{
	int64_t	n;
	size_t	j;
	int	rows, i;

	for (j = 0; j < batch->nvalue; j++)
		batch->value[j].date = -1;
	if (batch->nvalue == 0)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0; i < rows; i++) {
		n = pgsql_column(s->db, i, 0);
		if (n >= 1 && (uint64_t)n <= batch->nvalue)
			batch->value[n - 1].date = pgsql_column(s->db, i, 1);
	}
	return 0;
}

static void
store_put_reads(struct store *s, const struct store_batch *batch)
{
	store_put_news(s);
	store_put_first(s, batch->budget);
	store_put_values(s, batch);
}

/*
 * The changes that somebody made: what is cached is void, and all ids of this
 * batch are read from their beginning, in a round trip of its own.
 */
static int
store_take_changes(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	int64_t	changes;
	int	rows;

	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	changes = rows > 0 ? pgsql_column(s->db, 0, 0) : 0;
	if (changes == s->changes)
		return 0;
	if (s->changes != -1) {
		if (pgsql_end(s->db) == -1)
			return -1;
		reader->changed(reader->arg);
		pgsql_begin(s->db);
		store_put_reads(s, batch);
	}
	s->changes = changes;
	return 0;
}

static int
store_read(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	int	locks = s->ntouch > LOCKS_MAX ? 1 : 2, i;

	for (i = 0; i < 1 + locks; i++)
		if (pgsql_take(s->db) == -1)
			return -1;
	if (store_take_changes(s, batch, reader) == -1 ||
	    store_take_news(s, reader) == -1 ||
	    store_take_first(s, reader, s->ntouch - s->nnews) == -1 ||
	    store_take_values(s, batch) == -1)
		return -1;
	return pgsql_end(s->db);
}

enum store_result
store_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	size_t			i;

	if (s->spoilt)
		return STORE_LOST;
	s->touch = batch->touch;
	s->ntouch = batch->ntouch;
	if (s->ntouch > s->room) {
		s->room = s->ntouch * 2;
		s->index = alloc_resize(s->index, s->room, sizeof(s->index[0]));
		s->lock = alloc_resize(s->lock, s->room, sizeof(s->lock[0]));
	}
	s->told = false;
	store_empty(s, ROW_ID, HIT_DELTA);
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	store_put_locks(s);
	pgsql_put(s->db, CHANGES, NULL);
	store_put_reads(s, batch);
	if (store_read(s, batch, reader) == 0)
		return STORE_OK;
	result = store_failed(s);
	/* What was told of a reading that did not come to its end is void. */
	for (i = 0; s->told && i < s->ntouch; i++)
		reader->again(reader->arg, i);
	return result;
}

/* --- writing --- */

/* Cut to `max` bytes, never within a character. */
static size_t
store_cut(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	(void)touch;
	pgsql_array_text(&s->column[ROW_ID], row->id, row->idlen);
	pgsql_array_number(&s->column[ROW_DATE], row->date);
	pgsql_array_number(&s->column[ROW_AMOUNT], row->amount);
	if (row->instancelen > 0)
		pgsql_array_text(&s->column[ROW_INSTANCE], row->instance,
		    row->instancelen);
	else
		pgsql_array_text(&s->column[ROW_INSTANCE], "empty", 5);
	pgsql_array_text(&s->column[ROW_STATE], row->state,
	    store_cut(row->state, row->statelen, STATE_MAX));
	pgsql_array_number(&s->column[ROW_TAG], row->tag);
}

void
store_see(struct store *s, const struct store_value *v)
{
	pgsql_array_text(&s->column[SEE_ID], v->id, v->idlen);
	pgsql_array_text(&s->column[SEE_VALUE], v->value, v->valuelen);
	pgsql_array_number(&s->column[SEE_DATE], v->date);
}

void
store_hit(struct store *s, const char *id, size_t idlen, int64_t seconds)
{
	pgsql_array_text(&s->column[HIT_ID], id, idlen);
	pgsql_array_number(&s->column[HIT_DELTA], seconds);
}

/*
 * Nobody else has added to a locked id: what is known goes up to our last row.
 */
static void
store_move_cursors(struct store *s, int64_t seq)
{
	size_t	i;

	for (i = 0; i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded &&
		    s->touch[i].cursor->seen < seq)
			s->touch[i].cursor->seen = seq;
}

/*
 * Hits are written when the counts are, on their own: whatever is wrong with
 * that table takes no verdict back.
 */
static void
store_write_hits(struct store *s)
{
	static struct log_limit	told;
	unsigned int		held;

	if (s->column[HIT_ID].count == 0)
		return;
	pgsql_begin(s->db);
	store_put(s, HIT, HIT_ID, HIT_DELTA);
	if (pgsql_end(s->db) == 0)
		return;
	s->spoilt = store_result(s) == STORE_LOST;
	if (!s->spoilt && log_allowed(&told, LOG_SECONDS, &held))
		log_warning("limit_report: %s", s->error);
}

enum store_result
store_commit(struct store *s)
{
	enum store_result	result;
	int64_t			seq = 0;
	bool			good;

	pgsql_begin(s->db);
	if (s->column[ROW_ID].count > 0)
		store_put(s, APPEND, ROW_ID, ROW_TAG);
	if (s->column[SEE_ID].count > 0)
		store_put(s, SEE, SEE_ID, SEE_DATE);
	pgsql_put(s->db, DO_COMMIT, NULL);
	good = s->column[ROW_ID].count == 0 || pgsql_take(s->db) == 1;
	if (good && s->column[ROW_ID].count > 0)
		seq = pgsql_column(s->db, 0, 0);
	if (good && pgsql_end(s->db) == 0) {
		store_move_cursors(s, seq);
		store_write_hits(s);
		return STORE_OK;
	}
	result = store_failed(s);
	return result == STORE_BUSY ? STORE_FAILED : result;
}
