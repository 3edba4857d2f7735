#include "ledger/sqlite/store_sqlite.h"

/* What store_shared.h needs of this store. */

int64_t
store_line_number(const struct store_line *line, int column)
{
	return sqlite_column(line->store->db, line->place, column);
}

const char *
store_line_text(const struct store_line *line, int column, size_t *len)
{
	return sqlite_column_text(line->store->db, line->place, column, len);
}

static int
run_call(struct store *s, const struct store_call *c)
{
	const struct store_line		 line = { s, c->statement };
	const struct store_param	*p;
	int				 i, more;

	for (i = 0; i < (int)c->nparam; i++) {
		p = &c->param[i];
		if (p->text != NULL)
			sqlite_bind_text(s->db, c->statement, i + 1, p->text,
			    p->len);
		else
			sqlite_bind(s->db, c->statement, i + 1, p->number);
	}
	while ((more = sqlite_step(s->db, c->statement)) == 1)
		c->each(&line, c->arg);
	if (more == 0 && c->changes != NULL)
		*c->changes += sqlite_changes(s->db);
	return more;
}

enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	enum store_result	result;
	size_t			i;
	bool			own;

	/* A batch that cannot be written (store_begin) changes nothing. */
	if (frame == STORE_BATCH_WRITES && s->failed)
		return STORE_FAILED;
	own = frame == STORE_WRITES || frame == STORE_WRITES_LIGHTLY;
	if ((own || frame == STORE_READS) &&
	    (result = store_ready(s)) != STORE_OK)
		return result;
	if (own && sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	for (i = 0; i < n; i++)
		if (run_call(s, &c[i]) == -1)
			return store_failed(s);
	return own ? store_end(s, true) : STORE_OK;
}
