#include <string.h>

#include "ledger/store_sqlite.h"
#include "lib/alloc.h"

/*
 * What a batch records. Rows wait for the end of the batch, so that one
 * statement appends many of them: beginning and ending a statement costs SQLite
 * as much as a row does.
 */
#define COLUMNS		7
#define NO_INSTANCE	"empty"		/* the older program's word */

static void
write_statement(struct store *s, enum statement n)
{
	if (!s->failed && sqlite_step(s->db, n) == -1)
		s->failed = true;
}

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	struct appended	*a;

	if (s->nappend == s->appends) {
		s->appends = s->appends == 0 ? 64 : s->appends * 2;
		s->append = alloc_resize(s->append, s->appends,
		    sizeof(s->append[0]));
	}
	a = &s->append[s->nappend++];
	a->cursor = s->touch[touch].cursor;
	a->row = *row;
	if (row->instancelen == 0) {
		a->row.instance = NO_INSTANCE;
		a->row.instancelen = sizeof(NO_INSTANCE) - 1;
	}
}

/* Its columns in the order of the statement, the first at `at`. */
static void
bind_row(struct store *s, enum statement n, int at, const struct store_row *row)
{
	sqlite_bind(s->db, n, at, ++s->last);
	sqlite_bind_text(s->db, n, at + 1, row->id, row->idlen);
	sqlite_bind(s->db, n, at + 2, row->date);
	sqlite_bind(s->db, n, at + 3, row->amount);
	sqlite_bind_text(s->db, n, at + 4, row->instance, row->instancelen);
	sqlite_bind(s->db, n, at + 5, row->tag);
	sqlite_bind_text(s->db, n, at + 6, row->state, row->statelen);
}

void
store_write_rows(struct store *s)
{
	size_t	i, j;

	for (i = 0; s->nappend - i >= STORE_MANY; i += STORE_MANY) {
		for (j = 0; j < STORE_MANY; j++)
			bind_row(s, APPEND_MANY, (int)j * COLUMNS + 1,
			    &s->append[i + j].row);
		write_statement(s, APPEND_MANY);
	}
	for (; i < s->nappend; i++) {
		bind_row(s, APPEND, 1, &s->append[i].row);
		write_statement(s, APPEND);
	}
}

void
store_see(struct store *s, const struct store_value *v)
{
	sqlite_bind_text(s->db, SEE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, SEE, 2, v->value, v->valuelen);
	sqlite_bind(s->db, SEE, 3, v->date);
	write_statement(s, SEE);
}

/* --- after the commit --- */

/* The cursor tells nothing else here: it knows the id's place in the tail. */
static void
tail_row(struct store *s, const struct appended *a)
{
	struct store_cursor	*cursor = a->cursor;

	if (cursor->seen == s->tails) {
		tail_add_at(s->tail, (size_t)cursor->base, a->row.date,
		    a->row.amount);
		return;
	}
	cursor->base = (int64_t)tail_add(s->tail,
	    store_hash(s, a->row.id, a->row.idlen), a->row.id, a->row.idlen,
	    a->row.date, a->row.amount);
	cursor->seen = s->tails;
}

void
store_rows_committed(struct store *s)
{
	const struct store_cursor	*cursor;
	size_t				 i;

	for (i = 0; i < s->nappend && !s->behind; i++) {
		cursor = s->append[i].cursor;
		if (cursor->seen == s->tails)
			tail_ahead(s->tail, (size_t)cursor->base);
	}
	for (i = 0; i < s->nappend && !s->behind; i++)
		tail_row(s, &s->append[i]);
	if (!s->behind)
		s->read = s->last;
	s->told = s->last;
}
