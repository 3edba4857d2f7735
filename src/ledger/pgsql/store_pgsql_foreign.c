#include "ledger/pgsql/store_pgsql.h"

#define NOTES_MAX	1000	/* rows of mail_change to leave unmerged */

/* --- in a batch --- */

/* Only ids that are loaded: the others are not decided in this batch. */
static size_t
store_put_foreign(struct store *s, const struct store_batch *batch)
{
	struct pgsql_params	p = { .count = 0 };
	size_t			i, n = 0;

	store_empty(s, FOREIGN_ID, FOREIGN_ID);
	for (i = 0; i < s->ntouch; i++) {
		if (!s->touch[i].cursor->loaded)
			continue;
		s->index[n++] = i;
		pgsql_array_text(&s->column[FOREIGN_ID], s->touch[i].id,
		    s->touch[i].idlen);
	}
	if (n == 0)
		return 0;
	pgsql_add_array(&p, &s->column[FOREIGN_ID]);
	pgsql_add_number(&p, s->fold);
	pgsql_add_number(&p, s->foreign.most + 1);
	pgsql_add_number(&p, batch->recent);
	pgsql_put(s->db, FOREIGN, &p);
	return n;
}

int
store_read_foreign(struct store *s, const struct store_batch *batch,
    const struct store_reader *reader)
{
	struct store_row	 row;
	struct store_touch	*t;
	size_t			 before, put;
	int64_t			 k;
	int			 rows, i, j, n;

	if (!s->foreign.there)
		return 0;
	if (pgsql_end(s->db) == -1)
		return -1;
	pgsql_begin(s->db);
	if ((put = store_put_foreign(s, batch)) == 0)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0; i < rows; i += n) {
		k = pgsql_column(s->db, i, 0);
		if (k < 1 || (uint64_t)k > put)
			return -1;
		t = &s->touch[s->index[k - 1]];
		before = s->foreign.count;
		n = store_alike(s, i, rows);
		for (j = i; j < i + n; j++) {
			store_row(s, t, j, 1, &row);
			if (row.date >= t->since)
				foreign_borrow(&s->foreign, &row);
		}
		if (n > s->foreign.most) {
			foreign_cut(&s->foreign, before);
			reader->again(reader->arg, s->index[k - 1]);
		}
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
	pgsql_add_number(&p, sums_sizes.step);
	pgsql_put(s->db, TAKE_IN, &p);
	if (s->notes > NOTES_MAX)
		pgsql_put(s->db, TAKE_NOTES, NULL);
	pgsql_put(s->db, DO_COMMIT, NULL);
}

static enum store_result
store_step_failed(struct store *s)
{
	enum store_result	result = store_failed(s);

	foreign_failed(&s->foreign, result, s->description, s->error);
	s->spoilt |= result == STORE_LOST;
	return result;
}

enum store_result
store_take_in(struct store *s, bool idle)
{
	int64_t	taken = 0;
	int	i;

	if (!foreign_due(&s->foreign, idle))
		return STORE_OK;
	store_put_step(s);
	for (i = 0; i < 3 && pgsql_take(s->db) != -1; i++)
		;
	if (i == 3 && pgsql_take(s->db) == 1)
		taken = pgsql_column(s->db, 0, 0);
	if (pgsql_end(s->db) == -1)
		return store_step_failed(s);
	s->foreign.there = taken == sums_sizes.step;
	s->notes = 0;
	foreign_taken(&s->foreign, taken > 0);
	return STORE_OK;
}

int
store_idle(struct store *s)
{
	if (store_take_in(s, true) == STORE_LOST)
		return 0;
	return foreign_wait(&s->foreign);
}
