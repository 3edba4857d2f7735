#include <stdlib.h>

#include "ledger/pgsql/store_pgsql.h"
#include "lib/alloc.h"

/* A pipeline is one transaction. */
static enum store_result
store_over(struct store *s)
{
	return pgsql_end(s->db) == 0 ? STORE_OK : store_result(s);
}

/* Every call is a pipeline of its own, in a batch or not. */
enum store_result
store_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	struct pgsql_params	p = { .count = 0 };
	struct override		o;
	int64_t			kind;
	int			rows, i;

	pgsql_begin(s->db);
	pgsql_add_number(&p, now);
	pgsql_put(s->db, OVERRIDES, &p);
	rows = pgsql_take(s->db);
	for (i = 0; i < rows; i++) {
		o.id = pgsql_column_text(s->db, i, 0, &o.idlen);
		kind = pgsql_column(s->db, i, 1);
		o.kind = kind >= 0 && kind < OVERRIDE__MAX ? (uint8_t)kind :
		    OVERRIDE__MAX;
		o.amount = pgsql_column(s->db, i, 2);
		o.until = pgsql_column(s->db, i, 3);
		o.since = pgsql_column(s->db, i, 4);
		o.who = pgsql_column_text(s->db, i, 5, &o.wholen);
		o.reason = pgsql_column_text(s->db, i, 6, &o.reasonlen);
		if (o.id != NULL && o.who != NULL && o.reason != NULL)
			each(arg, &o);
	}
	return store_over(s);
}

enum store_result
store_batch_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	return store_overrides(s, now, each, arg);
}

static void
store_new_override(struct store *s, const struct override *o)
{
	struct pgsql_params	 p = { .count = 0 };
	char			*id = alloc_copy(o->id, o->idlen);
	char			*who = alloc_copy(o->who, o->wholen);
	char			*reason = alloc_copy(o->reason, o->reasonlen);

	pgsql_add_text(&p, id);
	pgsql_add_number(&p, o->kind);
	pgsql_add_number(&p, o->amount);
	pgsql_add_number(&p, o->until);
	pgsql_add_number(&p, o->since);
	pgsql_add_text(&p, who);
	pgsql_add_text(&p, reason);
	pgsql_put(s->db, OVERRIDE_NEW, &p);
	free(id);
	free(who);
	free(reason);
}

static void
store_end_override(struct store *s, const struct override *o)
{
	struct pgsql_params	 p = { .count = 0 };
	char			*id = alloc_copy(o->id, o->idlen);

	pgsql_add_text(&p, id);
	pgsql_add_number(&p, o->kind);
	pgsql_put(s->db, OVERRIDE_GONE, &p);
	free(id);
}

enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	size_t	i;

	if (n == 0)
		return STORE_OK;
	pgsql_begin(s->db);
	for (i = 0; i < n; i++)
		if (list[i].until > now)
			store_new_override(s, &list[i]);
		else
			store_end_override(s, &list[i]);
	return store_over(s);
}

enum store_result
store_clean_overrides(struct store *s, int64_t before)
{
	struct pgsql_params	p = { .count = 0 };

	pgsql_begin(s->db);
	pgsql_add_number(&p, before);
	pgsql_put(s->db, OVERRIDE_CLEAN, &p);
	return store_over(s);
}

enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	struct pgsql_params	 p = { .count = 0 };
	enum store_result	 result;
	char			*text = alloc_copy(id, idlen);

	pgsql_begin(s->db);
	pgsql_add_text(&p, text);
	pgsql_put(s->db, VALUES_GONE, &p);
	result = store_over(s);
	free(text);
	return result;
}
