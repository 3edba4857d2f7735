#include <stdlib.h>
#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/clock.h"

/* What the other files of this store call. */

#define RIVALS_MS	10000

/* --- faults --- */

void
store_rival(struct store *s)
{
	if (s->cluster)
		s->rivals = clock_after(clock_mono(), RIVALS_MS);
}

enum store_result
store_result(struct store *s)
{
	if (s->unlocked)
		return STORE_LOST;
	(void)strlcpy(s->error, s->db->error, sizeof(s->error));
	switch (s->db->fault) {
	case MYSQLDB_FAULT_BUSY:
		store_rival(s);
		return STORE_BUSY;
	case MYSQLDB_FAULT_LOST:
		return STORE_LOST;
	default:
		return STORE_FAILED;
	}
}

/* The next process writes the rows again. */
int
store_no_lock(struct store *s)
{
	(void)strlcpy(s->error, "rows of mail_lock are missing",
	    sizeof(s->error));
	s->unlocked = true;
	return -1;
}

void
store_rollback(struct store *s)
{
	foreign_give_back(&s->foreign);
	if (s->db->fault != MYSQLDB_FAULT_LOST)
		(void)mysqldb_rollback(s->db);
}

enum store_result
store_failed(struct store *s)
{
	enum store_result	result = store_result(s);

	if (result != STORE_LOST && mysqldb_rollback(s->db) == -1)
		return STORE_LOST;
	return result;
}

enum store_result
store_end(struct store *s, bool good)
{
	return good && mysqldb_commit(s->db) == 0 ? STORE_OK : store_failed(s);
}

/* --- the ids of a batch --- */

static int
touch_order(const void *a, const void *b)
{
	const struct store_touch	*x = *(struct store_touch *const *)a;
	const struct store_touch	*y = *(struct store_touch *const *)b;

	if (x->idlen != y->idlen)
		return x->idlen < y->idlen ? -1 : 1;
	return memcmp(x->id, y->id, x->idlen);
}

void
store_sort(struct store *s)
{
	size_t	i;

	for (i = 0; i < s->ntouch; i++)
		s->order[i] = &s->touch[i];
	/* At the start there is no array yet. */
	if (s->ntouch > 0)
		qsort(s->order, s->ntouch, sizeof(s->order[0]), touch_order);
}

int
store_find(const struct store *s, const char *id, size_t idlen, size_t *index)
{
	struct store_touch	 wanted = { .id = id, .idlen = idlen };
	struct store_touch	*key = &wanted, **found = NULL;

	if (s->ntouch > 0)
		found = bsearch(&key, s->order, s->ntouch, sizeof(key),
		    touch_order);
	if (found == NULL)
		return -1;
	*index = (size_t)(*found - s->touch);
	return 0;
}

/* --- rows --- */

void
store_columns(struct store *s, struct store_row *row)
{
	const struct store_line	line = { .store = s };

	row->id = mysqldb_column_text(s->db, 0, &row->idlen);
	store_line_row(&line, 1, row);
}
