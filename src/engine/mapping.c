#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "engine/mapping.h"
#include "lib/alloc.h"
#include "lib/map.h"

struct mapping {
	struct map_node		 node;		/* first */
	TAILQ_ENTRY(mapping)	 entry;
	char			*counted;
	size_t			 countedlen;
	size_t			 len;
	char			 id[];		/* as it was charged */
};

static TAILQ_HEAD(, mapping)	 recent = TAILQ_HEAD_INITIALIZER(recent);
static struct map		*ids;
static size_t			 bytes, max;

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct mapping	*m = (const struct mapping *)node;

	return m->len == len && memcmp(m->id, key, len) == 0;
}

static size_t
weight(const struct mapping *m)
{
	return sizeof(*m) + MAP_NODE_COST + m->len + m->countedlen;
}

static void
drop(struct mapping *m)
{
	bytes -= weight(m);
	TAILQ_REMOVE(&recent, m, entry);
	map_remove(ids, &m->node);
	free(m->counted);
	free(m);
}

static void
trim(void)
{
	while (bytes > max && !TAILQ_EMPTY(&recent))
		drop(TAILQ_FIRST(&recent));
}

void
mapping_resize(size_t max_bytes)
{
	max = max_bytes;
	trim();
}

static struct mapping *
find(const char *id, size_t len)
{
	struct mapping	*m;

	if (ids == NULL)
		ids = map_new(same_id);
	m = (struct mapping *)map_find(ids, map_hash(id, len), id, len);
	if (m == NULL)
		return NULL;
	TAILQ_REMOVE(&recent, m, entry);
	TAILQ_INSERT_TAIL(&recent, m, entry);
	return m;
}

static void
remember(const char *id, size_t len, const char *counted, size_t countedlen)
{
	struct mapping	*m;

	if ((m = find(id, len)) != NULL && m->countedlen == countedlen &&
	    memcmp(m->counted, counted, countedlen) == 0)
		return;
	if (m != NULL)
		drop(m);
	m = alloc_zero(1, sizeof(*m) + len);
	m->node.hash = map_hash(id, len);
	m->len = len;
	memcpy(m->id, id, len);
	m->counted = alloc_copy(counted, countedlen);
	m->countedlen = countedlen;
	map_insert(ids, &m->node);
	TAILQ_INSERT_TAIL(&recent, m, entry);
	bytes += weight(m);
	trim();
}

/* Sets the id and the limits that it has. */
static void
count(const struct settings *s, struct msg_charge_key *key, const char *id,
    size_t len)
{
	size_t	bare;

	key->id = id;
	key->idlen = len;
	key->map = false;
	if (s == NULL || key->rule >= s->nrules)
		return;
	bare = strlen(s->rules[key->rule].name) + 1;
	if (len < bare)
		return;
	key->limits = *settings_rule_limits(s, key->rule, id + bare,
	    len - bare);
	key->reported = key->report ? settings_reported(s, &key->limits) : 0;
}

void
mapping_take(const struct settings *s, struct msg_charge *charge,
    const struct msg_verdict *v)
{
	struct msg_charge_key	*key;
	struct mapping		*known;
	size_t			 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if (!key->map)
			continue;
		key->map = false;
		if ((v->mapped >> i & 1) != 0) {
			if (max > 0)
				remember(key->id, key->idlen, v->map[i].id,
				    v->map[i].idlen);
			count(s, key, v->map[i].id, v->map[i].idlen);
		} else if (max > 0 &&
		    (known = find(key->id, key->idlen)) != NULL)
			drop(known);
	}
}

void
mapping_recall(const struct settings *s, struct msg_charge *charge)
{
	struct msg_charge_key	*key;
	struct mapping		*known;
	size_t			 i;

	for (i = 0; i < charge->nkeys && max > 0; i++) {
		key = &charge->keys[i];
		if (key->map && (known = find(key->id, key->idlen)) != NULL)
			count(s, key, known->counted, known->countedlen);
	}
}
