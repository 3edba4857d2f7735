#include "ledger/store_sqlite.h"

enum store_result
store_overrides(struct store *s, int64_t now,
    void (*each)(void *, const struct store_override *), void *arg)
{
	struct store_override	o;
	enum store_result	result;
	int			more;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	sqlite_bind(s->db, OVERRIDES, 1, now);
	while ((more = sqlite_step(s->db, OVERRIDES)) == 1) {
		o.id = sqlite_column_text(s->db, OVERRIDES, 0, &o.idlen);
		o.kind = sqlite_column(s->db, OVERRIDES, 1);
		o.amount = sqlite_column(s->db, OVERRIDES, 2);
		o.until = sqlite_column(s->db, OVERRIDES, 3);
		if (o.id != NULL)
			each(arg, &o);
	}
	return more == 0 ? STORE_OK : store_failed(s);
}

enum store_result
store_set_override(struct store *s, const struct store_override *o, int64_t now)
{
	enum store_result	result;
	bool			good;

	if ((result = store_ready(s)) != STORE_OK)
		return result;
	if (sqlite_step(s->db, DO_BEGIN) == -1)
		return store_failed(s);
	sqlite_bind_text(s->db, OVERRIDE_GONE, 1, o->id, o->idlen);
	sqlite_bind(s->db, OVERRIDE_GONE, 2, o->kind);
	sqlite_bind(s->db, OVERRIDE_GONE, 3, now);
	good = sqlite_step(s->db, OVERRIDE_GONE) == 0;
	if (good && o->until > now) {
		sqlite_bind_text(s->db, OVERRIDE_NEW, 1, o->id, o->idlen);
		sqlite_bind(s->db, OVERRIDE_NEW, 2, o->kind);
		sqlite_bind(s->db, OVERRIDE_NEW, 3, o->amount);
		sqlite_bind(s->db, OVERRIDE_NEW, 4, o->until);
		good = sqlite_step(s->db, OVERRIDE_NEW) == 0;
	}
	return store_end(s, good);
}

/* A batch that cannot be written (store_begin) forgets nothing either. */
enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	if (s->failed)
		return STORE_FAILED;
	sqlite_bind_text(s->db, VALUES_GONE, 1, id, idlen);
	return sqlite_step(s->db, VALUES_GONE) == 0 ? STORE_OK :
	    store_failed(s);
}
