#include <string.h>

#include "ledger/store_mysql.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define STEP_ROWS	500	/* taken in by one transaction */
#define LOG_SECONDS	600

/* --- in a batch --- */

/* The touch that a row of others counts for. */
static int
store_find_folded(const struct store *s, const char *id, size_t idlen,
    size_t *index)
{
	char		 folded[1024];
	const char	*colon;
	size_t		 from = 0;

	if (s->fold == FOREIGN_AS_IS || idlen > sizeof(folded))
		return store_find(s, id, idlen, index);
	memcpy(folded, id, idlen);
	if (s->fold == FOREIGN_FOLD_REST &&
	    (colon = memchr(id, ':', idlen)) != NULL)
		from = (size_t)(colon - id);
	str_fold(folded + from, idlen - from);
	return store_find(s, folded, idlen, index);
}

/*
 * Rows of an id that is not known yet are not borrowed: it is not decided in
 * this batch.
 */
static int
store_take_foreign(struct store *s, const struct store_reader *reader)
{
	const struct store_touch	*t;
	struct store_row		 row;
	const char			*id;
	size_t				 idlen, index;

	(void)reader;
	s->nend++;
	id = mysqldb_column_text(s->db, 0, &idlen);
	if (id == NULL || store_find_folded(s, id, idlen, &index) == -1)
		return 0;
	t = &s->touch[index];
	store_columns(s, &row);
	row.id = t->id;
	row.idlen = t->idlen;
	if (t->cursor->loaded && row.date >= t->since)
		foreign_borrow(&s->foreign, &row);
	return 0;
}

static size_t
store_bind_id(struct store *s, size_t i)
{
	mysqldb_bind_text(s->db, s->touch[i].id, s->touch[i].idlen);
	return 1;
}

/*
 * There are few, since they are taken in soon. After a bulk load only rows of
 * the very ids are looked at: others in another letter case count when they are
 * taken in.
 */
int
store_read_foreign(struct store *s)
{
	int	more;

	if (!s->foreign.there || s->ntouch == 0)
		return 0;
	s->nend = 0;
	mysqldb_begin(s->db, FOREIGN);
	mysqldb_bind(s->db, FOREIGN_MAX + 1);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	while ((more = mysqldb_next(s->db)) == 1)
		(void)store_take_foreign(s, NULL);
	if (more == -1 || s->nend <= FOREIGN_MAX)
		return more;
	foreign_give_back(&s->foreign);
	s->nend = 0;
	if (store_each(s, FOREIGN_OF, s->ntouch, store_bind_nothing,
	    store_bind_id, store_take_foreign, NULL) == -1)
		return -1;
	s->crowded = s->nend > FOREIGN_MAX;
	return 0;
}

/* --- between batches --- */

static int
store_pick(struct store *s)
{
	int	more;

	if (s->seq == NULL)
		s->seq = alloc_resize(NULL, STEP_ROWS, sizeof(s->seq[0]));
	s->nseq = 0;
	mysqldb_begin(s->db, s->skips ? TAKE_PICK_FREE : TAKE_PICK);
	mysqldb_bind(s->db, STEP_ROWS);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	while ((more = mysqldb_next(s->db)) == 1)
		if (s->nseq < STEP_ROWS)
			s->seq[s->nseq++] = mysqldb_column(s->db, 0);
	return more;
}

static void
store_bind_fold(struct store *s)
{
	mysqldb_bind(s->db, s->fold);
}

static size_t
store_bind_seq(struct store *s, size_t i)
{
	mysqldb_bind(s->db, s->seq[i]);
	return 1;
}

/*
 * Another session that holds a row, or daemons that are busy, let this step
 * fail: what it would have taken in is borrowed until the next.
 */
static enum store_result
store_step_failed(struct store *s)
{
	static struct log_limit	told;
	unsigned int		held;
	enum store_result	result = store_failed(s);

	foreign_taken(&s->foreign, false);
	if (result == STORE_FAILED && log_allowed(&told, LOG_SECONDS, &held))
		log_warning("%s: rows of other programs cannot be given"
		    " numbers, they are read with every request: %s",
		    s->description, s->error);
	s->spoilt |= result == STORE_LOST;
	return result;
}

/* A number of ours is that of a copy. */
enum store_result
store_take_in(struct store *s)
{
	if (!foreign_due(&s->foreign))
		return STORE_OK;
	if (store_lock_all(s) == -1 || store_pick(s) == -1 ||
	    store_each(s, TAKE_COPY, s->nseq, store_bind_fold, store_bind_seq,
	    NULL, NULL) == -1 ||
	    store_each(s, TAKE_DROP, s->nseq, store_bind_nothing,
	    store_bind_seq, NULL, NULL) == -1 || mysqldb_commit(s->db) == -1)
		return store_step_failed(s);
	s->foreign.there = s->nseq == STEP_ROWS;
	foreign_taken(&s->foreign, s->nseq > 0);
	return STORE_OK;
}

int
store_idle(struct store *s)
{
	if (store_take_in(s) == STORE_LOST)
		return 0;
	return foreign_wait(&s->foreign);
}
