#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"

static void
bind_pair(struct store *s, const struct store_pair *p)
{
	mysqldb_bind(s->db, p->who);
	mysqldb_bind(s->db, p->kind);
	mysqldb_bind(s->db, p->what);
}

static size_t
bind_wanted(struct store *s, size_t i)
{
	mysqldb_bind(s->db, (int64_t)i);
	bind_pair(s, &s->batch->pair[i]);
	return 1;
}

static int
take_pair(struct store *s, const struct store_reader *reader)
{
	int64_t			 i = mysqldb_column(s->db, 0);
	struct habit_pair	*known;

	(void)reader;
	if (i < 0 || (uint64_t)i >= s->batch->npair)
		return -1;
	known = &s->batch->pair[i].known;
	known->first = mysqldb_column(s->db, 1);
	known->last = mysqldb_column(s->db, 2);
	return 0;
}

int
store_read_pairs(struct store *s, const struct store_reader *reader)
{
	size_t	i;

	for (i = 0; i < s->batch->npair; i++)
		s->batch->pair[i].known.first = -1;
	return store_each(s, PAIR, s->batch->npair, store_bind_nothing,
	    bind_wanted, take_pair, reader);
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	if (s->npair == s->pairs) {
		s->pairs = s->pairs == 0 ? 16 : s->pairs * 2;
		s->pair = alloc_resize(s->pair, s->pairs, sizeof(s->pair[0]));
	}
	s->pair[s->npair++] = *p;
}

static size_t
bind_learn(struct store *s, size_t i)
{
	bind_pair(s, &s->pair[i]);
	mysqldb_bind(s->db, s->pair[i].known.first);
	mysqldb_bind(s->db, s->pair[i].known.last);
	return 1;
}

int
store_write_pairs(struct store *s)
{
	return store_each(s, LEARN, s->npair, store_bind_nothing, bind_learn,
	    NULL, NULL);
}

enum store_result
store_set_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	size_t	i;

	s->npair = 0;
	for (i = 0; i < n; i++)
		store_learn(s, &list[i]);
	return store_end(s, store_lock_ranges(s) == 0 &&
	    store_write_pairs(s) == 0);
}

/* The last key of the next step. */
static int
pairs_end(struct store *s, int64_t from, size_t max, int64_t *end)
{
	int	more;

	mysqldb_begin(s->db, CLEAN_PAIRS_END);
	mysqldb_bind(s->db, from);
	mysqldb_bind(s->db, (int64_t)max - 1);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	*end = INT64_MAX;
	if ((more = mysqldb_next(s->db)) == 1) {
		*end = mysqldb_column(s->db, 0);
		more = mysqldb_next(s->db);
	}
	return more;
}

enum store_result
store_clean_pairs(struct store *s, const struct store_kept *kept, size_t max,
    int64_t *who, int64_t *deleted)
{
	enum store_result	result;
	int64_t			end = INT64_MAX, gone = 0;
	bool			good;

	*deleted = 0;
	good = store_lock_ranges(s) == 0 && pairs_end(s, *who, max, &end) == 0;
	if (good) {
		mysqldb_begin(s->db, CLEAN_PAIRS);
		mysqldb_bind(s->db, *who);
		mysqldb_bind(s->db, end);
		mysqldb_bind(s->db, kept->first);
		mysqldb_bind(s->db, kept->last);
		good = mysqldb_run(s->db, 0) == 0;
	}
	if (good)
		gone = mysqldb_changes(s->db);
	if ((result = store_end(s, good)) != STORE_OK)
		return result;
	*deleted = gone;
	*who = end;
	return STORE_OK;
}
