#include <string.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/alloc.h"
#include "lib/str.h"

/* --- in a batch --- */

static void
add_name(struct store *s, size_t touch, const char *id, size_t idlen)
{
	s->name = alloc_room(s->name, s->nname, &s->names, sizeof(s->name[0]));
	s->name[s->nname++] = (struct store_name){ touch, s->names_text.len,
	    idlen };
	str_add(&s->names_text, id, idlen);
}

/*
 * Collects the ids of foreign rows that count for a touch, if it is loaded:
 * others are not decided in this batch. 1: there are too many; 0; or -1.
 */
static int
name_all(struct store *s, int64_t most)
{
	const struct store_name	*last;
	const char		*id, *colon;
	char			 folded[MYSQLDB_TEXT];
	size_t			 idlen, index, from;
	int64_t			 n = 0;
	int			 more;

	s->nname = s->names_text.len = 0;
	mysqldb_begin(s->db, FOREIGN_IDS);
	mysqldb_bind(s->db, most);
	for (; (more = mysqldb_next(s->db)) == 1; n++) {
		if ((id = mysqldb_column_text(s->db, 0, &idlen)) == NULL)
			continue;
		/* Rows are in the order of their ids. */
		last = s->nname > 0 ? &s->name[s->nname - 1] : NULL;
		if (last != NULL && last->len == idlen &&
		    memcmp(s->names_text.data + last->at, id, idlen) == 0)
			continue;
		memcpy(folded, id, idlen);
		from = s->foreign.fold == FOREIGN_AS_IS ? idlen : 0;
		if (s->foreign.fold == FOREIGN_FOLD_REST &&
		    (colon = memchr(id, ':', idlen)) != NULL)
			from = (size_t)(colon - id);
		str_fold(folded + from, idlen - from);
		if (store_find(s, folded, idlen, &index) == 0 &&
		    s->touch[index].cursor->loaded)
			add_name(s, index, id, idlen);
	}
	return more == -1 ? -1 : n == most;
}

/* Collects only the touched ids that foreign rows have exactly. */
static int
name_touched(struct store *s)
{
	const struct store_touch	*t;
	int64_t				 n;
	size_t				 i;
	int				 more;

	s->nname = s->names_text.len = 0;
	mysqldb_begin(s->db, FOREIGN_ANY);
	for (i = 0; i < s->ntouch; i++) {
		t = &s->touch[i];
		if (!t->cursor->loaded)
			continue;
		mysqldb_bind(s->db, (int64_t)i);
		mysqldb_bind_text(s->db, t->id, t->idlen);
	}
	while ((more = mysqldb_next(s->db)) == 1) {
		n = mysqldb_column(s->db, 0);
		if (n < 0 || (uint64_t)n >= s->ntouch)
			continue;
		t = &s->touch[n];
		add_name(s, (size_t)n, t->id, t->idlen);
	}
	return more;
}

static int
read_of(struct store *s, const struct store_name *name,
    const struct store_reader *reader)
{
	const struct store_touch	*t = &s->touch[name->touch];
	const char			*id = s->names_text.data + name->at;
	struct store_row		 row;
	size_t				 before = s->foreign.count;
	int64_t				 n = 0;
	int				 more;

	mysqldb_begin(s->db, FOREIGN_OF);
	mysqldb_bind(s->db, s->batch->recent);
	mysqldb_bind_text(s->db, id, name->len);
	mysqldb_bind(s->db, s->foreign.most + 1);
	for (; (more = mysqldb_next(s->db)) == 1; n++) {
		store_columns(s, &row);
		/* To the server, ids with blanks at the end are equal. */
		if (row.id == NULL || row.idlen != name->len ||
		    memcmp(row.id, id, name->len) != 0 || row.date < t->since)
			continue;
		row.id = t->id;
		row.idlen = t->idlen;
		foreign_borrow(&s->foreign, &row);
	}
	if (n > s->foreign.most) {
		foreign_cut(&s->foreign, before);
		reader->again(reader->arg, name->touch);
	}
	return more;
}

/*
 * With too many foreign ids to look through, only rows with exactly a touched
 * id are borrowed; rows with other letter case count once they are taken in.
 * Until half of those many are taken in, nothing looks through them again.
 */
int
store_read_foreign(struct store *s, const struct store_reader *reader)
{
	size_t	i;
	int	n = 1;

	if (!s->foreign.there || s->ntouch == 0)
		return 0;
	if (s->plenty <= s->foreign.most / 2) {
		n = name_all(s, s->foreign.most);
		s->plenty = n == 1 ? s->foreign.most : 0;
	}
	if (n == 1)
		n = name_touched(s);
	for (i = 0; n == 0 && i < s->nname; i++)
		n = read_of(s, &s->name[i], reader);
	return n;
}

/* --- between batches --- */

/*
 * Locks some rows, and adds to the counts of their ids' slots. A row gets its
 * number by being copied.
 */
enum store_result
store_take_in(struct store *s, bool idle)
{
	struct mysqldb_params	*copy = &s->queue[QUEUE_COPY];
	struct mysqldb_params	*drop = &s->queue[QUEUE_DROP];
	enum store_result	 result;
	const char		*id;
	int64_t			 slot, n = 0;
	size_t			 idlen;
	int			 more;

	if (!foreign_due(&s->foreign, idle))
		return STORE_OK;
	if (store_lock_all(s) == -1)
		goto fail;
	s->nslot = copy->count = drop->count = 0;
	mysqldb_add(copy, s->foreign.fold);
	mysqldb_add(copy, s->base);
	mysqldb_begin(s->db, s->skips ? TAKE_PICK_FREE : TAKE_PICK);
	mysqldb_bind(s->db, s->foreign.fold);
	mysqldb_bind(s->db, sums_sizes.step);
	while ((more = mysqldb_next(s->db)) == 1) {
		if ((id = mysqldb_column_text(s->db, 1, &idlen)) == NULL)
			continue;
		slot = store_slots_add(s, id, idlen);
		mysqldb_add(copy, mysqldb_column(s->db, 0));
		mysqldb_add(copy, slot);
		mysqldb_add(drop, mysqldb_column(s->db, 0));
		n++;
	}
	if (more == -1 || store_raise_slots(s) == -1 ||
	    mysqldb_run_with(s->db, TAKE_COPY, copy) == -1 ||
	    mysqldb_run_with(s->db, TAKE_DROP, drop) == -1 ||
	    mysqldb_commit(s->db) == -1)
		goto fail;
	s->foreign.there = n == sums_sizes.step;
	s->plenty = s->foreign.there ? s->plenty - n : 0;
	foreign_taken(&s->foreign, n > 0);
	return STORE_OK;
 fail:
	result = store_failed(s);
	foreign_failed(&s->foreign, result, s->description, s->error);
	s->spoilt |= result == STORE_LOST;
	return result;
}

int
store_idle(struct store *s)
{
	if (store_take_in(s, true) == STORE_LOST)
		return 0;
	return foreign_wait(&s->foreign);
}
