#include <stdlib.h>
#include <string.h>

#include "ledger/id.h"
#include "ledger/override_table.h"
#include "lib/alloc.h"

#define FRESH_MS	1000
#define SHARE		50	/* pause, in times of a reading */

struct override_table {
	struct override_list	*list;
	bool			 known;
	bool			 ever;
	struct mono		 again;		/* time of the next reading */
	int64_t			 read_at;	/* by the wall clock */
	void			(*on_read)(void *, bool);
	void			*arg;
};

struct override_table *
override_table_new(void)
{
	struct override_table	*t = alloc_zero(1, sizeof(*t));

	t->list = override_list_new();
	return t;
}

void
override_table_free(struct override_table *t)
{
	if (t == NULL)
		return;
	override_list_free(t->list);
	free(t);
}

void
override_table_on_read(struct override_table *t, void (*on_read)(void *, bool),
    void *arg)
{
	t->on_read = on_read;
	t->arg = arg;
}

const struct override_list *
override_table_list(const struct override_table *t)
{
	return t->list;
}

bool
override_table_known(const struct override_table *t)
{
	return t->ever;
}

void
override_table_stale(struct override_table *t)
{
	t->known = false;
}

/* Another program may have written any values. */
static void
override_table_on_row(void *arg, const struct override *row)
{
	struct override	o = *row;

	if (o.kind >= OVERRIDE__MAX || o.idlen > ID_STORED_MAX ||
	    o.wholen > OVERRIDE_WHO_MAX || o.reasonlen > OVERRIDE_REASON_MAX ||
	    o.amount < 0 || o.until <= 0)
		return;
	/* The engine takes no larger amount. */
	if (o.amount > CHARGE_AMOUNT_MAX)
		o.amount = CHARGE_AMOUNT_MAX;
	if (o.until > OVERRIDE_FOREVER)
		o.until = OVERRIDE_FOREVER;
	if (o.since < 0 || o.since > OVERRIDE_FOREVER)
		o.since = 0;
	(void)override_list_set(arg, &o);
}

/*
 * An earlier version of ours blocked one key: "bob", or "rule:bob" with rules.
 * Convert that to a block of the login or the address.
 */
struct conversion {
	struct store	*store;
	int64_t		 now;
	bool		 lost;
};

static void
override_table_convert(void *arg, const struct override *old)
{
	struct conversion	*c = arg;
	struct override		 new[2] = { *old, *old };
	struct network		 net;
	const char		*value = old->id, *colon;
	char			*id, text[ADDR_TEXT_MAX];
	size_t			 len = old->idlen;

	if (old->kind != OVERRIDE_KEY_BLOCK || c->lost)
		return;
	if (addr_network_parse(&net, value, len) == -1 &&
	    (colon = memchr(value, ':', len)) != NULL) {
		len -= (size_t)(colon + 1 - value);
		value = colon + 1;
	}
	if (addr_network_parse(&net, value, len) == 0)
		id = alloc_printf("network:%s", addr_network_format(&net, text,
		    sizeof(text)));
	else
		id = alloc_printf("login:%.*s", (int)len, value);
	new[0].until = 0;
	new[1].kind = OVERRIDE_BLOCK;
	new[1].id = id;
	new[1].idlen = strlen(id);
	c->lost = store_set_overrides(c->store, new,
	    new[1].idlen <= OVERRIDE_ID_MAX ? 2 : 1, c->now) == STORE_LOST;
	free(id);
}

/* NULL: the reading failed; *lost: the connection is lost. */
static struct override_list *
override_table_read(struct store *store, int64_t now, bool *lost)
{
	struct override_list	*list = override_list_new();
	enum store_result	 result;

	result = store_overrides(store, now, override_table_on_row, list);
	*lost = result == STORE_LOST;
	if (result == STORE_OK)
		return list;
	override_list_free(list);
	return NULL;
}

enum store_result
override_table_refresh(struct override_table *t, struct store *store,
    int64_t now, struct mono mono)
{
	struct conversion	 conversion = { store, now, false };
	struct override_list	*fresh;
	struct mono		 began = clock_mono();
	int64_t			 took;
	bool			 changed, lost;

	/*
	 * Overrides that had ended are in force again when the clock is set
	 * back.
	 */
	if (t->known && !clock_passed(t->again, mono) && now >= t->read_at)
		return STORE_OK;
	t->read_at = now;
	t->again = clock_after(mono, FRESH_MS);
	fresh = override_table_read(store, now, &lost);
	if (fresh != NULL && override_list_count(fresh,
	    OVERRIDE_KEY_BLOCK) > 0) {
		override_list_each(fresh, override_table_convert, &conversion);
		override_list_free(fresh);
		fresh = override_table_read(store, now, &lost);
		lost = lost || conversion.lost;
	}
	if (fresh == NULL)
		return lost ? STORE_LOST : STORE_OK;
	took = clock_between(began, clock_mono()) / 1000000 * SHARE;
	if (took > FRESH_MS)
		t->again = clock_after(mono, took);
	changed = override_list_sum(fresh) != override_list_sum(t->list);
	override_list_free(t->list);
	t->list = fresh;
	t->known = t->ever = true;
	if (t->on_read != NULL)
		t->on_read(t->arg, changed);
	return STORE_OK;
}

/* How many of these are in force, by a list that is refreshed if it is old. */
static size_t
override_table_there(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now, bool *lost)
{
	size_t	there = 0, i;

	*lost = override_table_refresh(t, store, now, clock_mono()) ==
	    STORE_LOST;
	for (i = 0; i < n; i++)
		there += override_find(t->list, (enum override_kind)list->kind,
		    list[i].id, list[i].idlen, now) != NULL;
	return there;
}

enum override_result
override_table_set(struct override_table *t, struct store *store,
    const struct override *list, size_t n, int64_t now, bool *lost)
{
	enum store_result	result;
	size_t			there, i;

	there = override_table_there(t, store, list, n, now, lost);
	if (list->until > now && override_list_count(t->list,
	    (enum override_kind)list->kind) + n - there > OVERRIDE_MOST)
		return OVERRIDE_FULL;
	if (list->until <= now && there == 0 && !*lost) {
		/* Another daemon may have set them since the list was read. */
		override_table_stale(t);
		there = override_table_there(t, store, list, n, now, lost);
		if (t->known && there == 0)
			return OVERRIDE_WAS_NONE;
	}
	if (*lost)
		return OVERRIDE_FAILED;
	result = store_set_overrides(store, list, n, now);
	*lost = result == STORE_LOST;
	if (result != STORE_OK)
		return OVERRIDE_FAILED;
	for (i = 0; i < n; i++)
		(void)override_list_set(t->list, &list[i]);
	return OVERRIDE_DONE;
}
