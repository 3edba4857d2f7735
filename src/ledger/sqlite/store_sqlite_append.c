#include <string.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"

/*
 * Writes what a batch records. Rows are queued until the end of the batch, so
 * that one statement appends many of them: starting and ending a statement
 * costs SQLite as much as a row.
 */
#define COLUMNS		5		/* after the rowid */
#define NO_INSTANCE	"empty"		/* the older program's word */

void
store_write(struct store *s, int n)
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

/* Binds a row's columns, the first at parameter `at`. */
static void
bind_row(struct store *s, enum statement n, int at, const struct store_row *row)
{
	sqlite_bind_text(s->db, n, at, row->id, row->idlen);
	sqlite_bind(s->db, n, at + 1, row->date);
	sqlite_bind(s->db, n, at + 2, row->amount);
	sqlite_bind_text(s->db, n, at + 3, row->instance, row->instancelen);
	sqlite_bind_text(s->db, n, at + 4, row->state, row->statelen);
}

/* Writes rows that follow the one before them: SQLite need not seek. */
static void
write_rows(struct store *s, enum statement n, size_t first, size_t count)
{
	size_t	i;

	for (i = 0; i < count; i++)
		bind_row(s, n, (int)i * COLUMNS + 1, &s->append[first + i].row);
	store_write(s, n);
}

/*
 * The first row's rowid is given explicitly: if the newest rows were deleted,
 * SQLite would choose a smaller one.
 */
static void
write_first(struct store *s)
{
	sqlite_bind(s->db, APPEND, 1, s->last + 1);
	bind_row(s, APPEND, 2, &s->append[0].row);
	store_write(s, APPEND);
}

/* Writes the tags of the next `count` rows that have one, from *next on. */
static void
write_tags(struct store *s, enum statement n, size_t *next, size_t count)
{
	size_t	i = 0;

	for (; i < count; ++*next) {
		if (s->append[*next].row.tag == 0)
			continue;
		sqlite_bind(s->db, n, (int)i * 2 + 1,
		    s->before + 1 + (int64_t)*next);
		sqlite_bind(s->db, n, (int)i * 2 + 2,
		    s->append[*next].row.tag);
		i++;
	}
	store_write(s, n);
}

void
store_write_rows(struct store *s)
{
	static const struct {
		enum statement	rows;
		enum statement	tags;
		size_t		count;
	} statements[] = {
		{ MORE_16, TAGS_16, 16 }, { MORE_4, TAGS_4, 4 },
		{ MORE, TAGS, 1 }
	};
	size_t	at = 1, i, tags = 0;

	if (s->nappend == 0)
		return;
	write_first(s);
	for (i = 0; at < s->nappend; at += statements[i].count) {
		while (s->nappend - at < statements[i].count)
			i++;
		write_rows(s, statements[i].rows, at, statements[i].count);
	}
	s->last += (int64_t)s->nappend;
	for (i = 0; i < s->nappend; i++)
		tags += s->append[i].row.tag != 0;
	at = 0;
	for (i = 0; tags > 0; tags -= statements[i].count) {
		while (tags < statements[i].count)
			i++;
		write_tags(s, statements[i].tags, &at, statements[i].count);
	}
}

void
store_see(struct store *s, const struct store_value *v)
{
	sqlite_bind_text(s->db, SEE, 1, v->id, v->idlen);
	sqlite_bind_text(s->db, SEE, 2, v->value, v->valuelen);
	sqlite_bind(s->db, SEE, 3, v->date);
	store_write(s, SEE);
}

/* --- after the commit --- */

/* Of a loaded id, the cursor only stores its place in the tail. */
static void
memtable_row(struct store *s, const struct appended *a)
{
	struct store_cursor	*cursor = a->cursor;

	if (cursor->tail == s->tails) {
		memtable_add_at(s->tail, (size_t)cursor->place, a->row.date,
		    a->row.amount);
		return;
	}
	cursor->place = (int64_t)memtable_add(s->tail,
	    store_hash(s, a->row.id, a->row.idlen), a->row.id, a->row.idlen,
	    a->row.date, a->row.amount);
	cursor->tail = s->tails;
}

void
store_rows_committed(struct store *s)
{
	size_t	i;

	for (i = 0; i < s->nappend && !s->behind; i++)
		memtable_row(s, &s->append[i]);
	if (!s->behind)
		s->read = s->last;
	s->cached = s->last;
}
