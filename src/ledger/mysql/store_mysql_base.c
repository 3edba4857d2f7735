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

int
store_compare(const char *a, size_t alen, const char *b, size_t blen)
{
	if (alen != blen)
		return alen < blen ? -1 : 1;
	return memcmp(a, b, alen);
}

int
store_find(const struct store *s, const char *id, size_t idlen, size_t *index)
{
	const struct store_touch	*t;
	size_t				 low = 0, high = s->ntouch, middle;
	int				 order;

	while (low < high) {
		middle = low + (high - low) / 2;
		t = s->order[middle];
		order = store_compare(id, idlen, t->id, t->idlen);
		if (order == 0) {
			*index = (size_t)(t - s->touch);
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

/* --- rows --- */

void
store_columns(struct store *s, struct store_row *row)
{
	memset(row, 0, sizeof(*row));
	row->id = mysqldb_column_text(s->db, 0, &row->idlen);
	row->date = mysqldb_column(s->db, 1);
	row->amount = mysqldb_column(s->db, 2);
	row->instance = mysqldb_column_text(s->db, 3, &row->instancelen);
	if (row->instance == NULL || (row->instancelen == 5 &&
	    memcmp(row->instance, "empty", 5) == 0)) {
		row->instance = "";
		row->instancelen = 0;
	}
	row->tag = mysqldb_column(s->db, 4);
	row->state = "";
}
