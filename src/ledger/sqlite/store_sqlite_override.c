#include "ledger/sqlite/store_sqlite.h"

enum store_result
store_batch_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	struct override		o;
	int64_t			kind;
	int			more;

	sqlite_bind(s->db, OVERRIDES, 1, now);
	while ((more = sqlite_step(s->db, OVERRIDES)) == 1) {
		o.id = sqlite_column_text(s->db, OVERRIDES, 0, &o.idlen);
		kind = sqlite_column(s->db, OVERRIDES, 1);
		o.kind = kind >= 0 && kind < OVERRIDE__MAX ? (uint8_t)kind :
		    OVERRIDE__MAX;
		o.amount = sqlite_column(s->db, OVERRIDES, 2);
		o.until = sqlite_column(s->db, OVERRIDES, 3);
		o.since = sqlite_column(s->db, OVERRIDES, 4);
		o.who = sqlite_column_text(s->db, OVERRIDES, 5, &o.wholen);
		o.reason = sqlite_column_text(s->db, OVERRIDES, 6,
		    &o.reasonlen);
		if (o.id != NULL && o.who != NULL && o.reason != NULL)
			each(arg, &o);
	}
	return more == 0 ? STORE_OK : store_failed(s);
}

enum store_result
store_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	enum store_result	result;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	return store_batch_overrides(s, now, each, arg);
}

static bool
store_new_override(struct store *s, const struct override *o)
{
	sqlite_bind_text(s->db, OVERRIDE_NEW, 1, o->id, o->idlen);
	sqlite_bind(s->db, OVERRIDE_NEW, 2, o->kind);
	sqlite_bind(s->db, OVERRIDE_NEW, 3, o->amount);
	sqlite_bind(s->db, OVERRIDE_NEW, 4, o->until);
	sqlite_bind(s->db, OVERRIDE_NEW, 5, o->since);
	sqlite_bind_text(s->db, OVERRIDE_NEW, 6, o->who, o->wholen);
	sqlite_bind_text(s->db, OVERRIDE_NEW, 7, o->reason, o->reasonlen);
	return sqlite_step(s->db, OVERRIDE_NEW) == 0;
}

static bool
store_end_override(struct store *s, const struct override *o)
{
	sqlite_bind_text(s->db, OVERRIDE_GONE, 1, o->id, o->idlen);
	sqlite_bind(s->db, OVERRIDE_GONE, 2, o->kind);
	return sqlite_step(s->db, OVERRIDE_GONE) == 0;
}

/* A batch that cannot be written (store_begin) changes nothing. */
enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	size_t	i;

	if (n > 0 && s->failed)
		return STORE_FAILED;
	for (i = 0; i < n; i++)
		if (list[i].until > now ? !store_new_override(s, &list[i]) :
		    !store_end_override(s, &list[i]))
			return store_failed(s);
	return STORE_OK;
}

enum store_result
store_clean_overrides(struct store *s, int64_t before)
{
	enum store_result	result;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	sqlite_bind(s->db, OVERRIDE_CLEAN, 1, before);
	return store_end(s, sqlite_step(s->db, OVERRIDE_CLEAN) == 0);
}

/*
 * A batch that cannot be written (store_begin) does not forget values either.
 */
enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	if (s->failed)
		return STORE_FAILED;
	sqlite_bind_text(s->db, VALUES_GONE, 1, id, idlen);
	return sqlite_step(s->db, VALUES_GONE) == 0 ? STORE_OK :
	    store_failed(s);
}
