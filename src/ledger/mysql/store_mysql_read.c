#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/clock.h"

#define NEWS_MAX	20000		/* the LIMIT of NEWS */
#define BLIND_NS	INT64_C(10000000000)

static bool
store_reads(const struct store *s, size_t i, enum sums_reading r)
{
	return sums_reading(s->touch[i].cursor) == r;
}

static void
store_row_read(struct store *s, size_t index)
{
	s->read_rows = true;
	if (s->touch[index].cursor->rows < sums_sizes.rows)
		s->touch[index].cursor->rows++;
}

/* --- what is new --- */

/* -1: the batch does not touch its id. */
static int
store_row(struct store *s, struct store_row *row, size_t *index)
{
	store_columns(s, row);
	return row->id == NULL ? -1 :
	    store_find(s, row->id, row->idlen, index);
}

/*
 * Binds an id and the place of its newest row in the cache: rows of batch
 * `newest` have been read up to number `seq`.
 */
static void
store_bind_after(struct store *s, size_t i, int64_t seq)
{
	const struct store_touch	*t = &s->touch[i];

	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->cursor->newest);
	mysqldb_bind(s->db, t->cursor->newest);
	mysqldb_bind(s->db, seq);
}

static size_t
store_bind_news(struct store *s, size_t i)
{
	if (!store_reads(s, i, SUMS_READ_NEWS) || store_knows(s, i))
		return 0;
	store_rival(s);
	store_bind_after(s, i, INT64_MAX);
	return 1;
}

static int
store_take_news(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	s->nend++;
	if (store_row(s, &row, &index) == -1)
		return 0;
	store_row_read(s, index);
	reader->news(reader->arg, &row);
	return 0;
}

/* If there are too many new rows, a first reading, by seconds, is cheaper. */
int
store_read_news(struct store *s, const struct store_reader *reader)
{
	struct store_cursor	*c;
	size_t			 i;

	s->nend = 0;
	if (store_each(s, NEWS, s->ntouch, store_bind_nothing, store_bind_news,
	    store_take_news, reader) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++) {
		c = s->touch[i].cursor;
		if (c->loaded && s->nend >= NEWS_MAX)
			reader->again(reader->arg, i);
		else if (c->loaded)
			c->newest = store_batch_of(s, i);
	}
	return 0;
}

/* --- the first time, piece by piece --- */

static int64_t
store_position(const struct store_touch *t)
{
	return t->cursor->position != 0 ? t->cursor->position : t->since;
}

static size_t
store_bind_end(struct store *s, size_t i)
{
	const struct store_touch	*t = &s->touch[i];

	if (!store_reads(s, i, SUMS_READ_FIRST))
		return 0;
	mysqldb_bind(s->db, (int64_t)i);
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, store_position(t));
	mysqldb_bind(s->db, s->piece);
	return 1;
}

static int
store_take_end(struct store *s, const struct store_reader *reader)
{
	struct store_end	*end;
	int64_t			 i = mysqldb_column(s->db, 0);

	(void)reader;
	/* Skips an item that was repeated to fill up the statement. */
	if (i < 0 || (uint64_t)i >= s->ntouch || (s->nend > 0 &&
	    s->end[s->nend - 1].touch == (size_t)i))
		return 0;
	end = &s->end[s->nend++];
	end->touch = (size_t)i;
	end->batch = store_batch_of(s, end->touch);
	end->from = store_position(&s->touch[i]);
	end->upto = mysqldb_column(s->db, 1);
	return 0;
}

static void
store_bind_recent(struct store *s)
{
	mysqldb_bind(s->db, s->batch->recent);
}

static size_t
store_bind_first(struct store *s, size_t i)
{
	const struct store_end		*end = &s->end[i];
	const struct store_touch	*t = &s->touch[end->touch];

	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, end->from);
	mysqldb_bind(s->db, end->upto);
	return 1;
}

static size_t
store_bind_added(struct store *s, size_t i)
{
	const struct store_end		*end = &s->end[i];
	const struct store_touch	*t = &s->touch[end->touch];

	if (t->cursor->position == 0)
		return 0;
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->cursor->base);
	mysqldb_bind(s->db, end->from);
	mysqldb_bind(s->db, t->since);
	return 1;
}

/* Sums of seconds for which no instances are needed. */
static int
store_take_sum(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	memset(&row, 0, sizeof(row));
	row.id = mysqldb_column_text(s->db, 0, &row.idlen);
	if (row.id == NULL || store_find(s, row.id, row.idlen, &index) == -1)
		return 0;
	row.date = mysqldb_column(s->db, 1);
	row.amount = mysqldb_column(s->db, 2);
	row.instance = row.state = "";
	s->read_rows = true;
	reader->first(reader->arg, index, &row);
	return 0;
}

static int
store_take_first(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	if (store_row(s, &row, &index) == -1)
		return 0;
	s->read_rows = true;
	reader->first(reader->arg, index, &row);
	return 0;
}

/*
 * An id with several pieces has enough rows for its sums to be worth writing.
 */
static void
store_end_piece(struct store_cursor *c, const struct store_end *end)
{
	c->loaded = end->upto == INT64_MAX;
	c->rows = c->loaded && c->position != 0 ? sums_sizes.rows : 0;
	c->position = c->loaded ? 0 : end->upto + 1;
	c->newest = end->batch;
	c->base = c->loaded ? clock_mono().ns : end->batch;
}

int
store_read_first(struct store *s, const struct store_reader *reader)
{
	size_t	i, n = 0;

	for (i = 0; i < s->ntouch; i++)
		n += store_reads(s, i, SUMS_READ_FIRST);
	s->nend = 0;
	if (n == 0)
		return 0;
	s->piece = (int64_t)sums_piece(n, s->batch->budget);
	if (store_each(s, ENDS, s->ntouch, store_bind_nothing, store_bind_end,
	    store_take_end, reader) == -1 ||
	    store_each(s, FIRST, s->nend, store_bind_recent, store_bind_first,
	    store_take_sum, reader) == -1 ||
	    store_each(s, SINGLE, s->nend, store_bind_recent, store_bind_first,
	    store_take_first, reader) == -1 ||
	    store_each(s, ADDED, s->nend, store_bind_nothing, store_bind_added,
	    store_take_first, reader) == -1)
		return -1;
	for (i = 0; i < s->nend; i++)
		store_end_piece(s->touch[s->end[i].touch].cursor, &s->end[i]);
	return 0;
}

/* --- the first time, from sums --- */

static void
store_bind_newest(struct store *s)
{
	mysqldb_bind(s->db, s->others.last);
}

static size_t
store_bind_kept(struct store *s, size_t i)
{
	const struct store_touch	*t = &s->touch[i];

	if (!store_reads(s, i, SUMS_READ_KEPT))
		return 0;
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->since);
	return 1;
}

/* The sums replace the pieces that were read so far. */
static int
store_take_kept(struct store *s, const struct store_reader *reader)
{
	struct store_cursor	*c;
	struct str		 bytes;
	const char		*id;
	size_t			 idlen, index;
	int			 ret;

	id = mysqldb_column_text(s->db, 0, &idlen);
	if (id == NULL || store_find(s, id, idlen, &index) == -1)
		return 0;
	s->read_rows = true;
	c = s->touch[index].cursor;
	if (c->position != SUMS_RECENT)
		reader->again(reader->arg, index);
	c->position = SUMS_RECENT;
	c->newest = mysqldb_column(s->db, 1);
	str_init(&bytes);
	if ((ret = mysqldb_column_bytes(s->db, 2, &bytes)) == 0 &&
	    sums_tell(bytes.data, bytes.len, &s->touch[index], index,
	    reader) == -1) {
		reader->again(reader->arg, index);
		c->no_sums = true;
	}
	str_clear(&bytes);
	return ret;
}

static size_t
store_bind_instances(struct store *s, size_t i)
{
	const struct store_touch	*t = &s->touch[i];

	if (!store_reads(s, i, SUMS_READ_RECENT))
		return 0;
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->cursor->newest);
	mysqldb_bind(s->db, sums_sizes.recent);
	return 1;
}

static int
store_take_instance(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	if (store_row(s, &row, &index) == -1)
		return 0;
	s->read_rows = true;
	if (row.date >= s->batch->recent)
		sums_tell_instance(&row, &s->touch[index], index, reader);
	return 0;
}

static size_t
store_bind_newer(struct store *s, size_t i)
{
	if (!store_reads(s, i, SUMS_READ_NEWER))
		return 0;
	store_bind_after(s, i, s->touch[i].cursor->base);
	return 1;
}

static int
store_take_newer(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	s->nend++;
	if (store_row(s, &row, &index) == -1)
		return 0;
	store_row_read(s, index);
	if (row.date >= s->touch[index].since)
		reader->first(reader->arg, index, &row);
	s->touch[index].cursor->newest = mysqldb_column(s->db, 5);
	s->touch[index].cursor->base = mysqldb_column(s->db, 6);
	return 0;
}

/* The ids are loaded if there were fewer rows than the list may have. */
static int
store_read_newer(struct store *s, const struct store_reader *reader)
{
	struct store_cursor	*c;
	size_t			 i;

	s->nend = 0;
	if (store_each(s, NEWS, s->ntouch, store_bind_nothing,
	    store_bind_newer, store_take_newer, reader) == -1)
		return -1;
	for (i = 0; s->nend < NEWS_MAX && i < s->ntouch; i++) {
		if (!store_reads(s, i, SUMS_READ_NEWER))
			continue;
		c = s->touch[i].cursor;
		c->loaded = true;
		c->position = 0;
		c->newest = store_batch_of(s, i);
		c->base = clock_mono().ns;
	}
	return 0;
}

/*
 * Takes one of these steps in each batch, so that other charges do not wait
 * long.
 */
int
store_read_kept(struct store *s, const struct store_reader *reader)
{
	size_t	i;

	if (store_read_newer(s, reader) == -1)
		return -1;
	if (store_each(s, RECENT, s->ntouch, store_bind_nothing,
	    store_bind_instances, store_take_instance, reader) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++)
		if (store_reads(s, i, SUMS_READ_RECENT)) {
			s->touch[i].cursor->position = SUMS_NEWER;
			s->touch[i].cursor->base = INT64_MAX;
		}
	if (!s->blind && store_each(s, KEPT, s->ntouch, store_bind_newest,
	    store_bind_kept, store_take_kept, reader) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++)
		if (store_reads(s, i, SUMS_READ_KEPT))
			s->touch[i].cursor->no_sums = true;
	return 0;
}

static int
store_write_sums(struct store *s, const struct store_touch *t,
    const struct pack_count *counts, size_t n)
{
	struct str	bytes;
	size_t		at = 0;
	int64_t		part = 0;
	int		ret;

	if (store_lock_ranges(s) == -1)
		return -1;
	mysqldb_begin(s->db, SUMS_GONE);
	mysqldb_bind_text(s->db, t->id, t->idlen);
	ret = mysqldb_run(s->db, 0);
	str_init(&bytes);
	do {
		bytes.len = 0;
		at += sums_pack(&bytes, counts + at, n - at);
		mysqldb_begin(s->db, SUMS_NEW);
		mysqldb_bind_text(s->db, t->id, t->idlen);
		mysqldb_bind(s->db, part++);
		mysqldb_bind(s->db, s->others.last);
		mysqldb_bind(s->db, t->cursor->newest);
		mysqldb_bind(s->db, t->since);
		mysqldb_bind(s->db, s->changes);
		mysqldb_bind_bytes(s->db, bytes.data, bytes.len);
		if (ret == 0)
			ret = mysqldb_run(s->db, 0);
	} while (at < n);
	str_clear(&bytes);
	return ret;
}

/* Sums are optional: a fault of this table alone is ignored. */
int
store_keep_sums(struct store *s, const struct store_reader *reader)
{
	const struct pack_count	*counts;
	size_t			 index, n;

	if (s->blind || sums_choose(s->touch, s->ntouch, &index) == -1)
		return 0;
	n = reader->counts(reader->arg, index, &counts);
	s->touch[index].cursor->rows = 0;
	if (store_write_sums(s, &s->touch[index], counts, n) == 0)
		return 0;
	return store_result(s) == STORE_FAILED ? 0 : -1;
}

/* --- values, and what others changed --- */

static size_t
store_bind_value(struct store *s, size_t i)
{
	const struct store_value	*v = &s->batch->value[i];

	mysqldb_bind(s->db, (int64_t)i);
	mysqldb_bind_text(s->db, v->id, v->idlen);
	mysqldb_bind_text(s->db, v->value, v->valuelen);
	return 1;
}

static int
store_take_value(struct store *s, const struct store_reader *reader)
{
	int64_t	i = mysqldb_column(s->db, 0);

	(void)reader;
	if (i >= 0 && (uint64_t)i < s->batch->nvalue)
		s->batch->value[i].date = mysqldb_column(s->db, 1);
	return 0;
}

int
store_read_values(struct store *s, const struct store_reader *reader)
{
	size_t	i;

	for (i = 0; i < s->batch->nvalue; i++)
		s->batch->value[i].date = -1;
	return store_each(s, VALUE, s->batch->nvalue, store_bind_nothing,
	    store_bind_value, store_take_value, reader);
}

int
store_read_changes(struct store *s, const struct store_reader *reader)
{
	int64_t	changes, newest, now;
	bool	anew, noted;
	size_t	i;

	mysqldb_begin(s->db, CHANGES);
	if (mysqldb_run(s->db, 0) == -1 || mysqldb_next(s->db) != 1)
		return -1;
	changes = mysqldb_column(s->db, 0);
	newest = mysqldb_column(s->db, 1);
	s->foreign.there = mysqldb_column(s->db, 2) != 0;
	if (mysqldb_next(s->db) != 0)
		return -1;
	anew = newest < s->others.last;
	noted = changes != s->changes || anew;
	if (s->changes != -1 && noted)
		reader->changed(reader->arg);
	/*
	 * No trigger counts TRUNCATE, so count it here: it makes sums invalid.
	 */
	if (anew) {
		mysqldb_begin(s->db, CHANGED);
		if (mysqldb_run(s->db, 0) == -1)
			return -1;
		changes++;
	}
	s->changes = changes;
	s->disturbed = writers_look(&s->others, newest) || noted ||
	    !s->alone || s->base != s->left;
	now = clock_mono().ns;
	for (i = 0; s->blind && i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded &&
		    now - s->touch[i].cursor->base > BLIND_NS)
			reader->again(reader->arg, i);
	return 0;
}
