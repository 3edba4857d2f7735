#include "ledger/mysql/store_mysql.h"

#define ITEMS	32		/* rows in one statement */

static int
history_add(struct store *s, const struct store_refusal *list, size_t n,
    int64_t *added)
{
	size_t	i, j;

	mysqldb_begin(s->db, REFUSAL_NEW);
	for (i = 0; i < n; i++) {
		for (j = 0; j < STORE_REFUSAL_NUMBERS; j++)
			mysqldb_bind(s->db, list[i].number[j]);
		for (j = 0; j < STORE_REFUSAL_TEXTS; j++)
			mysqldb_bind_text(s->db, list[i].text[j],
			    list[i].len[j]);
	}
	if (mysqldb_run(s->db, n) == -1)
		return -1;
	*added += mysqldb_changes(s->db);
	return 0;
}

enum store_result
store_add_refusals(struct store *s, const struct store_refusal *list, size_t n,
    int64_t *added)
{
	bool	good = true;
	size_t	i, piece;

	*added = 0;
	for (i = 0; i < n && good; i += piece) {
		piece = n - i < ITEMS ? n - i : ITEMS;
		good = history_add(s, list + i, piece, added) == 0;
	}
	return store_end(s, good);
}

enum store_result
store_refusals(struct store *s, const struct store_page *page,
    void (*each)(void *, const struct store_refusal *), void *arg)
{
	struct store_refusal	r;
	size_t			i;
	int			more;

	mysqldb_begin(s->db, page->id != NULL ? REFUSALS_OF : REFUSALS);
	if (page->id != NULL)
		mysqldb_bind_text(s->db, page->id, page->idlen);
	mysqldb_bind(s->db, page->date);
	mysqldb_bind(s->db, page->date);
	mysqldb_bind(s->db, page->number);
	mysqldb_bind(s->db, page->since);
	mysqldb_bind(s->db, (int64_t)page->max);
	if (mysqldb_run(s->db, 0) == -1)
		return store_failed(s);
	while ((more = mysqldb_next(s->db)) == 1) {
		for (i = 0; i < STORE_REFUSAL_NUMBERS; i++)
			r.number[i] = mysqldb_column(s->db, i);
		for (i = 0; i < STORE_REFUSAL_TEXTS; i++) {
			r.text[i] = mysqldb_column_text(s->db,
			    STORE_REFUSAL_NUMBERS + i, &r.len[i]);
			if (r.text[i] == NULL)
				r.text[i] = "";
		}
		each(arg, &r);
	}
	return store_end(s, more == 0);
}

/* Deletes with a statement whose parameters are `date`, if given, and `max`. */
static int
history_delete(struct store *s, enum statement n, const int64_t *date,
    size_t max, int64_t *deleted)
{
	mysqldb_begin(s->db, n);
	if (date != NULL)
		mysqldb_bind(s->db, *date);
	mysqldb_bind(s->db, (int64_t)max);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	*deleted = mysqldb_changes(s->db);
	return 0;
}

enum store_result
store_clean_refusals(struct store *s, const struct store_kept *kept,
    size_t max, int64_t *deleted)
{
	int	ret;

	*deleted = 0;
	ret = history_delete(s, kept != NULL ? REFUSALS_OLD : TRIM_REFUSALS,
	    kept != NULL ? &kept->first : NULL, max, deleted);
	if (ret == 0 && *deleted == 0)
		ret = history_delete(s, kept != NULL ? REFUSALS_AHEAD :
		    TRIM_OLDEST, kept != NULL ? &kept->last : NULL, max,
		    deleted);
	return store_end(s, ret == 0);
}

enum store_result
store_count_refusals(struct store *s, int64_t *count)
{
	int	more;

	*count = 0;
	mysqldb_begin(s->db, REFUSALS_COUNT);
	more = mysqldb_run(s->db, 0);
	if (more == 0 && (more = mysqldb_next(s->db)) == 1) {
		*count = mysqldb_column(s->db, 0);
		more = mysqldb_next(s->db);
	}
	return store_end(s, more == 0);
}
