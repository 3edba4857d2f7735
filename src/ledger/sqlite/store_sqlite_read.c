#include <string.h>

#include "ledger/sqlite/store_sqlite.h"

/*
 * The folded id of a row; valid until the next call. Our own ids are folded
 * already.
 */
static const char *
store_folded(struct store *s, const char *id, size_t idlen)
{
	size_t	from = 0, i;

	if (s->fold == FOLD_NONE)
		return id;
	if (s->fold == FOLD_VALUE) {
		while (from < idlen && id[from] != ':')
			from++;
		if (from == idlen)
			from = 0;
	}
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

/* The numbers of mail_state that are read with every batch. */
struct numbers {
	int64_t	changes;
	int64_t	horizon;
	int64_t	oldest;
	int64_t	newest;
	int64_t	cleaned;
	int64_t	runs;
	int64_t	fold;
	int64_t	key1;
	int64_t	key2;
};

static const struct {
	const char	*name;
	size_t		 at;
} watched[] = {
	{ "changes",	offsetof(struct numbers, changes) },
	{ "horizon",	offsetof(struct numbers, horizon) },
	{ "oldest",	offsetof(struct numbers, oldest) },
	{ "newest",	offsetof(struct numbers, newest) },
	{ "cleaned",	offsetof(struct numbers, cleaned) },
	{ "runs",	offsetof(struct numbers, runs) },
	{ "fold",	offsetof(struct numbers, fold) },
	{ "key1",	offsetof(struct numbers, key1) },
	{ "key2",	offsetof(struct numbers, key2) }
};

static int
store_numbers(struct store *s, struct numbers *n)
{
	const char	*name;
	size_t		 len, i;
	int64_t		 value;
	int		 more;

	memset(n, 0, sizeof(*n));
	while ((more = sqlite_step(s->db, NUMBERS)) == 1) {
		name = sqlite_column_text(s->db, NUMBERS, 0, &len);
		value = sqlite_column(s->db, NUMBERS, 1);
		for (i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
			if (strlen(watched[i].name) == len &&
			    memcmp(watched[i].name, name, len) == 0)
				memcpy((char *)n + watched[i].at, &value,
				    sizeof(value));
	}
	return more;
}

void
store_unload(struct store *s)
{
	store_job_drop(s);
	memtable_free(s->tail);
	memtable_free(s->frozen);
	s->tail = s->frozen = NULL;
}

int
store_same(struct store *s)
{
	int64_t	version;

	if (store_one(s, DATA_VERSION, &version) == -1)
		return -1;
	return version == s->version;
}

static void
store_read_row(struct store *s, enum statement n, struct store_row *row)
{
	row->id = sqlite_column_text(s->db, n, 1, &row->idlen);
	row->id = store_folded(s, row->id, row->idlen);
	row->date = sqlite_column(s->db, n, 2);
	row->amount = sqlite_column(s->db, n, 3);
	row->instance = sqlite_column_text(s->db, n, 4, &row->instancelen);
	if (row->instancelen == 5 && memcmp(row->instance, "empty", 5) == 0)
		row->instancelen = 0;
	row->tag = sqlite_column(s->db, n, 5);
	row->state = sqlite_column_text(s->db, n, 6, &row->statelen);
}

static void
store_tail_add(struct store *s, const struct store_row *row, int64_t rowid)
{
	memtable_add(s->tail, store_hash(s, row->id, row->idlen), row->id,
	    row->idlen, row->date, row->amount);
	s->read = rowid;
}

/* Reads the rows that the tail or the cache lacks. */
static int
store_read_news(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	int64_t			rowid;
	int			more;

	sqlite_bind(s->db, NEWS, 1, !s->behind && s->read < s->cached ?
	    s->read : s->cached);
	while ((more = sqlite_step(s->db, NEWS)) == 1) {
		rowid = sqlite_column(s->db, NEWS, 0);
		store_read_row(s, NEWS, &row);
		if (!s->behind && rowid > s->read)
			store_tail_add(s, &row, rowid);
		if (rowid > s->cached) {
			reader->news(reader->arg, &row);
			s->cached = rowid;
		}
	}
	return more;
}

/* Starts over after a change, or when there are too many new rows. */
static void
store_start_over(struct store *s, const struct store_reader *reader,
    int64_t last)
{
	reader->changed(reader->arg);
	store_unload(s);
	s->cached = last > store_sizes.recent ? last - store_sizes.recent : 0;
}

/* Whether the older program's index finds all rows of an id. */
static int
store_search(struct store *s)
{
	int64_t	upper = 0;

	s->searched = s->indexed;
	if (s->searched && s->fold != FOLD_NONE &&
	    store_one(s, UPPER, &upper) == -1)
		return -1;
	s->searched = s->searched && upper == 0;
	return 0;
}

static int
store_take_numbers(struct store *s, const struct numbers *n,
    const struct store_reader *reader, int64_t last)
{
	int64_t	corrected;

	if (n->changes != s->changes || last - s->cached > store_sizes.load)
		store_start_over(s, reader, last);
	if (n->horizon != s->horizon)
		store_unload(s);
	s->key[0] = (uint64_t)n->key1;
	s->key[1] = (uint64_t)n->key2;
	s->oldest = n->oldest;
	s->newest = n->newest;
	s->cleaned = n->cleaned;
	s->horizon = n->horizon;
	s->changes = n->changes;
	/*
	 * A rowid is never given out twice, even if the newest rows were
	 * deleted.
	 */
	s->last = last > n->horizon ? last : n->horizon;
	if (store_one(s, CORRECTED, &corrected) == -1)
		return -1;
	s->corrected = corrected != 0;
	if (n->runs != s->runs_version && store_read_runs(s) == -1)
		return -1;
	s->runs_version = n->runs;
	if (s->tail == NULL) {
		s->tail = memtable_new();
		s->tails++;
		s->read = s->horizon;
		s->behind = last - s->horizon > store_sizes.load;
		if (s->behind)
			return store_search(s);
	}
	return 0;
}

int
store_sync(struct store *s, const struct store_reader *reader)
{
	struct numbers	numbers;
	int64_t		version, schema, last;

	if (store_one(s, DATA_VERSION, &version) == -1)
		return -1;
	if (version == s->version)
		return !s->behind || s->searched;
	if (store_one(s, SCHEMA_VERSION, &schema) == -1)
		return -1;
	if (schema != s->schema) {
		s->moved = true;
		return 0;
	}
	if (store_numbers(s, &numbers) == -1)
		return -1;
	/* A daemon with another fold_case has replaced the runs. */
	if (numbers.fold != (int64_t)s->fold) {
		s->moved = true;
		return 0;
	}
	if (store_one(s, LAST, &last) == -1 ||
	    store_take_numbers(s, &numbers, reader, last) == -1 ||
	    store_read_news(s, reader) == -1) {
		/* Only a part was read: start over the next time. */
		s->changes = -1;
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
	if (first >= s->cleaned || s->reached == s->cleaned)
		return 1;
	/* Rows whose counts are invalid in the runs may still exist. */
	if (s->oldest != STORE_OLDEST && !s->failed &&
	    store_forget_runs(s) == -1)
		return -1;
	s->reached = s->cleaned;
	s->changes = s->version = -1;
	return store_sync(s, reader);
}

int
store_catch_up(struct store *s, size_t max)
{
	const char	*id;
	size_t		 idlen;
	int		 more;

	sqlite_bind(s->db, CHUNK, 1, s->read);
	sqlite_bind(s->db, CHUNK, 2, (int64_t)max);
	while ((more = sqlite_step(s->db, CHUNK)) == 1) {
		id = sqlite_column_text(s->db, CHUNK, 1, &idlen);
		id = store_folded(s, id, idlen);
		memtable_add(s->tail, store_hash(s, id, idlen), id, idlen,
		    sqlite_column(s->db, CHUNK, 2),
		    sqlite_column(s->db, CHUNK, 3));
		s->read = sqlite_column(s->db, CHUNK, 0);
		max--;
	}
	if (more == -1) {
		s->version = -1;
		s->changes = -1;
		return -1;
	}
	/* There were fewer rows than the maximum: those were the last. */
	if (max > 0 && (int64_t)memtable_rows(s->tail) <= store_sizes.load)
		s->behind = false;
	return 0;
}

/* --- the first reading of an id --- */

struct reading {
	struct store			*s;
	struct store_touch		*touch;
	size_t				 index;
	int64_t				 since;
	int64_t				 until;
	uint64_t			 hash;
	const struct store_reader	*reader;
};

static void
reading_add(struct reading *r, int64_t date, int64_t amount)
{
	struct store_row	row;

	if (date < r->since || date > r->until)
		return;
	memset(&row, 0, sizeof(row));
	row.id = r->touch->id;
	row.idlen = r->touch->idlen;
	row.date = date;
	row.amount = amount;
	row.instance = row.state = "";
	r->reader->first(r->reader->arg, r->index, &row);
}

/* Reads one part of a run. -1 also if it is malformed. */
static int
reading_part(struct reading *r, const void *bytes, size_t len)
{
	struct pack		 pack;
	struct pack_count	 c;
	const char		*id;
	size_t			 idlen;
	int			 more;

	pack_open(&pack, bytes, len);
	while ((more = pack_next(&pack, &id, &idlen)) == 1) {
		if (idlen != r->touch->idlen ||
		    memcmp(id, r->touch->id, idlen) != 0)
			continue;
		while ((more = pack_count(&pack, &c)) == 1)
			reading_add(r, c.date, c.amount);
		break;
	}
	if (more == -1)
		r->s->damaged = true;
	return more == -1 ? -1 : 0;
}

static int
reading_run(const struct reading *all, const struct run *run)
{
	struct reading	 here = *all, *r = &here;
	struct sqlite	*db = r->s->db;
	const void	*bytes;
	size_t		 len;
	int		 more, ret = 0;

	if (run->since > r->since)
		r->since = run->since;
	r->until = run->until;
	if (run->state != RUN_WHOLE || run->newest < r->since ||
	    !bloom_has(&run->filter, r->hash))
		return 0;
	sqlite_bind(db, PART, 1, (run->number << STORE_PART_BITS) +
	    (int64_t)(run->bits == 0 ? 0 : r->hash >> (64 - run->bits)));
	if ((more = sqlite_step(db, PART)) == 1) {
		bytes = sqlite_column_blob(db, PART, 0, &len);
		ret = reading_part(r, bytes, len);
		sqlite_reset(db, PART);
	}
	return more == -1 ? -1 : ret;
}

static int
reading_corrections(struct reading *r)
{
	struct sqlite	*db = r->s->db;
	const char	*id;
	size_t		 idlen;
	int		 more;

	if (!r->s->corrected)
		return 0;
	sqlite_bind_text(db, CORRECTIONS, 1, r->touch->id, r->touch->idlen);
	sqlite_bind(db, CORRECTIONS, 2, r->since);
	while ((more = sqlite_step(db, CORRECTIONS)) == 1) {
		id = sqlite_column_text(db, CORRECTIONS, 2, &idlen);
		id = store_folded(r->s, id, idlen);
		if (idlen == r->touch->idlen &&
		    memcmp(id, r->touch->id, idlen) == 0)
			reading_add(r, sqlite_column(db, CORRECTIONS, 0),
			    sqlite_column(db, CORRECTIONS, 1));
	}
	return more;
}

static void
reading_tail(struct reading *r, struct memtable *tail)
{
	const struct pack_count	*c;
	size_t			 n, i;

	if (tail == NULL)
		return;
	n = memtable_find(tail, r->hash, r->touch->id, r->touch->idlen, &c);
	for (i = 0; i < n; i++)
		reading_add(r, c[i].date, c[i].amount);
}

/*
 * While behind: reads rows after the horizon by the older program's index, as
 * far as the budget permits. The horizon may move before the rest is read, so
 * the cursor keeps its old value.
 */
static int
reading_rows(struct reading *r, size_t *budget)
{
	struct store_cursor	*cursor = r->touch->cursor;
	struct sqlite		*db = r->s->db;
	int			 more;

	sqlite_bind_text(db, OLD_ROWS, 1, r->touch->id, r->touch->idlen);
	sqlite_bind(db, OLD_ROWS, 2, cursor->date);
	sqlite_bind(db, OLD_ROWS, 3, cursor->position);
	sqlite_bind(db, OLD_ROWS, 4, cursor->base);
	sqlite_bind(db, OLD_ROWS, 5, (int64_t)*budget);
	while ((more = sqlite_step(db, OLD_ROWS)) == 1) {
		cursor->position = sqlite_column(db, OLD_ROWS, 0);
		cursor->date = sqlite_column(db, OLD_ROWS, 1);
		reading_add(r, cursor->date, sqlite_column(db, OLD_ROWS, 2));
		--*budget;
	}
	cursor->loaded = more == 0 && *budget > 0;
	if (cursor->loaded)
		cursor->tail = cursor->base = 0;
	return more;
}

int
store_read_first(struct store *s, struct store_touch *touch, size_t index,
    size_t *budget, const struct store_reader *reader)
{
	struct reading	r = { s, touch, index, touch->since, INT64_MAX, 0,
			    reader };
	size_t		i;

	if (touch->cursor->loaded || *budget == 0)
		return 0;
	if (touch->cursor->position != 0 && s->behind)
		return reading_rows(&r, budget);
	if (touch->cursor->position != 0)
		reader->again(reader->arg, index);
	r.hash = store_hash(s, touch->id, touch->idlen);
	for (i = 0; i < s->nrun; i++)
		if (reading_run(&r, &s->run[i]) == -1)
			return -1;
	if (reading_corrections(&r) == -1)
		return -1;
	if (s->behind) {
		touch->cursor->base = s->horizon;
		touch->cursor->date = r.since;
		return reading_rows(&r, budget);
	}
	reading_tail(&r, s->frozen);
	reading_tail(&r, s->tail);
	touch->cursor->loaded = true;
	return 0;
}
