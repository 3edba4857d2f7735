#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "engine/mapping.h"
#include "lib/alloc.h"
#include "lib/map.h"

struct mapped {
	struct map_node		 node;		/* first */
	TAILQ_ENTRY(mapped)	 entry;
	char			*counted;
	size_t			 countedlen;
	size_t			 len;
	char			 id[];		/* as it was charged */
};

struct mapping {
	struct map		*ids;
	TAILQ_HEAD(, mapped)	 recent;	/* the newest last */
	size_t			 bytes;
	size_t			 max;
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct mapped	*m = (const struct mapped *)node;

	return m->len == len && memcmp(m->id, key, len) == 0;
}

static size_t
weight(const struct mapped *m)
{
	return sizeof(*m) + MAP_NODE_COST + m->len + m->countedlen;
}

static void
drop(struct mapping *m, struct mapped *id)
{
	m->bytes -= weight(id);
	TAILQ_REMOVE(&m->recent, id, entry);
	map_remove(m->ids, &id->node);
	free(id->counted);
	free(id);
}

static void
trim(struct mapping *m)
{
	while (m->bytes > m->max && !TAILQ_EMPTY(&m->recent))
		drop(m, TAILQ_FIRST(&m->recent));
}

struct mapping *
mapping_new(size_t max_bytes)
{
	struct mapping	*m = alloc_zero(1, sizeof(*m));

	m->ids = map_new(same_id);
	TAILQ_INIT(&m->recent);
	m->max = max_bytes;
	return m;
}

void
mapping_resize(struct mapping *m, size_t max_bytes)
{
	m->max = max_bytes;
	trim(m);
}

void
mapping_free(struct mapping *m)
{
	if (m == NULL)
		return;
	mapping_resize(m, 0);
	map_free(m->ids);
	free(m);
}

static struct mapped *
find(struct mapping *m, const char *id, size_t len)
{
	struct mapped	*known;

	known = (struct mapped *)map_find(m->ids, map_hash(id, len), id, len);
	if (known == NULL)
		return NULL;
	TAILQ_REMOVE(&m->recent, known, entry);
	TAILQ_INSERT_TAIL(&m->recent, known, entry);
	return known;
}

static void
remember(struct mapping *m, const char *id, size_t len, const char *counted,
    size_t countedlen)
{
	struct mapped	*new;

	if ((new = find(m, id, len)) != NULL && new->countedlen == countedlen &&
	    memcmp(new->counted, counted, countedlen) == 0)
		return;
	if (new != NULL)
		drop(m, new);
	new = alloc_zero(1, sizeof(*new) + len);
	new->node.hash = map_hash(id, len);
	new->len = len;
	memcpy(new->id, id, len);
	new->counted = alloc_copy(counted, countedlen);
	new->countedlen = countedlen;
	map_insert(m->ids, &new->node);
	TAILQ_INSERT_TAIL(&m->recent, new, entry);
	m->bytes += weight(new);
	trim(m);
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
mapping_take(struct mapping *m, const struct settings *s,
    struct msg_charge *charge, const struct msg_verdict *v)
{
	struct msg_charge_key	*key;
	struct mapped		*known;
	size_t			 i;

	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		if (!key->map)
			continue;
		key->map = false;
		if ((v->mapped >> i & 1) != 0) {
			if (m != NULL)
				remember(m, key->id, key->idlen, v->map[i].id,
				    v->map[i].idlen);
			count(s, key, v->map[i].id, v->map[i].idlen);
		} else if (m != NULL &&
		    (known = find(m, key->id, key->idlen)) != NULL)
			drop(m, known);
	}
}

void
mapping_recall(struct mapping *m, const struct settings *s,
    struct msg_charge *charge)
{
	struct msg_charge_key	*key;
	struct mapped		*known;
	size_t			 i;

	for (i = 0; i < charge->nkeys && m != NULL; i++) {
		key = &charge->keys[i];
		if (key->map && (known = find(m, key->id, key->idlen)) != NULL)
			count(s, key, known->counted, known->countedlen);
	}
}
