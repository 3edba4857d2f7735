#include "ledger/mysql/store_mysql.h"
#include "lib/clock.h"

#define NEWS_MAX	20000		/* the LIMIT of NEWS */
#define BLIND_NS	INT64_C(10000000000)

static bool
reads(const struct store *s, size_t i, enum sums_reading r)
{
	return sums_reading(s->touch[i].cursor) == r;
}

/*
 * Fetches the next row of a touched id. Returns 1 with the row in *row and the
 * index of its touch, 0 if there are no more rows, or -1.
 */
static int
next_row(struct store *s, struct store_row *row, size_t *index)
{
	int	more;

	while ((more = mysqldb_next(s->db)) == 1) {
		s->fetched++;
		store_columns(s, row);
		if (row->id != NULL &&
		    store_find(s, row->id, row->idlen, index) == 0) {
			s->read_rows = true;
			break;
		}
	}
	return more;
}

/* --- the first time, piece by piece --- */

/*
 * Reads the rows of the pieces: FIRST, the sums of seconds for which no
 * instances are needed; SINGLE, the other rows; ADDED, rows before a piece that
 * were added since the last one.
 */
static int
read_pieces(struct store *s, enum statement n,
    const struct store_reader *reader)
{
	const struct store_touch	*t;
	struct store_row		 row;
	size_t				 i;
	int				 more;

	mysqldb_begin(s->db, n);
	if (n != ADDED)
		mysqldb_bind(s->db, s->batch->recent);
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		if (!reads(s, i, SUMS_READ_FIRST) ||
		    (n == ADDED && t->cursor->position == 0))
			continue;
		mysqldb_bind_text(s->db, t->id, t->idlen);
		if (n == ADDED)
			mysqldb_bind(s->db, t->cursor->base);
		mysqldb_bind(s->db, sums_position(t));
		mysqldb_bind(s->db, n == ADDED ? t->since : s->upto[i]);
	}
	while ((more = next_row(s, &row, &i)) == 1)
		reader->first(reader->arg, i, &row);
	return more;
}

/* Finds where each id's piece ends, reads the pieces, and moves the cursors. */
static int
read_first(struct store *s, const struct store_reader *reader)
{
	const struct store_touch	*t;
	int64_t				 piece, row;
	size_t				 i, n = 0;
	int				 more;

	for (i = 0; i < s->ntouch; i++)
		n += reads(s, i, SUMS_READ_FIRST);
	if (n == 0)
		return 0;
	piece = (int64_t)sums_piece(n, s->batch->budget);
	mysqldb_begin(s->db, ENDS);
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		if (!reads(s, i, SUMS_READ_FIRST))
			continue;
		mysqldb_bind(s->db, (int64_t)i);
		mysqldb_bind_text(s->db, t->id, t->idlen);
		mysqldb_bind(s->db, sums_position(t));
		mysqldb_bind(s->db, piece);
	}
	while ((more = mysqldb_next(s->db)) == 1) {
		row = mysqldb_column(s->db, 0);
		if (row >= 0 && (uint64_t)row < s->ntouch)
			s->upto[row] = mysqldb_column(s->db, 1);
	}
	if (more == -1 || read_pieces(s, FIRST, reader) == -1 ||
	    read_pieces(s, SINGLE, reader) == -1 ||
	    read_pieces(s, ADDED, reader) == -1)
		return -1;
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		if (!reads(s, i, SUMS_READ_FIRST))
			continue;
		sums_end_piece(t->cursor, s->upto[i], store_batch_of(s, i));
		if (t->cursor->loaded)
			t->cursor->ended = clock_mono().ns;
	}
	return 0;
}

/* --- the first time, from sums --- */

/* The sums replace the pieces that were read so far. */
static int
read_sums(struct store *s, const struct store_reader *reader)
{
	struct store_cursor	*c;
	struct str		 bytes;
	const char		*id;
	size_t			 idlen, i;
	int			 more;

	mysqldb_begin(s->db, KEPT);
	mysqldb_bind(s->db, s->others.last);
	for (i = 0; i < s->ntouch; i++)
		if (reads(s, i, SUMS_READ_KEPT)) {
			mysqldb_bind_text(s->db, s->touch[i].id,
			    s->touch[i].idlen);
			mysqldb_bind(s->db, s->touch[i].since);
		}
	str_init(&bytes);
	while ((more = mysqldb_next(s->db)) == 1) {
		id = mysqldb_column_text(s->db, 0, &idlen);
		if (id == NULL || store_find(s, id, idlen, &i) == -1)
			continue;
		s->read_rows = true;
		c = s->touch[i].cursor;
		if (c->position != SUMS_RECENT)
			reader->again(reader->arg, i);
		c->position = SUMS_RECENT;
		c->newest = mysqldb_column(s->db, 1);
		if ((more = mysqldb_column_bytes(s->db, 2, &bytes)) == -1)
			break;
		if (sums_tell(bytes.data, bytes.len, &s->touch[i], i,
		    reader) == -1) {
			reader->again(reader->arg, i);
			c->no_sums = true;
		}
	}
	str_clear(&bytes);
	return more;
}

/* --- rows by their number --- */

/* A row of touch[i], which is still the row that was fetched last. */
static void
take_row(struct store *s, enum sums_reading r, size_t i,
    const struct store_row *row, const struct store_reader *reader)
{
	const struct store_touch	*t = &s->touch[i];

	if (r == SUMS_READ_RECENT) {
		if (row->date >= s->batch->recent)
			sums_tell_instance(row, t, i, reader);
		return;
	}
	sums_count(t->cursor, 1);
	if (r == SUMS_READ_NEWS) {
		reader->news(reader->arg, row);
		return;
	}
	if (row->date >= t->since)
		reader->first(reader->arg, i, row);
	t->cursor->newest = mysqldb_column(s->db, 5);
	t->cursor->seq = mysqldb_column(s->db, 6);
}

/*
 * SUMS_READ_NEWS and SUMS_READ_NEWER read the rows of batches after `newest`,
 * the newest batch that the cache has of an id. In a first reading
 * (SUMS_READ_NEWER) the cache may lack rows of that batch too: it reads those
 * whose seq is above the cursor's. SUMS_READ_RECENT reads the newest rows that
 * the sums include, for their instances.
 *
 * There are no more rows if fewer than NEWS_MAX were fetched. If there are too
 * many new rows, a first reading, by seconds, is cheaper.
 */
static int
read_numbered(struct store *s, enum sums_reading r,
    const struct store_reader *reader)
{
	struct store_cursor	*c;
	struct store_row	 row;
	size_t			 i;
	int			 more;

	s->fetched = 0;
	mysqldb_begin(s->db, r == SUMS_READ_RECENT ? RECENT : NEWS);
	for (i = 0; i < s->ntouch; i++) {
		c = s->touch[i].cursor;
		if (!reads(s, i, r) ||
		    (r == SUMS_READ_NEWS && store_knows(s, i)))
			continue;
		if (r == SUMS_READ_NEWS)
			store_rival(s);
		mysqldb_bind_text(s->db, s->touch[i].id, s->touch[i].idlen);
		mysqldb_bind(s->db, c->newest);
		if (r == SUMS_READ_RECENT) {
			mysqldb_bind(s->db, sums_sizes.recent);
			continue;
		}
		mysqldb_bind(s->db, c->newest);
		mysqldb_bind(s->db, r == SUMS_READ_NEWS ? INT64_MAX : c->seq);
	}
	while ((more = next_row(s, &row, &i)) == 1)
		take_row(s, r, i, &row, reader);
	for (i = 0; more == 0 && i < s->ntouch; i++) {
		c = s->touch[i].cursor;
		if (!reads(s, i, r))
			continue;
		if (r == SUMS_READ_RECENT) {
			c->position = SUMS_NEWER;
			c->seq = INT64_MAX;
		} else if (s->fetched < NEWS_MAX) {
			c->newest = store_batch_of(s, i);
			if (r == SUMS_READ_NEWER) {
				c->loaded = true;
				c->position = 0;
				c->ended = clock_mono().ns;
			}
		} else if (r == SUMS_READ_NEWS)
			reader->again(reader->arg, i);
	}
	return more;
}

/*
 * Reads on from what the cache has of each id. In a first reading an id takes
 * one of the steps in each batch, so that other charges do not wait long.
 */
int
store_read_rows(struct store *s, const struct store_reader *reader)
{
	size_t	i;

	if (read_numbered(s, SUMS_READ_NEWS, reader) == -1 ||
	    read_numbered(s, SUMS_READ_NEWER, reader) == -1 ||
	    read_numbered(s, SUMS_READ_RECENT, reader) == -1 ||
	    (!s->blind && read_sums(s, reader) == -1))
		return -1;
	for (i = 0; i < s->ntouch; i++)
		if (reads(s, i, SUMS_READ_KEPT))
			s->touch[i].cursor->no_sums = true;
	return read_first(s, reader);
}

/* Sums are optional: a fault of this table alone is ignored. */
int
store_keep_sums(struct store *s, const struct store_reader *reader)
{
	const struct pack_count		*counts;
	const struct store_touch	*t;
	struct str			 bytes;
	size_t				 index, n, at = 0;
	int64_t				 part = 0;
	int				 ret;

	if (s->blind || sums_choose(s->touch, s->ntouch, &index) == -1)
		return 0;
	t = &s->touch[index];
	n = reader->counts(reader->arg, index, &counts);
	t->cursor->rows = 0;
	if ((ret = store_lock_ranges(s)) == 0) {
		mysqldb_begin(s->db, SUMS_GONE);
		mysqldb_bind_text(s->db, t->id, t->idlen);
		ret = mysqldb_run(s->db);
	}
	str_init(&bytes);
	while (ret == 0 && (at < n || part == 0)) {
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
		ret = mysqldb_run(s->db);
	}
	str_clear(&bytes);
	return ret == 0 || store_result(s) == STORE_FAILED ? 0 : -1;
}

/* --- values and pairs, and what others changed --- */

int
store_read_seen(struct store *s)
{
	struct store_value	*v;
	struct store_pair	*p;
	int64_t			 n;
	size_t			 i;
	int			 more;

	mysqldb_begin(s->db, VALUE);
	for (i = 0; i < s->batch->nvalue; i++) {
		v = &s->batch->value[i];
		v->date = -1;
		mysqldb_bind(s->db, (int64_t)i);
		mysqldb_bind_text(s->db, v->id, v->idlen);
		mysqldb_bind_text(s->db, v->value, v->valuelen);
	}
	while ((more = mysqldb_next(s->db)) == 1) {
		n = mysqldb_column(s->db, 0);
		if (n >= 0 && (uint64_t)n < s->batch->nvalue)
			s->batch->value[n].date = mysqldb_column(s->db, 1);
	}
	if (more == -1)
		return -1;
	mysqldb_begin(s->db, PAIR);
	for (i = 0; i < s->batch->npair; i++) {
		p = &s->batch->pair[i];
		p->known.first = -1;
		mysqldb_bind(s->db, (int64_t)i);
		mysqldb_bind(s->db, p->who);
		mysqldb_bind(s->db, p->kind);
		mysqldb_bind(s->db, p->what);
	}
	while ((more = mysqldb_next(s->db)) == 1) {
		n = mysqldb_column(s->db, 0);
		if (n < 0 || (uint64_t)n >= s->batch->npair)
			return -1;
		s->batch->pair[n].known.first = mysqldb_column(s->db, 1);
		s->batch->pair[n].known.last = mysqldb_column(s->db, 2);
	}
	return more;
}

int
store_read_changes(struct store *s, const struct store_reader *reader)
{
	int64_t	changes, newest, now;
	bool	anew, noted;
	size_t	i;

	mysqldb_begin(s->db, CHANGES);
	if (mysqldb_next(s->db) != 1)
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
		if (mysqldb_run(s->db) == -1)
			return -1;
		changes++;
	}
	s->changes = changes;
	s->disturbed = writers_look(&s->others, newest) || noted ||
	    !s->alone || s->base != s->left;
	now = clock_mono().ns;
	for (i = 0; s->blind && i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded &&
		    now - s->touch[i].cursor->ended > BLIND_NS)
			reader->again(reader->arg, i);
	return 0;
}
