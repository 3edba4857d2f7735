#include "ledger/mysql/store_mysql.h"

static int
store_read_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	struct override		o;
	int64_t			kind;
	int			more;

	mysqldb_begin(s->db, OVERRIDES);
	mysqldb_bind(s->db, now);
	if (mysqldb_run(s->db, 0) == -1)
		return -1;
	while ((more = mysqldb_next(s->db)) == 1) {
		o.id = mysqldb_column_text(s->db, 0, &o.idlen);
		kind = mysqldb_column(s->db, 1);
		o.kind = kind >= 0 && kind < OVERRIDE__MAX ? (uint8_t)kind :
		    OVERRIDE__MAX;
		o.amount = mysqldb_column(s->db, 2);
		o.until = mysqldb_column(s->db, 3);
		o.since = mysqldb_column(s->db, 4);
		o.who = mysqldb_column_text(s->db, 5, &o.wholen);
		o.reason = mysqldb_column_text(s->db, 6, &o.reasonlen);
		if (o.id != NULL && o.who != NULL && o.reason != NULL)
			each(arg, &o);
	}
	return more;
}

enum store_result
store_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	return store_end(s, store_read_overrides(s, now, each, arg) == 0);
}

enum store_result
store_batch_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	return store_read_overrides(s, now, each, arg) == 0 ? STORE_OK :
	    store_result(s);
}

static bool
store_new_override(struct store *s, const struct override *o)
{
	mysqldb_begin(s->db, OVERRIDE_NEW);
	mysqldb_bind_text(s->db, o->id, o->idlen);
	mysqldb_bind(s->db, o->kind);
	mysqldb_bind(s->db, o->amount);
	mysqldb_bind(s->db, o->until);
	mysqldb_bind(s->db, o->since);
	mysqldb_bind_text(s->db, o->who, o->wholen);
	mysqldb_bind_text(s->db, o->reason, o->reasonlen);
	return mysqldb_run(s->db, 0) == 0;
}

static bool
store_end_override(struct store *s, const struct override *o)
{
	mysqldb_begin(s->db, OVERRIDE_GONE);
	mysqldb_bind_text(s->db, o->id, o->idlen);
	mysqldb_bind(s->db, o->kind);
	return mysqldb_run(s->db, 0) == 0;
}

enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (list[i].until > now ? !store_new_override(s, &list[i]) :
		    !store_end_override(s, &list[i]))
			return store_result(s);
	return STORE_OK;
}

enum store_result
store_clean_overrides(struct store *s, int64_t before)
{
	mysqldb_begin(s->db, OVERRIDE_CLEAN);
	mysqldb_bind(s->db, before);
	return store_end(s, mysqldb_run(s->db, 0) == 0);
}

enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	if (store_lock_ranges(s) == -1)
		return store_result(s);
	mysqldb_begin(s->db, VALUES_GONE);
	mysqldb_bind_text(s->db, id, idlen);
	return mysqldb_run(s->db, 0) == 0 ? STORE_OK : store_result(s);
}
