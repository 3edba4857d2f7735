#include "ledger/sqlite/store_sqlite.h"

static bool
history_add(struct store *s, const struct store_refusal *r, int64_t *added)
{
	size_t	i;

	for (i = 0; i < STORE_REFUSAL_NUMBERS; i++)
		sqlite_bind(s->db, REFUSAL_NEW, (int)i + 1, r->number[i]);
	for (i = 0; i < STORE_REFUSAL_TEXTS; i++)
		sqlite_bind_text(s->db, REFUSAL_NEW,
		    STORE_REFUSAL_NUMBERS + (int)i + 1, r->text[i], r->len[i]);
	if (sqlite_step(s->db, REFUSAL_NEW) != 0)
		return false;
	*added += sqlite_changes(s->db);
	return true;
}

enum store_result
store_add_refusals(struct store *s, const struct store_refusal *list, size_t n,
    int64_t *added)
{
	enum store_result	result;
	bool			good = true;
	size_t			i;

	*added = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	for (i = 0; i < n && good; i++)
		good = history_add(s, &list[i], added);
	return store_end(s, good);
}

enum store_result
store_clean_refusals(struct store *s, const struct store_kept *kept,
    size_t max, int64_t *deleted)
{
	enum statement		n = kept != NULL ? REFUSALS_OLD :
				    TRIM_REFUSALS;
	enum store_result	result;

	*deleted = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	for (;; n = TRIM_OLDEST) {
		sqlite_bind(s->db, n, 1, (int64_t)max);
		if (kept != NULL) {
			sqlite_bind(s->db, n, 2, kept->first);
			sqlite_bind(s->db, n, 3, kept->last);
		}
		if (sqlite_step(s->db, n) == -1)
			return store_failed(s);
		*deleted = sqlite_changes(s->db);
		if (n != TRIM_REFUSALS || *deleted > 0)
			return store_end(s, true);
	}
}
