#include <string.h>

#include "ledger/store_mysql.h"
#include "lib/clock.h"

#define NEWS_MAX	20000		/* the LIMIT of NEWS */
#define FIRST_MIN	1000
#define RECENT		3600		/* seconds of single instances */
#define BLIND_NS	INT64_C(10000000000)

/* --- what is new --- */

/* The columns of a row begin with its id. */
static int
store_row(struct store *s, struct store_row *row, size_t *index)
{
	memset(row, 0, sizeof(*row));
	row->id = mysqldb_column_text(s->db, 0, &row->idlen);
	if (row->id == NULL || store_find(s, row->id, row->idlen, index) == -1)
		return -1;
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
	return 0;
}

static size_t
store_bind_news(struct store *s, size_t i)
{
	const struct store_touch	*t = &s->touch[i];

	if (!t->cursor->loaded)
		return 0;
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->cursor->seen);
	return 1;
}

static int
store_take_news(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	s->nend++;
	if (store_row(s, &row, &index) == -1)
		return 0;
	s->told = true;
	reader->news(reader->arg, &row);
	s->touch[index].cursor->seen = mysqldb_column(s->db, 5);
	return 0;
}

/* Where the list was too long, it is cheaper to begin anew, by seconds. */
int
store_read_news(struct store *s, const struct store_reader *reader)
{
	size_t	i;

	s->nend = 0;
	if (store_each(s, NEWS, s->ntouch, store_bind_nothing, store_bind_news,
	    store_take_news, reader) == -1)
		return -1;
	for (i = 0; s->nend >= NEWS_MAX && i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded)
			reader->again(reader->arg, i);
	return 0;
}

/* --- the first time --- */

static int64_t	limit;		/* rows of an id in one piece */

static int64_t
store_position(const struct store_touch *t)
{
	return t->cursor->position != 0 ? t->cursor->position : t->since;
}

static size_t
store_bind_end(struct store *s, size_t i)
{
	const struct store_touch	*t = &s->touch[i];
	size_t				 j;

	if (t->cursor->loaded)
		return 0;
	mysqldb_bind(s->db, (int64_t)i);
	for (j = 0; j < 3; j++)
		mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, store_position(t));
	mysqldb_bind(s->db, limit);
	return 1;
}

static int64_t	recent;		/* instances from here on */

static int
store_take_end(struct store *s, const struct store_reader *reader)
{
	struct store_end	*end;
	int64_t			 i = mysqldb_column(s->db, 0);

	(void)reader;
	/* What was asked once more for want of other ids is known already. */
	if (i < 0 || (uint64_t)i >= s->ntouch || (s->nend > 0 &&
	    s->end[s->nend - 1].touch == (size_t)i))
		return 0;
	end = &s->end[s->nend++];
	end->touch = (size_t)i;
	end->seq = mysqldb_column(s->db, 1);
	if (mysqldb_column(s->db, 2) - RECENT > recent)
		recent = mysqldb_column(s->db, 2) - RECENT;
	end->from = store_position(&s->touch[i]);
	end->upto = mysqldb_column(s->db, 3);
	return 0;
}

static void
store_bind_recent(struct store *s)
{
	mysqldb_bind(s->db, recent);
	mysqldb_bind(s->db, recent);
}

static size_t
store_bind_first(struct store *s, size_t i)
{
	const struct store_end		*end = &s->end[i];
	const struct store_touch	*t = &s->touch[end->touch];

	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, end->from);
	mysqldb_bind(s->db, end->upto);
	return 1;
}

static size_t
store_bind_late(struct store *s, size_t i)
{
	const struct store_end		*end = &s->end[i];
	const struct store_touch	*t = &s->touch[end->touch];

	if (t->cursor->position == 0)
		return 0;
	mysqldb_bind_text(s->db, t->id, t->idlen);
	mysqldb_bind(s->db, t->cursor->base);
	mysqldb_bind(s->db, end->from);
	mysqldb_bind(s->db, t->since);
	return 1;
}

static int
store_take_first(struct store *s, const struct store_reader *reader)
{
	struct store_row	row;
	size_t			index;

	if (store_row(s, &row, &index) == -1)
		return 0;
	s->told = true;
	reader->first(reader->arg, index, &row);
	return 0;
}

int
store_read_first(struct store *s, size_t budget,
    const struct store_reader *reader)
{
	struct store_cursor	*c;
	size_t			 i, n = 0;

	for (i = 0; i < s->ntouch; i++)
		n += !s->touch[i].cursor->loaded;
	s->nend = 0;
	if (n == 0)
		return 0;
	recent = 0;
	limit = budget / n < FIRST_MIN ? FIRST_MIN : (int64_t)(budget / n);
	if (store_each(s, ENDS, s->ntouch, store_bind_nothing, store_bind_end,
	    store_take_end, reader) == -1 ||
	    store_each(s, FIRST, s->nend, store_bind_recent, store_bind_first,
	    store_take_first, reader) == -1 ||
	    store_each(s, LATE, s->nend, store_bind_nothing, store_bind_late,
	    store_take_first, reader) == -1)
		return -1;
	for (i = 0; i < s->nend; i++) {
		c = s->touch[s->end[i].touch].cursor;
		c->loaded = s->end[i].upto == INT64_MAX;
		c->position = c->loaded ? 0 : s->end[i].upto + 1;
		c->seen = s->end[i].seq;
		c->base = c->loaded ? clock_mono().ns : s->end[i].seq;
	}
	return 0;
}

/* --- values, and what others changed --- */

static struct store_batch	*values;

static size_t
store_bind_value(struct store *s, size_t i)
{
	const struct store_value	*v = &values->value[i];

	mysqldb_bind(s->db, (int64_t)i);
	mysqldb_bind_text(s->db, v->id, v->idlen);
	mysqldb_bind_text(s->db, v->value, v->valuelen);
	return 1;
}

static int
store_take_value(struct store *s, const struct store_reader *reader)
{
	int64_t	i = mysqldb_column(s->db, 0);

	(void)reader;
	if (i >= 0 && (uint64_t)i < values->nvalue)
		values->value[i].date = mysqldb_column(s->db, 1);
	return 0;
}

int
store_read_values(struct store *s, struct store_batch *batch,
    const struct store_reader *reader)
{
	size_t	i;

	values = batch;
	for (i = 0; i < batch->nvalue; i++)
		batch->value[i].date = -1;
	return store_each(s, VALUE, batch->nvalue, store_bind_nothing,
	    store_bind_value, store_take_value, reader);
}

int
store_read_changes(struct store *s, const struct store_reader *reader)
{
	int64_t	changes, newest, now;
	size_t	i;

	mysqldb_begin(s->db, CHANGES);
	if (mysqldb_run(s->db, 0) == -1 || mysqldb_next(s->db) != 1)
		return -1;
	changes = mysqldb_column(s->db, 0);
	newest = mysqldb_column(s->db, 1);
	if (mysqldb_next(s->db) != 0)
		return -1;
	if (s->changes != -1 && (changes != s->changes || newest < s->newest))
		reader->changed(reader->arg);
	s->changes = changes;
	s->newest = newest;
	now = clock_mono().ns;
	for (i = 0; s->blind && i < s->ntouch; i++)
		if (s->touch[i].cursor->loaded &&
		    now - s->touch[i].cursor->base > BLIND_NS)
			reader->again(reader->arg, i);
	return 0;
}
