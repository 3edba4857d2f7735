#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/clock.h"

/*
 * What is read and written beside the counts: the calls of store_shared.c, an
 * administrator's queries, and a scan of the rows.
 */

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

enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	enum store_result	result = STORE_OK;
	struct store_line	line = { .store = s };
	size_t			i;
	int			more;
	bool			own;

	/* A batch that cannot be written (store_begin) changes nothing. */
	if (frame == STORE_BATCH_WRITES && s->failed)
		return STORE_FAILED;
	own = frame == STORE_WRITES || frame == STORE_WRITES_LIGHTLY;
	if (own)
		result = store_begin_own(s);
	else if (frame == STORE_READS)
		result = store_ready(s);
	if (result != STORE_OK)
		return result;
	for (i = 0; i < n; i++, c++) {
		sqlite_bind_list(s->db, c->statement, c->param, c->nparam);
		line.place = c->statement;
		while ((more = sqlite_step(s->db, c->statement)) == 1)
			c->each(&line, c->arg);
		if (more == -1)
			return store_failed(s);
		if (c->changes != NULL)
			*c->changes += sqlite_changes(s->db);
	}
	return own ? store_end(s, true) : STORE_OK;
}

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	enum store_result	result;
	int64_t			until = INT64_MAX;
	size_t			i;

	if (timeout > 0)
		until = clock_after(clock_mono(), timeout).ns;
	if ((result = store_ready(s)) != STORE_OK)
		return result;
	for (i = 0; i < n; i++) {
		if (sqlite_query(s->db, query, until, list[i].id,
		    list[i].idlen, &list[i].text) != -1)
			continue;
		list[i].failed = true;
		(void)strlcpy(s->error, s->db->error, sizeof(s->error));
	}
	return STORE_OK;
}

enum store_result
store_rows(struct store *s, size_t max, int64_t *position, void (*each)(void *,
    const char *, size_t, int64_t, int64_t), void *arg)
{
	enum store_result	 result;
	const char		*id;
	size_t			 idlen, n;
	int			 more;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	sqlite_bind(s->db, ROWS, 1, *position == 0 ? INT64_MIN : *position);
	sqlite_bind(s->db, ROWS, 2, (int64_t)max);
	for (n = 0; (more = sqlite_step(s->db, ROWS)) == 1; n++) {
		*position = sqlite_column(s->db, ROWS, 0);
		id = sqlite_column_text(s->db, ROWS, 1, &idlen);
		if (id != NULL)
			each(arg, id, idlen, sqlite_column(s->db, ROWS, 2),
			    sqlite_column(s->db, ROWS, 3));
	}
	if (more == -1)
		return store_failed(s);
	if (n < max)
		*position = -1;
	return STORE_OK;
}
