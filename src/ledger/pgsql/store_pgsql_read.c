#include "ledger/pgsql/store_pgsql.h"
#include "lib/str.h"

/* --- asking --- */

/* Puts the statement of a reading, if any touch needs it. */
static void
put_reading(struct store *s, enum sums_reading r,
    const struct store_batch *batch)
{
	static const enum statement	 statement[SUMS_READ__MAX] = {
		[SUMS_READ_NEWS] = NEWS,
		[SUMS_READ_FIRST] = FIRST,
		[SUMS_READ_KEPT] = KEPT,
		[SUMS_READ_RECENT] = RECENT,
		[SUMS_READ_NEWER] = NEWS
	};
	const size_t			 from = s->begin[r];
	const size_t			 end = s->begin[r + 1];
	struct pgsql_params		 p = { .count = 0 };
	const struct store_touch	*t;
	size_t				 i;
	bool				 first = r == SUMS_READ_FIRST;
	enum column			 c, last = first ? READ_BASE :
					    READ_FROM;

	if (from == end)
		return;
	store_empty(s, READ_ID, last);
	for (i = from; i < end; i++) {
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
		pgsql_add_number(&p, (int64_t)sums_piece(end - from,
		    batch->budget));
	else if (r == SUMS_READ_RECENT)
		pgsql_add_number(&p, sums_sizes.recent);
	else if (r != SUMS_READ_KEPT)
		pgsql_add_number(&p, sums_sizes.news);
	if (first || r == SUMS_READ_RECENT)
		pgsql_add_number(&p, batch->recent);
	pgsql_put(s->db, statement[r], &p);
}

/*
 * Sorts the touches by the reading that they need, and puts all readings, then
 * values and pairs. No reading is needed if no other daemon wrote rows since
 * the last one.
 */
void
store_put_reads(struct store *s, const struct store_batch *batch)
{
	const struct store_cursor	*c;
	const struct store_value	*v;
	const struct store_pair		*p;
	enum sums_reading		 r;
	size_t				 i, n = 0;

	for (r = 0; r < SUMS_READ__MAX; r++) {
		s->begin[r] = n;
		for (i = 0; i < s->ntouch; i++) {
			c = s->touch[i].cursor;
			if (sums_reading(c) == r && (!c->loaded || !s->alone ||
			    writers_after(&s->others, c->newest)))
				s->index[n++] = i;
		}
		s->begin[r + 1] = n;
		put_reading(s, r, batch);
	}
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

/* --- taking --- */

/* A row of mail_sums. The sums replace the pieces that were read so far. */
static void
take_sums(struct store *s, int n, size_t index,
    const struct store_reader *reader)
{
	struct store_touch	*t = &s->touch[index];
	struct str		 bytes;

	if (t->cursor->position != SUMS_RECENT)
		reader->again(reader->arg, index);
	t->cursor->position = SUMS_RECENT;
	t->cursor->newest = pgsql_column(s->db, n, 1);
	str_init(&bytes);
	pgsql_column_bytes(s->db, n, 2, &bytes);
	if (sums_tell(bytes.data, bytes.len, t, index, reader) == -1) {
		reader->again(reader->arg, index);
		t->cursor->no_sums = true;
	}
	str_clear(&bytes);
}

/* Row `n` of reading `r` belongs to touch[index]. */
static void
take_row(struct store *s, enum sums_reading r, int n, size_t index,
    const struct store_reader *reader)
{
	const struct store_touch	*t = &s->touch[index];
	struct store_row		 row;
	const char			*control = NULL;
	size_t				 len;

	if (r == SUMS_READ_FIRST)
		control = pgsql_column_text(s->db, n, 1, &len);
	store_row(s, t, n, r == SUMS_READ_FIRST ? 2 : 1, &row);
	if (r == SUMS_READ_NEWS)
		reader->news(reader->arg, &row);
	else if (r == SUMS_READ_RECENT)
		sums_tell_instance(&row, t, index, reader);
	else if (control != NULL && control[0] == 't')
		sums_end_piece(t->cursor, row.date, row.amount);
	else if (row.date >= t->since)
		reader->first(reader->arg, index, &row);
}

/*
 * Takes the rows of a reading, if any touch needs it, and says which reading
 * the ids need next: after sums (SUMS_READ_KEPT) that are not there, pieces;
 * after the recent rows, the newer ones. With these an id is loaded if it has
 * fewer than one batch may read. If a loaded id has too many news, a new first
 * reading is cheaper.
 */
static int
take_reading(struct store *s, enum sums_reading r,
    const struct store_reader *reader)
{
	const size_t		 from = s->begin[r], end = s->begin[r + 1];
	struct store_cursor	*c;
	size_t			 k, index;
	int64_t			 number;
	int			 rows, i, j, n;

	if (from == end)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (k = from; k < end; k++) {
		c = s->touch[s->index[k]].cursor;
		if (r == SUMS_READ_KEPT)
			c->no_sums = true;
		else if (r == SUMS_READ_RECENT)
			c->position = SUMS_NEWER;
		else if (r == SUMS_READ_NEWER) {
			s->read_rows = c->loaded = true;
			c->position = 0;
		}
	}
	for (i = 0; i < rows; i += n) {
		number = pgsql_column(s->db, i, 0);
		if (number < 1 || (uint64_t)number > end - from)
			return -1;
		index = s->index[from + (size_t)number - 1];
		n = store_alike(s, i, rows);
		if (r == SUMS_READ_NEWS && n >= sums_sizes.news) {
			reader->again(reader->arg, index);
			continue;
		}
		s->read_rows = true;
		for (j = i; j < i + n; j++)
			if (r == SUMS_READ_KEPT)
				take_sums(s, j, index, reader);
			else
				take_row(s, r, j, index, reader);
		if (r != SUMS_READ_NEWS && r != SUMS_READ_NEWER)
			continue;
		c = s->touch[index].cursor;
		c->newest = pgsql_column(s->db, i + n - 1, 5);
		sums_count(c, (uint32_t)n);
		if (n >= sums_sizes.news) {
			c->loaded = false;
			c->position = SUMS_NEWER;
		}
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
	enum sums_reading	r;

	if (take_changes(s, batch, reader) == -1)
		return -1;
	for (r = 0; r < SUMS_READ__MAX; r++)
		if (take_reading(s, r, reader) == -1)
			return -1;
	if (take_seen(s, batch) == -1)
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
