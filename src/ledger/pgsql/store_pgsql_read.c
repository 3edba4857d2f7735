#include <string.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/str.h"

/* The touches that need reading `r`, in s->index. */
static size_t
group_of(const struct store *s, enum sums_reading r, size_t *from)
{
	*from = r == 0 ? 0 : s->end[r - 1];
	return s->end[r] - *from;
}

/* --- asking --- */

/* Puts the statement of a reading, if any touch needs it. */
static void
put_reading(struct store *s, enum sums_reading r, enum statement n,
    const struct store_batch *batch)
{
	struct pgsql_params		 p = { .count = 0 };
	const struct store_touch	*t;
	size_t				 from, i, count;
	bool				 first = r == SUMS_READ_FIRST;
	enum column			 c, last = first ? READ_BASE :
					    READ_FROM;

	if ((count = group_of(s, r, &from)) == 0)
		return;
	store_empty(s, READ_ID, last);
	for (i = from; i < from + count; i++) {
		t = &s->touch[s->index[i]];
		pgsql_array_text(&s->column[READ_ID], t->id, t->idlen);
		pgsql_array_number(&s->column[READ_FROM], first ||
		    r == SUMS_READ_KEPT ? t->since : t->cursor->newest);
		if (!first)
			continue;
		pgsql_array_number(&s->column[READ_POSITION], sums_position(t));
		/* A later piece also reads rows added since the last one. */
		pgsql_array_number(&s->column[READ_BASE],
		    t->cursor->position != 0 ? t->cursor->base : INT64_MAX);
	}
	for (c = READ_ID; c <= last; c++)
		pgsql_add_array(&p, &s->column[c]);
	if (first)
		pgsql_add_number(&p, (int64_t)sums_piece(count, batch->budget));
	else if (r == SUMS_READ_RECENT)
		pgsql_add_number(&p, sums_sizes.recent);
	else if (r != SUMS_READ_KEPT)
		pgsql_add_number(&p, sums_sizes.news);
	if (first || r == SUMS_READ_RECENT)
		pgsql_add_number(&p, batch->recent);
	pgsql_put(s->db, n, &p);
}

static void
put_seen(struct store *s, const struct store_batch *batch)
{
	const struct store_value	*v;
	const struct store_pair		*p;
	size_t				 i;

	store_empty(s, VALUE_ID, PAIR_WHAT);
	for (i = 0; i < batch->nvalue; i++) {
		v = &batch->value[i];
		pgsql_array_text(&s->column[VALUE_ID], v->id, v->idlen);
		pgsql_array_text(&s->column[VALUE_VALUE], v->value,
		    v->valuelen);
	}
	if (batch->nvalue > 0)
		store_put(s, VALUE, VALUE_ID, VALUE_VALUE);
	for (i = 0; i < batch->npair; i++) {
		p = &batch->pair[i];
		pgsql_array_number(&s->column[PAIR_WHO], p->who);
		pgsql_array_number(&s->column[PAIR_KIND], p->kind);
		pgsql_array_number(&s->column[PAIR_WHAT], p->what);
	}
	if (batch->npair > 0)
		store_put(s, PAIR, PAIR_WHO, PAIR_WHAT);
}

/*
 * Sorts the touches by the reading that they need, and puts all readings. No
 * reading is needed if no other daemon wrote rows since the last one.
 */
void
store_put_reads(struct store *s, const struct store_batch *batch)
{
	const struct store_cursor	*c;
	enum sums_reading		 r;
	size_t				 i, n = 0;

	for (r = 0; r < SUMS_READ__MAX; r++) {
		for (i = 0; i < s->ntouch; i++) {
			c = s->touch[i].cursor;
			if (sums_reading(c) == r && (!c->loaded || !s->alone ||
			    writers_after(&s->others, c->newest)))
				s->index[n++] = i;
		}
		s->end[r] = n;
	}
	put_reading(s, SUMS_READ_NEWS, NEWS, batch);
	put_reading(s, SUMS_READ_FIRST, FIRST, batch);
	put_reading(s, SUMS_READ_KEPT, KEPT, batch);
	put_reading(s, SUMS_READ_RECENT, RECENT, batch);
	put_reading(s, SUMS_READ_NEWER, NEWS, batch);
	put_seen(s, batch);
}

/* --- taking --- */

/* Takes the rows of a reading; 0 if no touch needs it. */
static int
take_reading(struct store *s, enum sums_reading r)
{
	size_t	from;

	return group_of(s, r, &from) == 0 ? 0 : pgsql_take(s->db);
}

/* The touch that a row of this reading belongs to. -1: none. */
static int
row_of(struct store *s, enum sums_reading r, int row, size_t *index)
{
	size_t	from, n = group_of(s, r, &from);
	int64_t	number = pgsql_column(s->db, row, 0);

	if (number < 1 || (uint64_t)number > n)
		return -1;
	*index = s->index[from + (size_t)number - 1];
	return 0;
}

/*
 * Takes the rows after those that are known. If a loaded id has too many, a new
 * first reading is cheaper. In a first reading (SUMS_READ_NEWER), the id is
 * loaded if it has fewer than one batch may read.
 */
static int
take_after(struct store *s, enum sums_reading r,
    const struct store_reader *reader)
{
	struct store_row	 row;
	struct store_touch	*t;
	size_t			 from, k, count, index;
	int			 rows, i, j, n;

	if ((rows = take_reading(s, r)) == -1)
		return -1;
	count = group_of(s, r, &from);
	for (k = from; r == SUMS_READ_NEWER && k < from + count; k++) {
		s->read_rows = true;
		s->touch[s->index[k]].cursor->loaded = true;
		s->touch[s->index[k]].cursor->position = 0;
	}
	for (i = 0; i < rows; i += n) {
		if (row_of(s, r, i, &index) == -1)
			return -1;
		t = &s->touch[index];
		n = store_alike(s, i, rows);
		if (r == SUMS_READ_NEWS && n >= sums_sizes.news) {
			reader->again(reader->arg, index);
			continue;
		}
		s->read_rows = true;
		for (j = i; j < i + n; j++) {
			store_row(s, t, j, 1, &row);
			if (r == SUMS_READ_NEWS)
				reader->news(reader->arg, &row);
			else if (row.date >= t->since)
				reader->first(reader->arg, index, &row);
		}
		t->cursor->newest = pgsql_column(s->db, i + n - 1, 5);
		sums_count(t->cursor, (uint32_t)n);
		if (n >= sums_sizes.news) {
			t->cursor->loaded = false;
			t->cursor->position = SUMS_NEWER;
		}
	}
	return 0;
}

static int
take_first(struct store *s, const struct store_reader *reader)
{
	struct store_row	 row;
	const char		*control;
	size_t			 index, len;
	int			 rows, i;

	if ((rows = take_reading(s, SUMS_READ_FIRST)) == -1)
		return -1;
	for (i = 0; i < rows; i++) {
		s->read_rows = true;
		if (row_of(s, SUMS_READ_FIRST, i, &index) == -1)
			return -1;
		store_row(s, &s->touch[index], i, 2, &row);
		control = pgsql_column_text(s->db, i, 1, &len);
		if (control != NULL && control[0] == 't')
			sums_end_piece(s->touch[index].cursor, row.date,
			    row.amount);
		else
			reader->first(reader->arg, index, &row);
	}
	return 0;
}

/*
 * The sums replace the pieces that were read so far. Without any, reading goes
 * on in pieces.
 */
static int
take_kept(struct store *s, const struct store_reader *reader)
{
	struct store_touch	*t;
	struct str		 bytes;
	size_t			 from, i, n, index;
	int			 rows, row;

	if ((rows = take_reading(s, SUMS_READ_KEPT)) == -1)
		return -1;
	n = group_of(s, SUMS_READ_KEPT, &from);
	for (i = from; i < from + n; i++)
		s->touch[s->index[i]].cursor->no_sums = true;
	str_init(&bytes);
	for (row = 0; row < rows; row++) {
		if (row_of(s, SUMS_READ_KEPT, row, &index) == -1)
			break;
		s->read_rows = true;
		t = &s->touch[index];
		if (t->cursor->position != SUMS_RECENT)
			reader->again(reader->arg, index);
		t->cursor->position = SUMS_RECENT;
		t->cursor->newest = pgsql_column(s->db, row, 1);
		pgsql_column_bytes(s->db, row, 2, &bytes);
		if (sums_tell(bytes.data, bytes.len, t, index, reader) == -1) {
			reader->again(reader->arg, index);
			t->cursor->no_sums = true;
		}
	}
	str_clear(&bytes);
	return row < rows ? -1 : 0;
}

static int
take_recent(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			from, i, n, index;
	int			rows, j;

	if ((rows = take_reading(s, SUMS_READ_RECENT)) == -1)
		return -1;
	n = group_of(s, SUMS_READ_RECENT, &from);
	for (i = from; i < from + n; i++)
		s->touch[s->index[i]].cursor->position = SUMS_NEWER;
	for (j = 0; j < rows; j++) {
		s->read_rows = true;
		if (row_of(s, SUMS_READ_RECENT, j, &index) == -1)
			return -1;
		store_row(s, &s->touch[index], j, 1, &row);
		sums_tell_instance(&row, &s->touch[index], index, reader);
	}
	return 0;
}

static int
take_seen(struct store *s, struct store_batch *batch)
{
	struct habit_pair	*known;
	int64_t			 n;
	size_t			 j;
	int			 rows, i;

	for (j = 0; j < batch->nvalue; j++)
		batch->value[j].date = -1;
	for (j = 0; j < batch->npair; j++)
		batch->pair[j].known.first = -1;
	if ((rows = batch->nvalue > 0 ? pgsql_take(s->db) : 0) == -1)
		return -1;
	for (i = 0; i < rows; i++) {
		n = pgsql_column(s->db, i, 0);
		if (n >= 1 && (uint64_t)n <= batch->nvalue)
			batch->value[n - 1].date = pgsql_column(s->db, i, 1);
	}
	if ((rows = batch->npair > 0 ? pgsql_take(s->db) : 0) == -1)
		return -1;
	for (i = 0; i < rows; i++) {
		n = pgsql_column(s->db, i, 0);
		if (n < 1 || (uint64_t)n > batch->npair)
			return -1;
		known = &batch->pair[n - 1].known;
		known->first = pgsql_column(s->db, i, 1);
		known->last = pgsql_column(s->db, i, 2);
	}
	return 0;
}

/*
 * Handles three cases, each with a round trip of its own. Another program
 * changed rows: the cache is dropped, and all ids of the batch are read from
 * the beginning. Another daemon wrote rows after long silence: all ids are read
 * for new rows. Or there are foreign rows.
 */
static int
take_changes(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	struct pgsql_params	p = { .count = 0 };
	int64_t			changes = 0, newest = 0;
	int64_t			last = s->others.last;
	bool			changed, heard, back;
	int			rows;

	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	if (rows > 0) {
		changes = pgsql_column(s->db, 0, 0);
		newest = pgsql_column(s->db, 0, 1);
		s->foreign.there = pgsql_column(s->db, 0, 2) != 0;
		s->notes = pgsql_column(s->db, 0, 3);
	}
	/* The sequence was set back, so numbers are given out again. */
	back = newest < last;
	changed = s->changes != -1 && (changes != s->changes || back);
	s->changes = changes;
	heard = writers_look(&s->others, newest) && s->alone;
	if (!changed && !heard && !s->foreign.there)
		return 0;
	s->alone = s->alone && !changed && !heard;
	if (pgsql_end(s->db) == -1)
		return -1;
	if (changed)
		reader->changed(reader->arg);
	pgsql_begin(s->db);
	if (back) {
		/* Past all numbers that any daemon can have seen since. */
		pgsql_add_number(&p, last);
		pgsql_put(s->db, RENUMBER, &p);
	}
	store_put_reads(s, batch);
	return back && pgsql_take(s->db) == -1 ? -1 : 0;
}

int
store_take_reads(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	if (take_changes(s, batch, reader) == -1 ||
	    take_after(s, SUMS_READ_NEWS, reader) == -1 ||
	    take_first(s, reader) == -1 ||
	    take_kept(s, reader) == -1 ||
	    take_recent(s, reader) == -1 ||
	    take_after(s, SUMS_READ_NEWER, reader) == -1 ||
	    take_seen(s, batch) == -1)
		return -1;
	return store_read_foreign(s, batch, reader);
}

/* --- sums --- */

void
store_keep_sums(struct store *s, const struct store_reader *reader)
{
	const struct pack_count		*counts;
	const struct store_touch	*t;
	struct str			 bytes;
	size_t				 n, at = 0;
	int64_t				 part = 0;

	store_empty(s, SUMS_ID, SUMS_COUNTS);
	if (s->sumless || sums_choose(s->touch, s->ntouch, &s->sums) == -1)
		return;
	t = &s->touch[s->sums];
	n = reader->counts(reader->arg, s->sums, &counts);
	str_init(&bytes);
	do {
		bytes.len = 0;
		at += sums_pack(&bytes, counts + at, n - at);
		pgsql_array_text(&s->column[SUMS_ID], t->id, t->idlen);
		pgsql_array_number(&s->column[SUMS_PART], part++);
		pgsql_array_number(&s->column[SUMS_SEQ], t->cursor->newest);
		pgsql_array_number(&s->column[SUMS_SINCE], t->since);
		pgsql_array_number(&s->column[SUMS_CHANGES], s->changes);
		pgsql_array_bytes(&s->column[SUMS_COUNTS], bytes.data,
		    bytes.len);
	} while (at < n);
	str_clear(&bytes);
}
