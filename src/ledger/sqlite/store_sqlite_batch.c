#include "ledger/schema.h"
#include "ledger/sqlite/store_sqlite.h"
#include "lib/clock.h"

static int
store_read_value(struct store *s, struct store_value *v)
{
	int	more;

	v->date = -1;
	sqlite_bind_text(s->db, VALUE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, VALUE, 2, v->value, v->valuelen);
	if ((more = sqlite_step(s->db, VALUE)) == 1) {
		v->date = sqlite_column(s->db, VALUE, 0);
		sqlite_reset(s->db, VALUE);
		/* No count includes this date any more. */
		if (v->date < s->seen.oldest || v->date > s->seen.newest)
			v->date = -1;
	}
	return more == -1 ? -1 : 0;
}

static int
store_read_batch(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	size_t	i, share, left = batch->budget, unread = 0;

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
	for (i = 0; i < batch->nvalue; i++)
		if (store_read_value(s, &batch->value[i]) == -1)
			return -1;
	return store_read_pairs(s, batch);
}

/*
 * Refusals only read, so a batch goes on with a file that cannot be written.
 * Its commit then fails.
 */
static int
store_begin_any(struct store *s)
{
	if (sqlite_step(s->db, DO_BEGIN) != -1) {
		s->failed = sqlite_is_readonly(s->db);
		return 0;
	}
	if (sqlite_fault(s->db) != SQLITE_FAULT_READONLY)
		return -1;
	s->failed = true;
	return sqlite_step(s->db, DO_READ);
}

enum store_result
store_begin(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	enum store_result	result;
	int			known;

	s->reader = *reader;
	s->batched = clock_mono().ns;
	s->failed = false;
	s->nappend = 0;
	s->touch = batch->touch;
	/* Read everything again, as after a change by another program. */
	if (batch->forgotten)
		s->seen.changes = s->version = -1;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (store_begin_any(s) == -1 ||
	    (known = store_sync(s, reader)) == -1)
		return store_failed(s);
	if (known == 1 && (known = store_reach(s, batch, reader)) == -1)
		return store_failed(s);
	if (known == 0)
		return store_hurry(s);
	if (store_read_batch(s, batch, reader) == -1)
		return store_failed(s);
	s->before = s->last;
	return STORE_OK;
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
		schema_hit_failed(s->hit_failed, kind, sqlite_error(s->db));
}

enum store_result
store_commit(struct store *s, bool *later)
{
	*later = false;
	store_write_rows(s);
	store_work(s);
	if (!s->failed && sqlite_step(s->db, DO_COMMIT) == 0) {
		store_rows_committed(s);
		store_job_over(s, true);
		(void)store_copy_log(s, false);
		return STORE_OK;
	}
	store_job_over(s, false);
	s->last = s->before;
	return store_failed(s);
}

void
store_rollback(struct store *s)
{
	if (s->db == NULL)
		return;
	s->last = s->before;
	store_job_over(s, false);
	(void)sqlite_step(s->db, DO_ROLLBACK);
}

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	enum store_result	result;
	int64_t			until = INT64_MAX;
	size_t			i;

	if (timeout > 0)
		until = clock_after(clock_mono(), timeout).ns;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	for (i = 0; i < n; i++) {
		if (sqlite_query(s->db, query, until, list[i].id,
		    list[i].idlen, &list[i].text) != -1)
			continue;
		list[i].failed = true;
		store_note(s);
	}
	return STORE_OK;
}
