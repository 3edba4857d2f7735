#include <string.h>

#include "ledger/sqlite/store_sqlite.h"

static void
bind_pair(struct store *s, enum statement n, const struct store_pair *p)
{
	sqlite_bind(s->db, n, 1, p->who);
	sqlite_bind(s->db, n, 2, p->kind);
	sqlite_bind(s->db, n, 3, p->what);
}

int
store_read_pairs(struct store *s, struct store_batch *batch)
{
	struct store_pair	*p;
	size_t			 i;
	int			 more;

	for (i = 0; i < batch->npair; i++) {
		p = &batch->pair[i];
		p->known.first = -1;
		bind_pair(s, PAIR, p);
		if ((more = sqlite_step(s->db, PAIR)) == -1)
			return -1;
		if (more == 0)
			continue;
		p->known.first = sqlite_column(s->db, PAIR, 0);
		p->known.last = sqlite_column(s->db, PAIR, 1);
		sqlite_reset(s->db, PAIR);
	}
	return 0;
}

static void
bind_learn(struct store *s, const struct store_pair *p)
{
	bind_pair(s, LEARN, p);
	sqlite_bind(s->db, LEARN, 4, p->known.first);
	sqlite_bind(s->db, LEARN, 5, p->known.last);
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	bind_learn(s, p);
	store_write(s, LEARN);
}

enum store_result
store_set_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	enum store_result	result;
	bool			good = true;
	size_t			i;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	for (i = 0; i < n && good; i++) {
		bind_learn(s, &list[i]);
		good = sqlite_step(s->db, LEARN) == 0;
	}
	return store_end(s, good);
}

/* The last key of the next step. */
static int
pairs_end(struct store *s, int64_t from, size_t max, int64_t *end)
{
	int	more;

	sqlite_bind(s->db, CLEAN_PAIRS_END, 1, from);
	sqlite_bind(s->db, CLEAN_PAIRS_END, 2, (int64_t)max - 1);
	*end = INT64_MAX;
	if ((more = sqlite_step(s->db, CLEAN_PAIRS_END)) == 1) {
		*end = sqlite_column(s->db, CLEAN_PAIRS_END, 0);
		sqlite_reset(s->db, CLEAN_PAIRS_END);
	}
	return more == -1 ? -1 : 0;
}

enum store_result
store_clean_pairs(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *who, int64_t *deleted)
{
	enum store_result	result;
	int64_t			end;
	bool			good;

	*deleted = 0;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	good = pairs_end(s, *who, max, &end) == 0;
	if (good) {
		sqlite_bind(s->db, CLEAN_PAIRS, 1, *who);
		sqlite_bind(s->db, CLEAN_PAIRS, 2, end);
		sqlite_bind(s->db, CLEAN_PAIRS, 3, kept->first);
		sqlite_bind(s->db, CLEAN_PAIRS, 4, kept->last);
		good = sqlite_step(s->db, CLEAN_PAIRS) == 0;
		*deleted = sqlite_changes(s->db);
	}
	if ((result = store_end(s, good)) == STORE_OK)
		*who = end;
	return result;
}
