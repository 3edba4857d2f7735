#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "ledger/override.h"
#include "lib/alloc.h"
#include "lib/map.h"

#define FRESH_MS	1000

struct entry {
	struct map_node	node;		/* first */
	struct override	override;
	size_t		idlen;
	char		id[];
};

struct overrides {
	struct map	*map;
	bool		 known;
	struct mono	 again;		/* then it is read again */
};

static int
override_same(const struct map_node *node, const void *key, size_t len)
{
	const struct entry	*e = (const struct entry *)node;

	return e->idlen == len && memcmp(e->id, key, len) == 0;
}

struct overrides *
override_new(void)
{
	struct overrides	*o = alloc_zero(1, sizeof(*o));

	o->map = map_new(override_same);
	return o;
}

static void
override_drop(struct map_node *node, void *map)
{
	map_remove(map, node);
	free(node);
}

static void
override_clear(struct map *map)
{
	map_each(map, override_drop, map);
	map_free(map);
}

void
override_free(struct overrides *o)
{
	if (o == NULL)
		return;
	override_clear(o->map);
	free(o);
}

static void
override_on_row(void *arg, const struct store_override *row)
{
	struct map	*map = arg;
	struct entry	*e;
	uint64_t	 hash = map_hash(row->id, row->idlen);

	e = (struct entry *)map_find(map, hash, row->id, row->idlen);
	if (e == NULL) {
		e = alloc_zero(1, sizeof(*e) + row->idlen);
		e->node.hash = hash;
		e->idlen = row->idlen;
		memcpy(e->id, row->id, row->idlen);
		map_insert(map, &e->node);
	}
	if (row->kind == OVERRIDE_BLOCK)
		e->override.blocked_until = row->until;
	else if (row->kind == OVERRIDE_GRANT && row->amount > 0) {
		e->override.granted = row->amount;
		e->override.granted_until = row->until;
	}
}

enum store_result
override_refresh(struct overrides *o, struct store *store, int64_t now,
    struct mono mono)
{
	enum store_result	 result;
	struct map		*fresh;

	if (o->known && !clock_passed(o->again, mono))
		return STORE_OK;
	o->again = clock_after(mono, FRESH_MS);
	fresh = map_new(override_same);
	result = store_overrides(store, now, override_on_row, fresh);
	if (result != STORE_OK) {
		override_clear(fresh);
		return result == STORE_LOST ? STORE_LOST : STORE_OK;
	}
	override_clear(o->map);
	o->map = fresh;
	o->known = true;
	return STORE_OK;
}

void
override_stale(struct overrides *o)
{
	o->known = false;
}

struct override
override_of(struct overrides *o, const char *id, size_t idlen, int64_t now)
{
	struct override	 none = { 0, 0, 0 }, found;
	struct entry	*e;

	if (map_count(o->map) == 0)
		return none;
	e = (struct entry *)map_find(o->map, map_hash(id, idlen), id, idlen);
	if (e == NULL)
		return none;
	found = e->override;
	if (found.granted_until <= now)
		found.granted = found.granted_until = 0;
	if (found.blocked_until <= now)
		found.blocked_until = 0;
	return found;
}
