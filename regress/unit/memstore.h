#ifndef MEMSTORE_H
#define MEMSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/clean.h"
#include "ledger/store.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "random.h"

/*
 * A database in memory that several ledgers of one test share, with the faults
 * of a real one: it conflicts at random, at the commit too, fails, loses its
 * connection before or after a commit, answers late, reads a history in pieces,
 * and commits before the commit is durable. Include it in one file of a test:
 * it defines the store.
 */
#define MEMSTORE_TEXT	32

struct memstore_row {
	char	id[MEMSTORE_TEXT];
	char	instance[MEMSTORE_TEXT];
	int64_t	date;
	int64_t	amount;
	int64_t	tag;
};

struct store_cursor {
	bool	loaded;
	size_t	next;			/* the row to be read next */
};

struct memstore_value {
	char	id[MEMSTORE_TEXT];
	char	value[MEMSTORE_TEXT];
	int64_t	date;
};

#define MEMSTORE_OVERRIDES	64

struct memstore_override {
	char	id[MEMSTORE_TEXT];
	uint8_t	kind;
	int64_t	amount;
	int64_t	until;		/* 0: ended */
};

/* Each chance is in 1000. */
struct memstore {
	struct random		 random;
	unsigned int		 busy;		/* store_begin finds a lock */
	unsigned int		 conflict;	/* the commit does not happen */
	unsigned int		 failure;
	unsigned int		 loss;
	unsigned int		 late;		/* by `spin` ns */
	unsigned int		 piece;		/* of a history */
	unsigned int		 slow;		/* durable after a flush */
	int64_t			 spin;
	/* Called at a conflict: another daemon commits first. */
	void			(*other)(const struct store_batch *);
	size_t			 conflicts;
	size_t			 losses;
	size_t			 commits;
	struct memstore_row	*row;
	size_t			 nrow;
	size_t			 rows;		/* room */
	struct memstore_value	*value;
	size_t			 nvalue;
	size_t			 values;	/* room */
	struct memstore_override override[MEMSTORE_OVERRIDES];
	size_t			 noverride;
};

struct store {
	struct memstore		*db;
	bool			 begun;
	struct store_batch	 batch;
	bool			 lost;
	bool			 unflushed;
	void			(*flushed)(void *);
	void			*arg;
	struct memstore		 queued;	/* rows, values, overrides */
	size_t			 nforget;
	char			 forget[64][MEMSTORE_TEXT];
};

static inline void
memstore_text(char *to, const char *from, size_t len)
{
	if (len >= MEMSTORE_TEXT)
		abort();
	memcpy(to, from, len);
	to[len] = '\0';
}

static inline struct memstore_row *
memstore_add(struct memstore *m, const struct memstore_row *row)
{
	if (m->nrow == m->rows) {
		m->rows = m->rows == 0 ? 256 : m->rows * 2;
		m->row = alloc_resize(m->row, m->rows, sizeof(m->row[0]));
	}
	m->row[m->nrow] = *row;
	return &m->row[m->nrow++];
}

static inline struct memstore_value *
memstore_value(struct memstore *m, const struct memstore_value *v)
{
	size_t	i;

	for (i = 0; i < m->nvalue; i++)
		if (strcmp(m->value[i].id, v->id) == 0 &&
		    strcmp(m->value[i].value, v->value) == 0)
			return &m->value[i];
	if (m->nvalue == m->values) {
		m->values = m->values == 0 ? 64 : m->values * 2;
		m->value = alloc_resize(m->value, m->values,
		    sizeof(m->value[0]));
	}
	m->value[m->nvalue] = *v;
	m->value[m->nvalue].date = -1;
	return &m->value[m->nvalue++];
}

static inline struct memstore_override *
memstore_override(struct memstore *m, const char *id, uint8_t kind)
{
	struct memstore_override	*o;
	size_t				 i;

	for (i = 0; i < m->noverride; i++)
		if (m->override[i].kind == kind &&
		    strcmp(m->override[i].id, id) == 0)
			return &m->override[i];
	if (m->noverride == MEMSTORE_OVERRIDES)
		abort();
	o = &m->override[m->noverride++];
	*o = (struct memstore_override){ .kind = kind };
	memstore_text(o->id, id, strlen(id));
	return o;
}

/* The sum of an id, or of its `instance`, from second `since` on. */
static inline int64_t
memstore_sum(const struct memstore *m, const char *id, const char *instance,
    int64_t since)
{
	int64_t	sum = 0;
	size_t	i;

	for (i = m->nrow; i-- > 0;)
		if (m->row[i].date >= since && strcmp(m->row[i].id, id) == 0 &&
		    (instance == NULL ||
		    strcmp(m->row[i].instance, instance) == 0))
			sum += m->row[i].amount;
	return sum;
}

static inline bool
memstore_chance(struct memstore *m, unsigned int chance)
{
	return chance > 0 && random_below(&m->random, 1000) < chance;
}

static inline void
memstore_empty(struct store *s)
{
	s->begun = false;
	s->queued.nrow = s->queued.nvalue = s->nforget = 0;
	s->queued.noverride = 0;
}

static inline void
memstore_clear(struct memstore *m)
{
	free(m->row);
	free(m->value);
	memset(m, 0, sizeof(*m));
}

/* --- the store --- */

static inline void
memstore_row_of(const struct memstore_row *r, struct store_row *row)
{
	memset(row, 0, sizeof(*row));
	row->id = r->id;
	row->idlen = strlen(r->id);
	row->instance = r->instance;
	row->instancelen = strlen(r->instance);
	row->date = r->date;
	row->amount = r->amount;
	row->tag = r->tag;
	row->state = "";
}

/*
 * Reads the rows that the cursor has not. A first reading may stop half-way.
 */
static inline void
memstore_read(struct store *s, struct store_batch *b, size_t n,
    const struct store_reader *reader)
{
	struct store_cursor	*c = b->touch[n].cursor;
	struct store_row	 row;
	size_t			 i, end = s->db->nrow;

	if (!c->loaded && memstore_chance(s->db, s->db->piece))
		end = c->next + (end - c->next) / 2;
	for (i = c->next; i < end; i++) {
		memstore_row_of(&s->db->row[i], &row);
		if (row.idlen != b->touch[n].idlen ||
		    memcmp(row.id, b->touch[n].id, row.idlen) != 0)
			continue;
		if (c->loaded)
			reader->news(reader->arg, &row);
		else if (row.date >= b->touch[n].since)
			reader->first(reader->arg, n, &row);
	}
	c->next = end;
	c->loaded = c->loaded || end == s->db->nrow;
}

enum store_result
store_begin(struct store *s, struct store_batch *b,
    const struct store_reader *reader)
{
	struct mono	until = clock_mono();
	size_t		i;

	if (s->begun)
		abort();
	if (s->lost || memstore_chance(s->db, s->db->loss)) {
		s->lost = true;
		return STORE_LOST;
	}
	if (memstore_chance(s->db, s->db->late)) {
		until.ns += s->db->spin;
		while (!clock_passed(until, clock_mono()))
			;
	}
	if (memstore_chance(s->db, s->db->failure))
		return STORE_FAILED;
	if (b->forgotten)
		reader->changed(reader->arg);
	for (i = 0; i < b->ntouch; i++) {
		/* What was read before the lock was found is known. */
		if (memstore_chance(s->db, s->db->busy))
			return STORE_BUSY;
		memstore_read(s, b, i, reader);
	}
	for (i = 0; i < b->nvalue; i++) {
		struct memstore_value	v;

		memstore_text(v.id, b->value[i].id, b->value[i].idlen);
		memstore_text(v.value, b->value[i].value,
		    b->value[i].valuelen);
		b->value[i].date = memstore_value(s->db, &v)->date;
	}
	s->batch = *b;
	s->begun = true;
	return STORE_OK;
}

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	struct memstore_row	r;

	if (!s->begun || touch >= s->batch.ntouch)
		abort();
	memstore_text(r.id, row->id, row->idlen);
	memstore_text(r.instance, row->instance, row->instancelen);
	r.date = row->date;
	r.amount = row->amount;
	r.tag = row->tag;
	memstore_add(&s->queued, &r);
}

void
store_see(struct store *s, const struct store_value *value)
{
	struct memstore_value	v;

	memstore_text(v.id, value->id, value->idlen);
	memstore_text(v.value, value->value, value->valuelen);
	memstore_value(&s->queued, &v)->date = value->date;
}

void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	(void)s;
	(void)kind;
	(void)id;
	(void)idlen;
	(void)seconds;
}

enum store_result
store_overrides(struct store *s, bool batch, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	const struct memstore_override	*m;
	struct override			 o;
	size_t				 i;

	if (batch && !s->begun)
		abort();
	for (i = 0; i < s->db->noverride; i++) {
		m = &s->db->override[i];
		o = (struct override){ .kind = m->kind, .amount = m->amount,
		    .until = m->until, .id = m->id, .idlen = strlen(m->id),
		    .who = "", .reason = "" };
		if (m->until > now)
			each(arg, &o);
	}
	return STORE_OK;
}

enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	struct memstore_override	*m;
	size_t				 i;

	if (!s->begun)
		abort();
	for (i = 0; i < n; i++) {
		if (s->queued.noverride == MEMSTORE_OVERRIDES)
			abort();
		m = &s->queued.override[s->queued.noverride++];
		memstore_text(m->id, list[i].id, list[i].idlen);
		m->kind = list[i].kind;
		m->amount = list[i].amount;
		m->until = list[i].until > now ? list[i].until : 0;
	}
	/* A statement may find the conflict too. */
	return memstore_chance(s->db, s->db->busy) ? STORE_BUSY : STORE_OK;
}

enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	if (s->nforget == sizeof(s->forget) / sizeof(s->forget[0]))
		abort();
	memstore_text(s->forget[s->nforget++], id, idlen);
	return STORE_OK;
}

static inline void
memstore_write(struct store *s)
{
	struct memstore	*m = s->db, *q = &s->queued;
	size_t		 i, j;

	for (i = 0; i < s->nforget; i++)
		for (j = 0; j < m->nvalue; j++)
			if (strcmp(m->value[j].id, s->forget[i]) == 0)
				m->value[j].date = -1;
	for (i = 0; i < q->nrow; i++)
		memstore_add(m, &q->row[i]);
	for (i = 0; i < q->nvalue; i++)
		memstore_value(m, &q->value[i])->date = q->value[i].date;
	for (i = 0; i < q->noverride; i++)
		*memstore_override(m, q->override[i].id, q->override[i].kind) =
		    q->override[i];
	m->commits++;
}

static inline enum store_result
memstore_flush(struct store *s, bool wait)
{
	if (!s->unflushed || s->lost)
		return s->lost ? STORE_LOST : STORE_OK;
	if (!wait && memstore_chance(s->db, s->db->slow))
		return STORE_OK;
	s->unflushed = false;
	if ((s->lost = memstore_chance(s->db, s->db->loss)))
		return STORE_LOST;
	s->flushed(s->arg);
	return STORE_OK;
}

enum store_result
store_commit(struct store *s, bool *later)
{
	struct memstore	*m = s->db;
	size_t		 i;

	*later = *later && memstore_chance(m, m->slow);
	if (memstore_chance(m, m->conflict)) {
		m->conflicts++;
		if (m->other != NULL)
			m->other(&s->batch);
		memstore_empty(s);
		return STORE_BUSY;
	}
	if (memstore_chance(m, m->failure)) {
		memstore_empty(s);
		return STORE_FAILED;
	}
	s->lost = memstore_chance(m, m->loss);
	m->losses += s->lost;
	if (!s->lost || memstore_chance(m, 500))
		memstore_write(s);
	for (i = 0; i < s->batch.ntouch && !s->lost; i++)
		if (s->batch.touch[i].cursor->loaded)
			s->batch.touch[i].cursor->next = m->nrow;
	memstore_empty(s);
	/* The last batch is durable before this one. */
	if (s->lost || memstore_flush(s, true) == STORE_LOST)
		return STORE_LOST;
	s->unflushed = *later;
	return STORE_OK;
}

void
store_rollback(struct store *s)
{
	memstore_empty(s);
}

static inline bool
memstore_halves(const struct store *s)
{
	return s->db->slow > 0;
}

static inline void
memstore_on_flushed(struct store *s, void (*flushed)(void *), void *arg)
{
	s->flushed = flushed;
	s->arg = arg;
}

static inline int
memstore_fd(const struct store *s)
{
	(void)s;
	return -1;
}

const struct store_optional	store_optional = {
	.overlap = {
		.halves = memstore_halves,
		.on_flushed = memstore_on_flushed,
		.flush = memstore_flush,
		.fd = memstore_fd
	}
};

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	(void)s;
	(void)query;
	(void)timeout;
	(void)list;
	(void)n;
	abort();
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	(void)s;
	(void)p;
}

enum store_result
store_first_number(struct store *s, const char *name, int64_t *value)
{
	(void)s;
	(void)name;
	(void)value;
	return STORE_OK;
}

enum store_result
store_pairs(struct store *s, int64_t who, enum store_pair_kind kind,
    void (*each)(void *, const struct habit_entry *), void *arg)
{
	(void)s;
	(void)who;
	(void)kind;
	(void)each;
	(void)arg;
	return STORE_OK;
}

enum store_result
store_drop_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	(void)s;
	(void)list;
	(void)n;
	return STORE_OK;
}

bool
clean_remember(struct store *s, const struct lookup *limits, int64_t now)
{
	(void)s;
	(void)limits;
	(void)now;
	return true;
}

const char *const	store_placeholder = "?";

const char *
store_error(const struct store *s)
{
	(void)s;
	return "";
}

#endif
