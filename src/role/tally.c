#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/num.h"
#include "role/tally.h"

struct name {
	struct map_node	 node;		/* first */
	int64_t		 sum;
	bool		 shadow;
	size_t		 len;
	char		 id[];
};

struct tally {
	struct map	*map;
	/* while the largest are sought */
	struct msg_topped *answer;
	size_t		 most;
	int64_t		 seconds;
};

static int
same(const struct map_node *node, const void *key, size_t len)
{
	const struct name	*n = (const struct name *)node;

	return n->len == len && memcmp(n->id, key, len) == 0;
}

struct tally *
tally_new(void)
{
	struct tally	*t;

	t = alloc_zero(1, sizeof(*t));
	t->map = map_new(same);
	return t;
}

static void
drop(struct map_node *node, void *arg)
{
	struct tally	*t = arg;

	map_remove(t->map, node);
	free(node);
}

void
tally_free(struct tally *t)
{
	if (t == NULL)
		return;
	map_each(t->map, drop, t);
	map_free(t->map);
	free(t);
}

void
tally_add(struct tally *t, const char *id, size_t idlen, size_t bare,
    bool domain, int64_t amount, bool shadow)
{
	struct name	*n, *known;
	size_t		 skip = bare, i;

	for (i = idlen; domain && i > bare && skip == bare; i--)
		if (id[i - 1] == '@')
			skip = i;
	n = alloc_zero(1, sizeof(*n) + idlen);
	memcpy(n->id, id, bare);
	if (idlen > skip)
		memcpy(n->id + bare, id + skip, idlen - skip);
	n->len = bare + idlen - skip;
	n->sum = amount;
	n->shadow = shadow;
	n->node.hash = map_hash(n->id, n->len);
	known = (struct name *)map_find(t->map, n->node.hash, n->id, n->len);
	if (known != NULL) {
		known->sum = num_add_clamp(known->sum, amount);
		known->shadow = known->shadow && shadow;
	} else if (map_count(t->map) < TALLY_MOST) {
		map_insert(t->map, &n->node);
		return;
	}
	free(n);
}

/* The larger sum comes first, and of equal ones the lesser name. */
static bool
before(const struct name *n, const struct msg_top_id *id)
{
	size_t	len = n->len < id->idlen ? n->len : id->idlen;
	int	order;

	if (n->sum != id->used)
		return n->sum > id->used;
	if ((order = memcmp(n->id, id->id, len)) != 0)
		return order < 0;
	return n->len < id->idlen;
}

/* The list is sorted and short: inserts by moving the entries behind. */
static void
on_name(struct map_node *node, void *arg)
{
	const struct name	*n = (const struct name *)node;
	struct tally		*t = arg;
	struct msg_top_id	*ids = t->answer->ids;
	size_t			 at = t->answer->count;

	if (at == t->most && (at == 0 || !before(n, &ids[at - 1])))
		return;
	if (at < t->most)
		t->answer->count++;
	else
		at--;
	for (; at > 0 && before(n, &ids[at - 1]); at--)
		ids[at] = ids[at - 1];
	memset(&ids[at], 0, sizeof(ids[at]));
	ids[at].id = n->id;
	ids[at].idlen = n->len;
	ids[at].used = n->sum;
	ids[at].shadow = n->shadow;
	ids[at].limit.seconds = t->seconds;
}

void
tally_top(struct tally *t, struct msg_topped *answer, size_t n, int64_t seconds)
{
	t->answer = answer;
	t->most = n < TOP_MAX ? n : TOP_MAX;
	t->seconds = seconds;
	answer->count = 0;
	answer->total = (uint32_t)map_count(t->map);
	map_each(t->map, on_name, t);
}
