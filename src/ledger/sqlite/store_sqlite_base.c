#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/map.h"

/* What the other files of this store call. */

struct store_sizes	store_sizes = {
	.tail = 50000, .chunk = 200000, .load = 100000, .recent = 20000,
	.copy = 100000
};

void
store_note(struct store *s)
{
	if (s->damaged)
		(void)strlcpy(s->error,
		    "a part of mail_part is damaged: the counts"
		    " are rebuilt from the rows",
		    sizeof(s->error));
	else
		(void)strlcpy(s->error, sqlite_error(s->db), sizeof(s->error));
}

/* --- store_shared.h --- */

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
		*c->changes = sqlite_changes(s->db);
	return more;
}

enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	enum store_result	result;
	size_t			i;

	/* A batch that cannot be written (store_begin) changes nothing. */
	if (frame == STORE_BATCH_WRITES && s->failed)
		return STORE_FAILED;
	if ((frame == STORE_READS || frame == STORE_WRITES) &&
	    (result = store_ready(s)) != STORE_OK)
		return result;
	if (frame == STORE_WRITES && sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	for (i = 0; i < n; i++)
		if (run_call(s, &c[i]) == -1)
			return store_failed(s);
	return frame == STORE_WRITES ? store_end(s, true) : STORE_OK;
}

/* --- numbers --- */

int
store_one(struct store *s, enum statement n, int64_t *out)
{
	if (sqlite_step(s->db, n) != 1)
		return -1;
	*out = sqlite_column(s->db, n, 0);
	sqlite_reset(s->db, n);
	return 0;
}

int
store_put_number(struct store *s, const char *name, int64_t value)
{
	sqlite_bind_text(s->db, SET_NUMBER, 1, name, strlen(name));
	sqlite_bind(s->db, SET_NUMBER, 2, value);
	return sqlite_step(s->db, SET_NUMBER);
}

int
store_find_number(struct store *s, const char *name, int64_t *value)
{
	int	more;

	*value = 0;
	sqlite_bind_text(s->db, NUMBER, 1, name, strlen(name));
	if ((more = sqlite_step(s->db, NUMBER)) == 1) {
		*value = sqlite_column(s->db, NUMBER, 0);
		sqlite_reset(s->db, NUMBER);
	}
	return more == -1 ? -1 : 0;
}

uint64_t
store_hash(const struct store *s, const char *id, size_t idlen)
{
	return map_siphash(s->key, id, idlen);
}
