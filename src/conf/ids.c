#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/normal.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define IDS_NETWORK_KEY	18	/* bits, prefix, address */

/*
 * A network is found by masking the address to each prefix length in use,
 * longest first: a few lookups, however many networks there are.
 */
struct ids_prefixes {
	size_t	count;
	uint8_t	list[129];
};

struct ids {
	struct map		*ids;
	struct map		*networks;
	struct ids_prefixes	 four;
	struct ids_prefixes	 six;
	struct ids_entry	*entries;
	char			*domain;	/* default_domain, or "" */
};

static int
same_key(const struct map_node *node, const void *key, size_t len)
{
	/* The node is the entry's first member. */
	const struct ids_entry	*e = (const void *)node;

	return e->len == len && memcmp(e->key, key, len) == 0;
}

struct ids *
ids_new(const struct settings *s)
{
	struct ids	*t;

	t = alloc_zero(1, sizeof(*t));
	t->ids = map_new(same_key);
	t->networks = map_new(same_key);
	t->domain = alloc_string(s->default_domain != NULL ?
	    s->default_domain : "");
	if (s->fold_case)
		str_fold(t->domain, strlen(t->domain));
	return t;
}

void
ids_free(struct ids *t)
{
	struct ids_entry	*e;

	if (t == NULL)
		return;
	map_free(t->ids);
	map_free(t->networks);
	while ((e = t->entries) != NULL) {
		t->entries = e->next;
		window_limits_clear(&e->limits);
		free(e);
	}
	free(t->domain);
	free(t);
}

void
ids_clear(void *member)
{
	struct ids	**t = member;

	ids_free(*t);
	*t = NULL;
}

/* --- adding --- */

static size_t
make_network_key(char key[IDS_NETWORK_KEY], const struct addr *a,
    unsigned int prefix)
{
	struct addr	masked;

	masked = *a;
	addr_mask(&masked, prefix);
	memset(key, 0, IDS_NETWORK_KEY);
	key[0] = (char)masked.bits;
	key[1] = (char)prefix;
	memcpy(key + 2, masked.byte, masked.bits / 8);
	return IDS_NETWORK_KEY;
}

static struct ids_entry *
insert_entry(struct ids *t, struct map *map, const void *key, size_t len,
    bool *fresh)
{
	struct ids_entry	*e;
	struct map_node		*node;
	uint64_t		 hash;

	hash = map_hash(key, len);
	node = map_find(map, hash, key, len);
	*fresh = node == NULL;
	if (node != NULL)
		return (void *)node;
	e = alloc_zero(1, sizeof(*e) + len + 1);
	e->node.hash = hash;
	e->len = len;
	memcpy(e->key, key, len);
	map_insert(map, &e->node);
	e->next = t->entries;
	t->entries = e;
	return e;
}

struct ids_entry *
ids_add(struct ids *t, const char *id, size_t len, bool *fresh)
{
	return insert_entry(t, t->ids, id, len, fresh);
}

struct ids_entry *
ids_add_network(struct ids *t, const struct network *n, bool *fresh)
{
	struct ids_prefixes	*p = n->addr.bits == 32 ? &t->four : &t->six;
	char			 key[IDS_NETWORK_KEY];
	size_t			 i;

	for (i = 0; i < p->count && p->list[i] > n->prefix; i++)
		continue;
	if (i == p->count || p->list[i] != n->prefix) {
		memmove(&p->list[i + 1], &p->list[i], p->count - i);
		p->list[i] = (uint8_t)n->prefix;
		p->count++;
	}
	return insert_entry(t, t->networks, key, make_network_key(key, &n->addr,
	    n->prefix), fresh);
}

const struct ids_entry *
ids_first(const struct ids *t)
{
	return t == NULL ? NULL : t->entries;
}

/* Whether every entry of `a` is in `b`; *n counts them. */
static bool
is_subset(const struct ids *a, const struct ids *b, size_t *n)
{
	const struct ids_entry	*e;
	bool			 id, network;

	*n = 0;
	for (e = ids_first(a); e != NULL; e = e->next, (*n)++) {
		if (b == NULL)
			return false;
		/* No id in a file is like the key of a network. */
		id = map_find(b->ids, e->node.hash, e->key, e->len) != NULL;
		network = map_find(b->networks, e->node.hash, e->key,
		    e->len) != NULL;
		if (!id && !network)
			return false;
	}
	return true;
}

bool
ids_equal(const struct ids *a, const struct ids *b)
{
	size_t	n, m;

	return is_subset(a, b, &n) && is_subset(b, a, &m) && n == m;
}

/* --- finding --- */

static const struct ids_entry *
lookup_entry(struct map *map, const void *key, size_t len)
{
	const struct map_node	*node;

	node = map_find(map, map_hash(key, len), key, len);
	return (const void *)node;
}

static const struct ids_entry *
find_network(const struct ids *t, const struct network *n)
{
	const struct ids_prefixes	*p;
	const struct ids_entry		*e;
	char				 key[IDS_NETWORK_KEY];
	size_t				 i;

	p = n->addr.bits == 32 ? &t->four : &t->six;
	for (i = 0; i < p->count; i++) {
		if (p->list[i] > n->prefix)
			continue;
		e = lookup_entry(t->networks, key,
		    make_network_key(key, &n->addr, p->list[i]));
		if (e != NULL)
			return e;
	}
	return NULL;
}

const struct ids_entry *
ids_find_address(const struct ids *t, const struct addr *a)
{
	struct network	n = { *a, a->bits };

	return t == NULL ? NULL : find_network(t, &n);
}

static const struct ids_entry *
find_whole(const struct ids *t, const char *id, size_t len)
{
	const struct ids_entry	*e;
	size_t			 at;

	if ((e = lookup_entry(t->ids, id, len)) != NULL)
		return e;
	/*
	 * An entry for a login of default_domain may be written without the
	 * domain.
	 */
	at = strlen(t->domain);
	if (at > 0 && len > at + 1 && id[len - at - 1] == '@' &&
	    memcmp(id + len - at, t->domain, at) == 0)
		return lookup_entry(t->ids, id, len - at - 1);
	return NULL;
}

static const struct ids_entry *
find_domain(const struct ids *t, const char *id, size_t len)
{
	const char	*at = normal_domain(id, len);

	return at == NULL ? NULL : lookup_entry(t->ids, at,
	    len - (size_t)(at - id));
}

const struct ids_entry *
ids_find_name(const struct ids *t, const char *id, size_t len)
{
	const struct ids_entry	*e;

	if (t == NULL || t->entries == NULL)
		return NULL;
	if ((e = find_whole(t, id, len)) != NULL)
		return e;
	return find_domain(t, id, len);
}

const struct ids_entry *
ids_find(const struct ids *t, const char *id, size_t len)
{
	const struct ids_entry	*e;
	struct network		 n;

	if (t == NULL || t->entries == NULL)
		return NULL;
	if ((e = find_whole(t, id, len)) != NULL)
		return e;
	if (t->four.count + t->six.count > 0 &&
	    addr_network_parse(&n, id, len) == 0 &&
	    (e = find_network(t, &n)) != NULL)
		return e;
	return find_domain(t, id, len);
}
