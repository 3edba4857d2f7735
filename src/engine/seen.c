#include <stdlib.h>
#include <string.h>

#include "engine/seen.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define SEEN_COST	(sizeof(struct seen) + MAP_NODE_COST)

static int
seen_same(const struct map_node *node, const void *key, size_t len)
{
	(void)node;
	(void)key;
	(void)len;
	return 1;
}

void
seen_init(struct seen_table *t)
{
	t->map = map_new(seen_same);
	STAILQ_INIT(&t->queue);
	t->bytes = 0;
}

static void
seen_drop(struct seen_table *t)
{
	struct seen	*seen = STAILQ_FIRST(&t->queue);

	STAILQ_REMOVE_HEAD(&t->queue, entry);
	map_remove(t->map, &seen->node);
	t->bytes -= SEEN_COST;
	free(seen);
}

void
seen_clear(struct seen_table *t)
{
	while (STAILQ_FIRST(&t->queue) != NULL)
		seen_drop(t);
	map_free(t->map);
	t->map = NULL;
}

uint64_t
seen_hash(uint64_t id, const char *bytes, size_t len)
{
	uint64_t	both[2];

	both[0] = id;
	both[1] = map_hash(bytes, len);
	return map_hash(both, sizeof(both));
}

struct seen *
seen_find(struct seen_table *t, uint64_t hash)
{
	return (struct seen *)map_find(t->map, hash, NULL, 0);
}

void
seen_add(struct seen_table *t, uint64_t hash, int64_t tag, int64_t amount,
    int64_t now)
{
	struct seen	*seen;

	if ((seen = seen_find(t, hash)) == NULL) {
		seen = alloc_zero(1, sizeof(*seen));
		seen->node.hash = hash;
		seen->made = now;
		map_insert(t->map, &seen->node);
		STAILQ_INSERT_TAIL(&t->queue, seen, entry);
		t->bytes += SEEN_COST;
	}
	seen->amount = num_add_clamp(seen->amount, amount);
	seen->date = now;
	if (tag != 0 && seen->tags[0] != tag) {
		memmove(seen->tags + 1, seen->tags,
		    (SEEN_TAGS - 1) * sizeof(seen->tags[0]));
		seen->tags[0] = tag;
	}
}

bool
seen_has_tag(const struct seen *seen, int64_t tag)
{
	size_t	i;

	for (i = 0; i < SEEN_TAGS; i++)
		if (seen->tags[i] == tag)
			return true;
	return false;
}

void
seen_trim(struct seen_table *t, int64_t before, size_t max_bytes)
{
	const struct seen	*seen;

	while ((seen = STAILQ_FIRST(&t->queue)) != NULL &&
	    (seen->made < before || t->bytes > max_bytes))
		seen_drop(t);
}
