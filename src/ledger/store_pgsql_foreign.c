#include "ledger/store_pgsql.h"
#include "lib/log.h"

#define STEP_ROWS	1000	/* taken in by one transaction */
#define NOTES_MAX	1000	/* rows of mail_change that are left alone */
#define LOG_SECONDS	600

/* --- in a batch --- */

void
store_put_foreign(struct store *s)
{
	struct pgsql_params	p = { .count = 0 };
	size_t			i;

	store_empty(s, FOREIGN_ID, FOREIGN_ID);
	for (i = 0; i < s->ntouch; i++)
		pgsql_array_text(&s->column[FOREIGN_ID], s->touch[i].id,
		    s->touch[i].idlen);
	pgsql_add_array(&p, &s->column[FOREIGN_ID]);
	pgsql_add_number(&p, s->fold);
	pgsql_add_number(&p, FOREIGN_MAX + 1);
	pgsql_put(s->db, FOREIGN, &p);
}

/*
 * Rows of an id that is not known yet are not borrowed: it is not decided in
 * this batch.
 */
int
store_take_foreign(struct store *s)
{
	struct store_row	 row;
	struct store_touch	*t;
	int64_t			 n;
	int			 rows, i, same;

	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0, same = 0; i < rows; i++) {
		n = pgsql_column(s->db, i, 0);
		if (n < 1 || (uint64_t)n > s->ntouch)
			return -1;
		same = i > 0 && n == pgsql_column(s->db, i - 1, 0) ?
		    same + 1 : 1;
		if (same > FOREIGN_MAX)
			s->crowded = true;
		t = &s->touch[n - 1];
		if (!t->cursor->loaded)
			continue;
		store_row(s, t, i, 1, &row);
		if (row.date >= t->since)
			foreign_borrow(&s->foreign, &row);
	}
	return 0;
}

/* --- between batches --- */

static void
store_put_step(struct store *s)
{
	struct pgsql_params	p = { .count = 0 };

	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	pgsql_put(s->db, LOCK_ALL, NULL);
	pgsql_put(s->db, TAKE_LIGHTLY, NULL);
	pgsql_add_number(&p, s->fold);
	pgsql_add_number(&p, STEP_ROWS);
	pgsql_put(s->db, TAKE_IN, &p);
	if (s->notes > NOTES_MAX)
		pgsql_put(s->db, TAKE_NOTES, NULL);
	pgsql_put(s->db, DO_COMMIT, NULL);
}

/*
 * Another session that holds a row, or all of ours that are busy, let this step
 * fail: what it would have taken in is borrowed until the next.
 */
static enum store_result
store_step_failed(struct store *s)
{
	static struct log_limit	told;
	unsigned int		held;
	enum store_result	result = store_failed(s);

	foreign_taken(&s->foreign, false);
	if (result == STORE_FAILED && log_allowed(&told, LOG_SECONDS, &held))
		log_warning("%s: rows of other programs cannot be given"
		    " numbers, they are read with every request: %s",
		    s->description, s->error);
	s->spoilt |= result == STORE_LOST;
	return result;
}

enum store_result
store_take_in(struct store *s)
{
	int64_t	taken = 0;
	int	i;

	if (!foreign_due(&s->foreign))
		return STORE_OK;
	store_put_step(s);
	for (i = 0; i < 3 && pgsql_take(s->db) != -1; i++)
		;
	if (i == 3 && pgsql_take(s->db) == 1)
		taken = pgsql_column(s->db, 0, 0);
	if (pgsql_end(s->db) == -1)
		return store_step_failed(s);
	s->foreign.there = taken == STEP_ROWS;
	s->notes = 0;
	foreign_taken(&s->foreign, taken > 0);
	return STORE_OK;
}

int
store_idle(struct store *s)
{
	if (store_take_in(s) == STORE_LOST)
		return 0;
	return foreign_wait(&s->foreign);
}
