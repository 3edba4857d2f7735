#include <stdlib.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"

/* Nobody waits for the disk: a crash may lose the last rows. */
static void
history_begin(struct store *s)
{
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_BEGIN, NULL);
	pgsql_put(s->db, TAKE_LIGHTLY, NULL);
}

static void
history_put(struct store *s, const struct store_refusal *r)
{
	struct pgsql_params	p = { .count = 0 };
	struct pgsql_array	numbers, texts;
	size_t			i;

	pgsql_array_init(&numbers);
	pgsql_array_init(&texts);
	for (i = 0; i < STORE_REFUSAL_NUMBERS; i++)
		pgsql_array_number(&numbers, r->number[i]);
	for (i = 0; i < STORE_REFUSAL_TEXTS; i++)
		pgsql_array_text(&texts, r->text[i], r->len[i]);
	pgsql_add_array(&p, &numbers);
	pgsql_add_array(&p, &texts);
	pgsql_put(s->db, REFUSAL_NEW, &p);
	pgsql_array_clear(&numbers);
	pgsql_array_clear(&texts);
}

enum store_result
store_add_refusals(struct store *s, const struct store_refusal *list, size_t n,
    int64_t *added)
{
	size_t	i;
	int	good;

	*added = 0;
	history_begin(s);
	for (i = 0; i < n; i++)
		history_put(s, &list[i]);
	pgsql_put(s->db, DO_COMMIT, NULL);
	good = pgsql_take(s->db) != -1 && pgsql_take(s->db) != -1;
	for (i = 0; i < n && good; i++) {
		good = pgsql_take(s->db) != -1;
		*added += good ? pgsql_changes(s->db) : 0;
	}
	return pgsql_end(s->db) == 0 ? STORE_OK : store_failed(s);
}

static enum store_result
history_delete(struct store *s, enum statement n,
    const struct store_kept *kept, size_t max, int64_t *deleted)
{
	struct pgsql_params	p = { .count = 0 };

	pgsql_add_number(&p, (int64_t)max);
	if (kept != NULL) {
		pgsql_add_number(&p, kept->first);
		pgsql_add_number(&p, kept->last);
	}
	history_begin(s);
	pgsql_put(s->db, n, &p);
	pgsql_put(s->db, DO_COMMIT, NULL);
	if (pgsql_take(s->db) != -1 && pgsql_take(s->db) != -1 &&
	    pgsql_take(s->db) != -1)
		*deleted = pgsql_changes(s->db);
	return pgsql_end(s->db) == 0 ? STORE_OK : store_failed(s);
}

enum store_result
store_clean_refusals(struct store *s, const struct store_kept *kept,
    size_t max, int64_t *deleted)
{
	enum store_result	result;

	*deleted = 0;
	if (kept != NULL)
		return history_delete(s, REFUSALS_OLD, kept, max, deleted);
	result = history_delete(s, TRIM_REFUSALS, NULL, max, deleted);
	return result != STORE_OK || *deleted > 0 ? result :
	    history_delete(s, TRIM_OLDEST, NULL, max, deleted);
}
