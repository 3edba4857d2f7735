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
