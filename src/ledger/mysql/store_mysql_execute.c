#include "ledger/mysql/store_mysql.h"

/* What store_shared.h needs of this store. */

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
