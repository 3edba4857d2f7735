#include <string.h>

#include "ledger/schema.h"
#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"

/*
 * A batch: store_begin to store_commit. Rows are queued until the end of the
 * batch, so that one statement appends many of them: starting and ending a
 * statement costs SQLite as much as a row.
 */
#define MANY		16		/* rows of ROWS_MANY and TAGS_MANY */
#define COLUMNS		5		/* of a row */
#define NO_INSTANCE	"empty"		/* the older program's word */

/* --- the begin --- */

static int
read_batch(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	struct store_value	*v;
	struct store_pair	*p;
	size_t			 i, share, left = batch->budget, unread = 0;
	int			 more;

	for (i = 0; i < batch->ntouch; i++)
		unread += !batch->touch[i].cursor->loaded;
	/*
	 * Every id gets a share, so that charges do not wait for one id with
	 * many rows.
	 */
	for (i = 0; i < batch->ntouch; i++) {
		if (batch->touch[i].cursor->loaded)
			continue;
		share = left / unread-- + 1;
		left -= left < share ? left : share;
		if (store_read_first(s, &batch->touch[i], i, &share,
		    reader) == -1)
			return -1;
		left += share;
	}
	for (i = 0; i < batch->nvalue; i++) {
		v = &batch->value[i];
		v->date = -1;
		sqlite_bind_text(s->db, VALUE, 1, v->id, v->idlen);
		sqlite_bind_text(s->db, VALUE, 2, v->value, v->valuelen);
		if (store_find(s, VALUE, &v->date) == -1)
			return -1;
		/* No count includes a date that is being deleted. */
		if (v->date < s->seen.oldest || v->date > s->seen.newest)
			v->date = -1;
	}
	for (i = 0; i < batch->npair; i++) {
		p = &batch->pair[i];
		p->known.first = -1;
		more = store_run(s, PAIR, 3, (const int64_t[]) { p->who,
		    p->kind, p->what });
		if (more == -1)
			return -1;
		if (more == 0)
			continue;
		p->known.first = sqlite_column(s->db, PAIR, 0);
		p->known.last = sqlite_column(s->db, PAIR, 1);
		sqlite_reset(s->db, PAIR);
	}
	return 0;
}

enum store_result
store_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	int			known;

	s->reader = *reader;
	s->failed = false;
	s->nappend = 0;
	s->touch = batch->touch;
	/* Read everything again, as after a change by another program. */
	if (batch->forgotten)
		s->seen.changes = s->version = -1;
	result = store_ready(s);
	s->batched = s->now;
	if (result != STORE_OK)
		return result;
	/*
	 * Refusals only read, so a batch goes on with a file that cannot be
	 * written. Its commit then fails.
	 */
	if (sqlite_step(s->db, DO_BEGIN) != -1)
		s->failed = sqlite_is_readonly(s->db);
	else if (s->db->fault == SQLITE_FAULT_READONLY &&
	    sqlite_step(s->db, DO_READ) != -1)
		s->failed = true;
	else
		return store_failed(s);
	if ((known = store_sync(s, reader)) == 1)
		known = store_reach(s, batch, reader);
	if (known == -1)
		return store_failed(s);
	if (known == 0)
		return store_hurry(s);
	return read_batch(s, batch, reader) == -1 ? store_failed(s) : STORE_OK;
}

/* --- what is recorded --- */

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	struct appended	*a;

	s->append = alloc_room(s->append, s->nappend, &s->appends,
	    sizeof(s->append[0]));
	a = &s->append[s->nappend++];
	a->cursor = s->touch[touch].cursor;
	a->row = *row;
	if (row->instancelen == 0) {
		a->row.instance = NO_INSTANCE;
		a->row.instancelen = sizeof(NO_INSTANCE) - 1;
	}
}

void
store_see(struct store *s, const struct store_value *v)
{
	sqlite_bind_text(s->db, SEE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, SEE, 2, v->value, v->valuelen);
	sqlite_bind(s->db, SEE, 3, v->date);
	store_write(s, SEE);
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	if (!s->failed)
		s->failed = store_run(s, LEARN, 5, (const int64_t[]) { p->who,
		    p->kind, p->what, p->known.first, p->known.last }) == -1;
}

/* A hit that cannot be written does not make the batch fail. */
void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	const enum statement	hit = HIT + (int)kind;

	if (s->failed)
		return;
	sqlite_bind_text(s->db, hit, 1, id, idlen);
	sqlite_bind(s->db, hit, 2, seconds);
	if (sqlite_step(s->db, hit) != -1)
		return;
	s->failed = !sqlite_in_transaction(s->db);
	if (!s->failed)
		schema_hit_failed(s->hit_failed, kind, s->db->error);
}

/* --- the end --- */

/*
 * The first row's rowid is given explicitly: if the newest rows were deleted,
 * SQLite would choose a smaller one. It need not seek for those that follow.
 */
static void
write_rows(struct store *s)
{
	struct store_param	 list[MANY * COLUMNS], *p;
	const struct store_row	*row;
	enum statement		 n;
	size_t			 i = 0, end;

	while (i < s->nappend) {
		end = i > 0 && s->nappend - i >= MANY ? i + MANY : i + 1;
		n = i == 0 ? ROWS_FIRST : end == i + 1 ? ROWS_ONE : ROWS_MANY;
		p = list;
		if (i == 0)
			*p++ = (struct store_param){ .number = s->last + 1 };
		for (; i < end; i++) {
			row = &s->append[i].row;
			*p++ = (struct store_param){ row->id, row->idlen, 0 };
			*p++ = (struct store_param){ .number = row->date };
			*p++ = (struct store_param){ .number = row->amount };
			*p++ = (struct store_param){ row->instance,
			    row->instancelen, 0 };
			*p++ = (struct store_param){ row->state,
			    row->statelen, 0 };
		}
		sqlite_bind_list(s->db, n, list, (size_t)(p - list));
		store_write(s, n);
	}
}

/* The tags of the rows that have one, by rowid. */
static void
write_tags(struct store *s)
{
	enum statement	n;
	size_t		i, at = 0, count, left = 0;

	for (i = 0; i < s->nappend; i++)
		left += s->append[i].row.tag != 0;
	for (; left > 0; left -= count) {
		count = left < MANY ? 1 : MANY;
		n = count == 1 ? TAGS_ONE : TAGS_MANY;
		for (i = 0; i < count; at++) {
			if (s->append[at].row.tag == 0)
				continue;
			sqlite_bind(s->db, n, (int)i * 2 + 1,
			    s->last + 1 + (int64_t)at);
			sqlite_bind(s->db, n, (int)i * 2 + 2,
			    s->append[at].row.tag);
			i++;
		}
		store_write(s, n);
	}
}

/* Adds the committed rows to the tail. */
static void
rows_committed(struct store *s)
{
	const struct store_row	*row;
	struct store_cursor	*cursor;
	size_t			 i;

	s->last += (int64_t)s->nappend;
	s->cached = s->last;
	if (s->behind)
		return;
	s->read = s->last;
	for (i = 0; i < s->nappend; i++) {
		row = &s->append[i].row;
		cursor = s->append[i].cursor;
		if (cursor->tail == s->tails) {
			memtable_add_at(s->tail, (size_t)cursor->place,
			    row->date, row->amount);
			continue;
		}
		cursor->place = (int64_t)memtable_add(s->tail,
		    store_hash(s, row->id, row->idlen), row->id, row->idlen,
		    row->date, row->amount);
		cursor->tail = s->tails;
	}
}

enum store_result
store_commit(struct store *s, bool *later)
{
	*later = false;
	/* First: it may read rows, and must not read those of the batch. */
	store_work(s);
	write_rows(s);
	write_tags(s);
	if (!s->failed && sqlite_step(s->db, DO_COMMIT) == 0) {
		rows_committed(s);
		store_job_over(s, true);
		(void)store_copy_log(s, false);
		return STORE_OK;
	}
	store_job_over(s, false);
	return store_failed(s);
}

void
store_rollback(struct store *s)
{
	if (s->db != NULL)
		(void)sqlite_step(s->db, DO_ROLLBACK);
}
