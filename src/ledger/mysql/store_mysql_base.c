#include <string.h>

#include "ledger/mysql/store_mysql.h"

/* What the other files of this store call. */

/* --- faults --- */

enum store_result
store_result(struct store *s)
{
	if (s->unlocked)
		return STORE_LOST;
	(void)strlcpy(s->error, mysqldb_error(s->db), sizeof(s->error));
	switch (mysqldb_fault(s->db)) {
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

/* --- store_shared.h --- */

int64_t
store_line_number(const struct store_line *line, int column)
{
	return mysqldb_column(line->store->db, (size_t)column);
}

const char *
store_line_text(const struct store_line *line, int column, size_t *len)
{
	return mysqldb_column_text(line->store->db, (size_t)column, len);
}

static bool
locks_ranges(enum store_statement n)
{
	return n == VALUES_GONE || n == PAIR_GONE || n == PAIRS_FORGOTTEN;
}

static int
run_call(struct store *s, const struct store_call *c)
{
	const struct store_line	line = { .store = s };
	size_t			i;
	int			more = 0;

	mysqldb_begin(s->db, c->statement);
	for (i = 0; i < c->nparam; i++)
		if (c->param[i].text != NULL)
			mysqldb_bind_text(s->db, c->param[i].text,
			    c->param[i].len);
		else
			mysqldb_bind(s->db, c->param[i].number);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	while (c->each != NULL && (more = mysqldb_next(s->db)) == 1)
		c->each(&line, c->arg);
	if (c->changes != NULL)
		*c->changes = mysqldb_changes(s->db);
	return more;
}

enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	bool	good;
	size_t	i;

	good = !locks_ranges(c[0].statement) || store_lock_ranges(s) == 0;
	for (i = 0; i < n && good; i++)
		good = run_call(s, &c[i]) == 0;
	if (frame == STORE_READS || frame == STORE_WRITES)
		return store_end(s, good);
	return good ? STORE_OK : store_result(s);
}

/* --- the ids of a batch --- */

int
store_compare(const char *a, size_t alen, const char *b, size_t blen)
{
	if (alen != blen)
		return alen < blen ? -1 : 1;
	return memcmp(a, b, alen);
}

/* 0, or -1: the batch does not touch this id. */
int
store_find(const struct store *s, const char *id, size_t idlen, size_t *index)
{
	const struct store_touch	*t;
	size_t				 low = 0, high = s->ntouch, middle;
	int				 order;

	while (low < high) {
		middle = low + (high - low) / 2;
		t = &s->touch[s->order[middle]];
		order = store_compare(id, idlen, t->id, t->idlen);
		if (order == 0) {
			*index = s->order[middle];
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

/* --- statements about many things --- */

void
store_bind_nothing(struct store *s)
{
	(void)s;
}

/*
 * Only the last run has fewer items than the most, so its size follows from the
 * count.
 */
int
store_each(struct store *s, enum statement n, size_t count,
    void (*before)(struct store *), store_binder *binder,
    int (*take)(struct store *, const struct store_reader *),
    const struct store_reader *reader)
{
	size_t	most = mysqldb_most(s->db, n), i = 0, items;
	int	more = 0;

	while (i < count) {
		mysqldb_begin(s->db, n);
		before(s);
		for (items = 0; i < count && items < most; i++)
			items += binder(s, i);
		if (items == 0)
			break;
		if (mysqldb_run(s->db, items) == -1)
			return -1;
		while (take != NULL && (more = mysqldb_next(s->db)) == 1)
			if (take(s, reader) == -1)
				return -1;
		if (more == -1)
			return -1;
	}
	return 0;
}

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
