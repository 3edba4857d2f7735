#include <stdlib.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"

/* What store_shared.h needs of this store. */

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

static void
put_call(struct store *s, const struct store_call *c)
{
	struct pgsql_params	 p = { .count = 0 };
	char			*text[STORE_PARAMS];
	size_t			 i;

	for (i = 0; i < c->nparam; i++) {
		text[i] = NULL;
		if (c->param[i].text == NULL) {
			pgsql_add_number(&p, c->param[i].number);
			continue;
		}
		text[i] = alloc_copy(c->param[i].text, c->param[i].len);
		pgsql_add_text(&p, text[i]);
	}
	pgsql_put(s->db, c->statement, &p);
	for (i = 0; i < c->nparam; i++)
		free(text[i]);
}

/* All calls are one pipeline, in a batch or not. */
enum store_result
store_execute(struct store *s, enum store_frame frame,
    const struct store_call *c, size_t n)
{
	struct store_line	line = { .store = s };
	size_t			i, rows;
	int			ret;

	(void)frame;
	pgsql_begin(s->db);
	for (i = 0; i < n; i++)
		put_call(s, &c[i]);
	for (i = 0; i < n; i++) {
		ret = pgsql_take(s->db);
		rows = ret > 0 ? (size_t)ret : 0;
		for (line.place = 0; line.place < rows; line.place++)
			c[i].each(&line, c[i].arg);
		if (ret != -1 && c[i].changes != NULL)
			*c[i].changes = pgsql_changes(s->db);
	}
	return store_end(s);
}
