#include <string.h>

#include "ledger/pgsql/store_pgsql.h"

/* What the other files of this store call. */

/* --- faults --- */

enum store_result
store_result(struct store *s)
{
	(void)strlcpy(s->error, s->db->error, sizeof(s->error));
	switch (s->db->fault) {
	case PGSQL_FAULT_BUSY:
		return STORE_BUSY;
	case PGSQL_FAULT_LOST:
		store_end_wait(s, s->db, s->unflushed ? NULL : s->flusher);
		return STORE_LOST;
	default:
		return STORE_FAILED;
	}
}

void
store_rollback(struct store *s)
{
	foreign_give_back(&s->foreign);
	if (s->db->fault == PGSQL_FAULT_LOST)
		return;
	pgsql_begin(s->db);
	pgsql_put(s->db, DO_ROLLBACK, NULL);
	(void)pgsql_end(s->db);
}

enum store_result
store_failed(struct store *s)
{
	enum store_result	result;

	(void)pgsql_end(s->db);
	result = store_result(s);
	store_rollback(s);
	return s->db->fault == PGSQL_FAULT_LOST ? STORE_LOST : result;
}

enum store_result
store_end(struct store *s)
{
	return pgsql_end(s->db) == 0 ? STORE_OK : store_result(s);
}

/* --- parameters and rows --- */

void
store_put(struct store *s, enum statement n, enum column first,
    enum column last)
{
	struct pgsql_params	p = { .count = 0 };
	enum column		c;

	for (c = first; c <= last; c++)
		pgsql_add_array(&p, &s->column[c]);
	pgsql_put(s->db, n, &p);
}

void
store_empty(struct store *s, enum column first, enum column last)
{
	enum column	c;

	for (c = first; c <= last; c++)
		pgsql_array_empty(&s->column[c]);
}

void
store_row(struct store *s, const struct store_touch *t, int row, int column,
    struct store_row *out)
{
	const struct store_line	line = { s, (size_t)row };

	out->id = t->id;
	out->idlen = t->idlen;
	store_line_row(&line, column, out);
}

int
store_alike(const struct store *s, int row, int rows)
{
	int	n;

	for (n = 1; row + n < rows && pgsql_column(s->db, row + n, 0) ==
	    pgsql_column(s->db, row, 0); n++)
		;
	return n;
}

/* --- what store_shared.h needs --- */

int64_t
store_line_number(const struct store_line *line, int column)
{
	return pgsql_column(line->store->db, (int)line->place, column);
}

const char *
store_line_text(const struct store_line *line, int column, size_t *len)
{
	return pgsql_column_text(line->store->db, (int)line->place, column,
	    len);
}

/* All calls are one pipeline; outside of a batch it is one transaction. */
enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	const struct store_param	*param;
	struct store_line		 line = { .store = s };
	struct pgsql_params		 p;
	size_t				 i, j, rows;
	int				 ret;

	pgsql_begin(s->db);
	if (frame == STORE_WRITES_LIGHTLY)
		pgsql_put(s->db, TAKE_LIGHTLY, NULL);
	for (i = 0; i < n; i++) {
		p.count = 0;
		for (j = 0; j < c[i].nparam; j++) {
			param = &c[i].param[j];
			if (param->text != NULL)
				pgsql_add_text(&p, param->text, param->len);
			else
				pgsql_add_number(&p, param->number);
		}
		pgsql_put(s->db, c[i].statement, &p);
	}
	if (frame == STORE_WRITES_LIGHTLY)
		(void)pgsql_take(s->db);
	for (i = 0; i < n; i++) {
		ret = pgsql_take(s->db);
		rows = ret > 0 ? (size_t)ret : 0;
		for (line.place = 0; line.place < rows; line.place++)
			c[i].each(&line, c[i].arg);
		if (ret != -1 && c[i].changes != NULL)
			*c[i].changes += pgsql_changes(s->db);
	}
	return store_end(s);
}
