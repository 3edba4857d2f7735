#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decision/override.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/str.h"

#define PREFIXES	129	/* lengths of a network */

struct override_entry {
	struct map_node	node;		/* first */
	struct override	override;
	uint64_t	sum;
	char		text[];		/* id, who, reason */
};

struct override_list {
	struct map	*map;
	size_t		 count[OVERRIDE__MAX];
	uint64_t	 sum;
	/* How many networks of each length are blocked, or locked. */
	struct override_prefixes {
		uint32_t	v4[PREFIXES];
		uint32_t	v6[PREFIXES];
	}		 blocked, locked;
};

/* The key of map_find. */
struct override_name {
	uint8_t		 kind;
	const char	*id;
	size_t		 idlen;
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct override		*o;
	const struct override_name	*name = key;

	(void)len;
	o = &((const struct override_entry *)node)->override;
	return o->kind == name->kind && o->idlen == name->idlen &&
	    memcmp(o->id, name->id, name->idlen) == 0;
}

static struct override_entry *
find_entry(const struct override_list *l, uint8_t kind, const char *id,
    size_t idlen)
{
	struct override_name	name = { kind, id, idlen };

	return (struct override_entry *)map_find(l->map,
	    map_hash(id, idlen) + kind, &name, sizeof(name));
}

struct override_list *
override_list_new(void)
{
	struct override_list	*l = alloc_zero(1, sizeof(*l));

	l->map = map_new(same_id);
	return l;
}

static void
drop_entry(struct map_node *node, void *map)
{
	map_remove(map, node);
	free(node);
}

void
override_list_free(struct override_list *l)
{
	if (l == NULL)
		return;
	map_each(l->map, drop_entry, l->map);
	map_free(l->map);
	free(l);
}

/* The counter of such networks of this length, or NULL. */
static uint32_t *
prefix_counter(struct override_list *l, const struct override *o)
{
	static const char	word[] = "network:";
	const size_t		len = sizeof(word) - 1;
	struct override_prefixes *of = o->kind == OVERRIDE_BLOCK ?
				    &l->blocked : &l->locked;
	struct network		net;
	char			text[ADDR_TEXT_MAX];

	if ((o->kind != OVERRIDE_BLOCK && o->kind != OVERRIDE_LOCK) ||
	    o->idlen <= len ||
	    o->idlen - len >= sizeof(text) || memcmp(o->id, word, len) != 0)
		return NULL;
	if (addr_network_parse(&net, o->id + len, o->idlen - len) == -1)
		return NULL;
	return net.addr.bits == 32 ? &of->v4[net.prefix] :
	    &of->v6[net.prefix];
}

static struct override_entry *
copy_entry(const struct override *o)
{
	struct override_entry	*e;
	uint64_t		 sum;

	e = alloc_zero(1, sizeof(*e) + o->idlen + o->wholen + o->reasonlen);
	e->node.hash = map_hash(o->id, o->idlen) + o->kind;
	e->override = *o;
	e->override.id = memcpy(e->text, o->id, o->idlen);
	e->override.who = e->text + o->idlen;
	e->override.reason = e->text + o->idlen + o->wholen;
	if (o->wholen > 0)
		memcpy(e->text + o->idlen, o->who, o->wholen);
	if (o->reasonlen > 0)
		memcpy(e->text + o->idlen + o->wholen, o->reason,
		    o->reasonlen);
	sum = map_hash(o->id, o->idlen);
	sum ^= map_hash(o->who, o->wholen) * 3;
	sum ^= map_hash(o->reason, o->reasonlen) * 5;
	sum ^= (uint64_t)o->until * UINT64_C(0x9e3779b97f4a7c15);
	sum ^= (uint64_t)o->since * UINT64_C(0xc2b2ae3d27d4eb4f);
	sum ^= (uint64_t)o->amount * UINT64_C(0x165667b19e3779f9);
	e->sum = sum * (2 * (uint64_t)o->kind + 1);
	return e;
}

bool
override_list_set(struct override_list *l, const struct override *o)
{
	struct override_entry	*old, *new;
	uint32_t		*prefix;

	if (o->kind >= OVERRIDE__MAX)
		return false;
	if ((old = find_entry(l, o->kind, o->id, o->idlen)) != NULL) {
		if ((prefix = prefix_counter(l, &old->override)) != NULL)
			(*prefix)--;
		l->count[o->kind]--;
		l->sum -= old->sum;
		map_remove(l->map, &old->node);
	}
	if (o->until > 0 && l->count[o->kind] < OVERRIDE_MOST) {
		new = copy_entry(o);
		if ((prefix = prefix_counter(l, o)) != NULL)
			(*prefix)++;
		l->count[o->kind]++;
		l->sum += new->sum;
		map_insert(l->map, &new->node);
	}
	/* Last, since `o` may point into it. */
	free(old);
	return old != NULL;
}

size_t
override_list_count(const struct override_list *l, enum override_kind kind)
{
	return l->count[kind];
}

struct override_walk {
	void	(*each)(void *, const struct override *);
	void	*arg;
};

static void
visit_entry(struct map_node *node, void *arg)
{
	const struct override_walk	*walk = arg;

	walk->each(walk->arg, &((struct override_entry *)node)->override);
}

void
override_list_each(const struct override_list *l,
    void (*each)(void *, const struct override *), void *arg)
{
	struct override_walk	walk = { each, arg };

	map_each(l->map, visit_entry, &walk);
}

uint64_t
override_list_sum(const struct override_list *l)
{
	return l->sum;
}

const struct override *
override_find(const struct override_list *l, enum override_kind kind,
    const char *id, size_t idlen, int64_t now)
{
	struct override_entry	*e;

	if (l->count[kind] == 0)
		return NULL;
	e = find_entry(l, (uint8_t)kind, id, idlen);
	return e != NULL && e->override.until > now ? &e->override : NULL;
}

int64_t
override_granted(const struct override_list *l, const char *id, size_t idlen,
    int64_t now)
{
	const struct override	*grant;

	grant = override_find(l, OVERRIDE_GRANT, id, idlen, now);
	return grant != NULL ? grant->amount : 0;
}

/* --- blocks --- */

size_t
override_id(char *id, const char *word, const char *value, size_t len)
{
	static const uint64_t	fixed[2][2] = {
		{ UINT64_C(0x626c6f636b656431), UINT64_C(0x6f76657272696465) },
		{ UINT64_C(0x626c6f636b656432), UINT64_C(0x6f76657272696465) }
	};
	size_t			n = strlen(word);

	memcpy(id, word, n);
	if (n + len <= OVERRIDE_ID_MAX && len > 0 && value[len - 1] != ' ' &&
	    value[0] != '#' && memchr(value, '\0', len) == NULL &&
	    str_utf8_valid(value, len)) {
		memcpy(id + n, value, len);
		return n + len;
	}
	return n + (size_t)snprintf(id + n, OVERRIDE_ID_MAX - n,
	    "#%016" PRIx64 "%016" PRIx64, map_siphash(fixed[0], value, len),
	    map_siphash(fixed[1], value, len));
}

static const struct override *
find_matching(const struct override_list *l, enum override_kind kind,
    const char *word, const char *bytes, size_t len, int64_t now)
{
	char	id[OVERRIDE_ID_MAX];

	if (len == 0)
		return NULL;
	return override_find(l, kind, id, override_id(id, word, bytes, len),
	    now);
}

/* The longest network first, since its reason is the most specific. */
static const struct override *
find_network(const struct override_list *l, enum override_kind kind,
    const struct addr *client, int64_t now)
{
	const struct override_prefixes	*all = kind == OVERRIDE_BLOCK ?
				    &l->blocked : &l->locked;
	const uint32_t		*of = client->bits == 32 ? all->v4 : all->v6;
	const struct override	*o;
	struct network		 net;
	char			 text[ADDR_TEXT_MAX];
	unsigned int		 prefix;

	for (prefix = client->bits + 1; prefix-- > 0;) {
		if (of[prefix] == 0)
			continue;
		net.addr = *client;
		net.prefix = prefix;
		addr_mask(&net.addr, prefix);
		(void)addr_network_format(&net, text, sizeof(text));
		o = find_matching(l, kind, "network:", text, strlen(text), now);
		if (o != NULL)
			return o;
	}
	return NULL;
}

const struct override *
override_block(const struct override_list *l,
    const struct override_subject *s, int64_t now)
{
	const struct override	*o;
	size_t			 at = s->loginlen;

	if (l->count[OVERRIDE_BLOCK] == 0)
		return NULL;
	o = find_matching(l, OVERRIDE_BLOCK, "login:", s->login,
	    s->loginlen, now);
	while (at > 0 && s->login[at - 1] != '@')
		at--;
	if (o == NULL && at > 0)
		o = find_matching(l, OVERRIDE_BLOCK, "domain:",
		    s->login + at, s->loginlen - at, now);
	if (o == NULL)
		o = find_matching(l, OVERRIDE_BLOCK, "sender:", s->sender,
		    s->senderlen, now);
	if (o == NULL && s->senders)
		o = find_matching(l, OVERRIDE_BLOCK, "login:", s->sender,
		    s->senderlen, now);
	if (o == NULL && s->client.bits > 0)
		o = find_network(l, OVERRIDE_BLOCK, &s->client, now);
	return o;
}

size_t
override_locks(const struct override_list *l,
    const struct override_subject *s, int64_t now,
    const struct override *out[OVERRIDE_LOCKS])
{
	size_t	n = 0;

	if (l->count[OVERRIDE_LOCK] == 0)
		return 0;
	if ((out[n] = find_matching(l, OVERRIDE_LOCK, "login:", s->login,
	    s->loginlen, now)) != NULL)
		n++;
	if ((out[n] = find_matching(l, OVERRIDE_LOCK, OVERRIDE_UNFAMILIAR,
	    s->login, s->loginlen, now)) != NULL)
		n++;
	if (s->client.bits > 0 && (out[n] = find_network(l, OVERRIDE_LOCK,
	    &s->client, now)) != NULL)
		n++;
	return n;
}
