#include <string.h>

#include "ledger/sqlite/store_sqlite.h"

/*
 * The folded id of a row; valid until the next call. Our own ids are folded
 * already.
 */
static const char *
folded(struct store *s, const char *id, size_t idlen)
{
	const char	*colon = NULL;
	size_t		 from, i;

	if (s->fold == FOLD_NONE)
		return id;
	if (s->fold == FOLD_VALUE)
		colon = memchr(id, ':', idlen);
	from = colon != NULL ? (size_t)(colon - id) : 0;
	for (i = from; i < idlen && (id[i] < 'A' || id[i] > 'Z'); i++)
		;
	if (i == idlen)
		return id;
	/* The older program's index has an id with upper case letters. */
	s->searched = false;
	s->folded.len = 0;
	str_add(&s->folded, id, idlen);
	str_fold(s->folded.data + from, idlen - from);
	return s->folded.data;
}

/* --- what others did --- */

/* Reads the rows that the tail or the cache lacks. */
static int
read_news(struct store *s, const struct store_reader *reader)
{
	const struct store_line	line = { s, NEWS };
	struct store_row	row;
	int64_t			rowid;
	int			more;

	sqlite_bind(s->db, NEWS, 1, !s->behind && s->read < s->cached ?
	    s->read : s->cached);
	while ((more = sqlite_step(s->db, NEWS)) == 1) {
		rowid = sqlite_column(s->db, NEWS, 0);
		row.id = sqlite_column_text(s->db, NEWS, 1, &row.idlen);
		row.id = folded(s, row.id, row.idlen);
		store_line_row(&line, 2, &row);
		if (!s->behind && rowid > s->read) {
			memtable_add(s->tail, store_hash(s, row.id, row.idlen),
			    row.id, row.idlen, row.date, row.amount);
			s->read = rowid;
		}
		if (rowid > s->cached) {
			reader->news(reader->arg, &row);
			s->cached = rowid;
		}
	}
	return more;
}

static int
take_numbers(struct store *s, const struct numbers *n,
    const struct store_reader *reader)
{
	int64_t	upper = 0;

	/* After a change, or with too many new rows, everything is read. */
	if (n->changes != s->seen.changes ||
	    n->last - s->cached > store_sizes.load) {
		reader->changed(reader->arg);
		store_unload(s);
		s->cached = n->last > store_sizes.recent ?
		    n->last - store_sizes.recent : 0;
	}
	if (n->horizon != s->seen.horizon)
		store_unload(s);
	/* A cleaning deletes the rows of these counts now, or has done it. */
	if (n->cleaned != s->seen.cleaned) {
		memtable_forget(s->tail, n->cleaned);
		memtable_forget(s->frozen, n->cleaned);
	}
	if (n->runs != s->seen.runs && store_read_runs(s) == -1)
		return -1;
	s->seen = *n;
	/*
	 * A rowid up to the horizon is never given out again, even if the
	 * newest rows were deleted.
	 */
	s->last = n->last > n->horizon ? n->last : n->horizon;
	if (s->tail != NULL)
		return 0;
	s->tail = memtable_new();
	s->tails++;
	s->read = n->horizon;
	s->behind = n->last - n->horizon > store_sizes.load;
	s->searched = s->behind && s->indexed;
	/* The older program's index has ids that are not folded. */
	if (s->searched && s->fold != FOLD_NONE &&
	    store_one(s, UPPER, &upper) == -1)
		return -1;
	s->searched = s->searched && upper == 0;
	return 0;
}

int
store_sync(struct store *s, const struct store_reader *reader)
{
	struct numbers	numbers;
	int64_t		version, schema;

	if (store_one(s, DATA_VERSION, &version) == -1)
		return -1;
	if (version == s->version)
		return !s->behind || s->searched;
	if (store_one(s, SCHEMA_VERSION, &schema) == -1 ||
	    (schema == s->schema && store_read_numbers(s, &numbers) == -1))
		return -1;
	/* A daemon with another fold_case replaces the runs. */
	if (schema != s->schema || numbers.fold != (int64_t)s->fold) {
		s->moved = true;
		return 0;
	}
	if (take_numbers(s, &numbers, reader) == -1 ||
	    read_news(s, reader) == -1) {
		/* Only a part was read: start over the next time. */
		s->seen.changes = -1;
		return -1;
	}
	s->version = version;
	return !s->behind || s->searched;
}

int
store_reach(struct store *s, const struct store_batch *batch,
    const struct store_reader *reader)
{
	int64_t	first = INT64_MAX;
	size_t	i;

	for (i = 0; i < batch->ntouch; i++)
		if (batch->touch[i].since < first)
			first = batch->touch[i].since;
	if (first >= s->seen.cleaned || s->reached == s->seen.cleaned)
		return 1;
	/* Rows whose counts are invalid in the runs may still exist. */
	if (s->seen.oldest != STORE_OLDEST && !s->failed &&
	    store_forget_runs(s) == -1)
		return -1;
	s->reached = s->seen.cleaned;
	s->seen.changes = s->version = -1;
	return store_sync(s, reader);
}

int
store_catch_up(struct store *s, size_t max)
{
	const char	*id;
	size_t		 idlen;
	int		 more;

	sqlite_bind(s->db, ROWS, 1, s->read);
	sqlite_bind(s->db, ROWS, 2, (int64_t)max);
	while ((more = sqlite_step(s->db, ROWS)) == 1) {
		id = sqlite_column_text(s->db, ROWS, 1, &idlen);
		id = folded(s, id, idlen);
		memtable_add(s->tail, store_hash(s, id, idlen), id, idlen,
		    sqlite_column(s->db, ROWS, 2),
		    sqlite_column(s->db, ROWS, 3));
		s->read = sqlite_column(s->db, ROWS, 0);
		max--;
	}
	if (more == -1) {
		s->version = s->seen.changes = -1;
		return -1;
	}
	/* There were fewer rows than the maximum: those were the last. */
	if (max > 0 && (int64_t)s->tail->rows <= store_sizes.load)
		s->behind = false;
	return 0;
}

/* --- the first reading of an id --- */

struct reading {
	struct store			*s;
	struct store_touch		*touch;
	size_t				 index;
	uint64_t			 hash;
	const struct store_reader	*reader;
};

static void
reading_add(const struct reading *r, int64_t date, int64_t amount)
{
	const struct store_row	row = {
		.id = r->touch->id, .idlen = r->touch->idlen, .date = date,
		.amount = amount, .instance = "", .state = ""
	};

	if (date >= r->touch->since)
		r->reader->first(r->reader->arg, r->index, &row);
}

static bool
reading_same(const struct reading *r, const char *id, size_t idlen)
{
	return idlen == r->touch->idlen &&
	    memcmp(id, r->touch->id, idlen) == 0;
}

static int
reading_run(const struct reading *r, const struct run *run)
{
	struct pack		 pack;
	struct pack_count	 c;
	const char		*id;
	size_t			 idlen, part;
	int			 more;

	if (run->state != RUN_WHOLE || run->newest < run->since ||
	    run->newest < r->touch->since || !bloom_has(&run->filter, r->hash))
		return 0;
	part = run->bits == 0 ? 0 : (size_t)(r->hash >> (64 - run->bits));
	if ((more = store_open_part(r->s, run, part, &pack)) != 1)
		return more;
	while ((more = pack_next(&pack, &id, &idlen)) == 1) {
		if (!reading_same(r, id, idlen))
			continue;
		while ((more = pack_count(&pack, &c)) == 1)
			if (c.date >= run->since && c.date <= run->until)
				reading_add(r, c.date, c.amount);
		break;
	}
	return store_close_part(r->s, more);
}

static int
reading_corrections(const struct reading *r)
{
	struct sqlite	*db = r->s->db;
	const char	*id;
	size_t		 idlen;
	int		 more;

	sqlite_bind_text(db, CORRECTIONS, 1, r->touch->id, r->touch->idlen);
	sqlite_bind(db, CORRECTIONS, 2, r->touch->since);
	while ((more = sqlite_step(db, CORRECTIONS)) == 1) {
		id = sqlite_column_text(db, CORRECTIONS, 2, &idlen);
		id = folded(r->s, id, idlen);
		if (reading_same(r, id, idlen))
			reading_add(r, sqlite_column(db, CORRECTIONS, 0),
			    sqlite_column(db, CORRECTIONS, 1));
	}
	return more;
}

/*
 * While behind: reads rows after the horizon by the older program's index, as
 * far as the budget permits. The horizon may move before the rest is read, so
 * the cursor keeps its old value.
 */
static int
reading_rows(const struct reading *r, size_t *budget)
{
	struct store_cursor	*cursor = r->touch->cursor;
	struct sqlite		*db = r->s->db;
	int			 more;

	sqlite_bind_text(db, OLD_ROWS, 1, r->touch->id, r->touch->idlen);
	sqlite_bind(db, OLD_ROWS, 2, cursor->date);
	sqlite_bind(db, OLD_ROWS, 3, cursor->rowid);
	sqlite_bind(db, OLD_ROWS, 4, cursor->horizon);
	sqlite_bind(db, OLD_ROWS, 5, (int64_t)*budget);
	while ((more = sqlite_step(db, OLD_ROWS)) == 1) {
		cursor->rowid = sqlite_column(db, OLD_ROWS, 0);
		cursor->date = sqlite_column(db, OLD_ROWS, 1);
		reading_add(r, cursor->date, sqlite_column(db, OLD_ROWS, 2));
		--*budget;
	}
	cursor->loaded = more == 0 && *budget > 0;
	if (cursor->loaded)
		cursor->tail = cursor->place = 0;
	return more;
}

int
store_read_first(struct store *s, struct store_touch *touch, size_t index,
    size_t *budget, const struct store_reader *reader)
{
	const struct reading	 r = { s, touch, index,
		store_hash(s, touch->id, touch->idlen), reader };
	struct memtable *const	 tail[] = { s->frozen, s->tail };
	struct store_cursor	*cursor = touch->cursor;
	const struct pack_count	*c;
	size_t			 n, i;

	if (cursor->rowid != 0 && s->behind)
		return reading_rows(&r, budget);
	if (cursor->rowid != 0)
		reader->again(reader->arg, index);
	for (i = 0; i < s->nrun; i++)
		if (reading_run(&r, &s->run[i]) == -1)
			return -1;
	if (s->seen.corrected && reading_corrections(&r) == -1)
		return -1;
	if (s->behind) {
		cursor->horizon = s->seen.horizon;
		cursor->date = touch->since;
		return reading_rows(&r, budget);
	}
	for (i = 0; i < sizeof(tail) / sizeof(tail[0]); i++) {
		n = memtable_find(tail[i], r.hash, touch->id, touch->idlen, &c);
		for (; n > 0; n--, c++)
			reading_add(&r, c->date, c->amount);
	}
	cursor->loaded = true;
	return 0;
}
