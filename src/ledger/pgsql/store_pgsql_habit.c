#include "ledger/pgsql/store_pgsql.h"

static void
add_pair(struct store *s, enum column first, const struct store_pair *p)
{
	pgsql_array_number(&s->column[first], p->who);
	pgsql_array_number(&s->column[first + 1], p->kind);
	pgsql_array_number(&s->column[first + 2], p->what);
}

void
store_put_pairs(struct store *s, const struct store_batch *batch)
{
	size_t	i;

	if (batch->npair == 0)
		return;
	store_empty(s, PAIR_WHO, PAIR_WHAT);
	for (i = 0; i < batch->npair; i++)
		add_pair(s, PAIR_WHO, &batch->pair[i]);
	store_put(s, PAIR, PAIR_WHO, PAIR_WHAT);
}

int
store_take_pairs(struct store *s, struct store_batch *batch)
{
	int64_t	n;
	size_t	j;
	int	rows, i;

	for (j = 0; j < batch->npair; j++)
		batch->pair[j].known.first = -1;
	if (batch->npair == 0)
		return 0;
	if ((rows = pgsql_take(s->db)) == -1)
		return -1;
	for (i = 0; i < rows; i++) {
		n = pgsql_column(s->db, i, 0);
		if (n < 1 || (uint64_t)n > batch->npair)
			return -1;
		batch->pair[n - 1].known.first = pgsql_column(s->db, i, 1);
		batch->pair[n - 1].known.last = pgsql_column(s->db, i, 2);
	}
	return 0;
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	add_pair(s, LEARN_WHO, p);
	pgsql_array_number(&s->column[LEARN_SINCE], p->known.first);
	pgsql_array_number(&s->column[LEARN_SEEN], p->known.last);
}

enum store_result
store_set_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	size_t	i;

	store_empty(s, LEARN_WHO, LEARN_SEEN);
	for (i = 0; i < n; i++)
		store_learn(s, &list[i]);
	pgsql_begin(s->db);
	store_put(s, LEARN, LEARN_WHO, LEARN_SEEN);
	return store_end(s);
}

enum store_result
store_clean_pairs(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *who, int64_t *deleted)
{
	struct pgsql_params	p = { .count = 0 };
	int64_t			end = INT64_MAX;

	*deleted = 0;
	pgsql_add_number(&p, *who);
	pgsql_add_number(&p, (int64_t)max - 1);
	pgsql_add_number(&p, kept->first);
	pgsql_add_number(&p, kept->last);
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	pgsql_put(s->db, CLEAN_LIGHTLY, NULL);
	pgsql_put(s->db, CLEAN_PAIRS, &p);
	pgsql_put(s->db, DO_COMMIT, NULL);
	if (pgsql_take(s->db) != -1 && pgsql_take(s->db) != -1 &&
	    pgsql_take(s->db) == 1) {
		*deleted = pgsql_column(s->db, 0, 0);
		end = pgsql_column(s->db, 0, 1);
	}
	if (pgsql_end(s->db) == -1)
		return store_failed(s);
	*who = end;
	return STORE_OK;
}
