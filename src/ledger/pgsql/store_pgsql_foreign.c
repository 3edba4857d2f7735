#include "ledger/pgsql/store_pgsql.h"

#define NOTES_MAX	1000	/* rows of mail_change to leave unmerged */

/* --- in a batch --- */

int
store_read_foreign(struct store *s, const struct store_batch *batch,
    const struct store_reader *reader)
{
	struct pgsql_params	 p = { .count = 0 };
	struct store_row	 row;
	struct store_touch	*t;
	size_t			 before, put = 0, at;
	int64_t			 k;
	int			 rows, i, j, n;

	if (!s->foreign.there)
		return 0;
	if (pgsql_end(s->db) == -1)
		return -1;
	pgsql_begin(s->db);
	/* Only ids that are loaded: others are not decided in this batch. */
	store_empty(s, FOREIGN_ID, FOREIGN_ID);
	for (at = 0; at < s->ntouch; at++) {
		t = &s->touch[at];
		if (!t->cursor->loaded)
			continue;
		s->index[put++] = at;
		pgsql_array_text(&s->column[FOREIGN_ID], t->id, t->idlen);
	}
	if (put == 0)
		return 0;
	pgsql_add_array(&p, &s->column[FOREIGN_ID]);
	pgsql_add_number(&p, s->foreign.fold);
	pgsql_add_number(&p, s->foreign.most + 1);
	pgsql_add_number(&p, batch->recent);
	pgsql_put(s->db, FOREIGN, &p);
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0; i < rows; i += n) {
		k = pgsql_column(s->db, i, 0);
		if (k < 1 || (uint64_t)k > put)
			return -1;
		at = s->index[k - 1];
		t = &s->touch[at];
		before = s->foreign.count;
		n = store_alike(s, i, rows);
		for (j = i; j < i + n; j++) {
			store_row(s, t, j, 1, &row);
			if (row.date >= t->since)
				foreign_borrow(&s->foreign, &row);
		}
		if (n > s->foreign.most) {
			foreign_cut(&s->foreign, before);
			reader->again(reader->arg, at);
		}
	}
	return 0;
}

/* --- between batches --- */

enum store_result
store_take_in(struct store *s, bool idle)
{
	struct pgsql_params	p = { .count = 0 };
	enum store_result	result;
	int64_t			taken = 0;
	int			i;

	if (!foreign_due(&s->foreign, idle))
		return STORE_OK;
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	pgsql_put(s->db, LOCK_ALL, NULL);
	pgsql_put(s->db, TAKE_LIGHTLY, NULL);
	pgsql_add_number(&p, s->foreign.fold);
	pgsql_add_number(&p, sums_sizes.step);
	pgsql_put(s->db, TAKE_IN, &p);
	if (s->notes > NOTES_MAX)
		pgsql_put(s->db, TAKE_NOTES, NULL);
	pgsql_put(s->db, DO_COMMIT, NULL);
	for (i = 0; i < 3 && pgsql_take(s->db) != -1; i++)
		;
	if (i == 3 && pgsql_take(s->db) == 1)
		taken = pgsql_column(s->db, 0, 0);
	if (pgsql_end(s->db) == -1) {
		result = store_failed(s);
		foreign_failed(&s->foreign, result, s->description, s->error);
		s->spoilt |= result == STORE_LOST;
		return result;
	}
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
