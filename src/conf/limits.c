#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/limits.h"
#include "conf/normal.h"
#include "lib/addr.h"
#include "lib/alloc.h"
#include "lib/map.h"
#include "lib/str.h"

#define LIMITS_REASON_MAX	160
#define LIMITS_NAME_MAX		160	/* of an entry, for faults */
#define LIMITS_NETWORK_KEY	18	/* bits, prefix, address */

/*
 * One entry of limits_by_id; `key` is an id, "@domain", or a network in bytes.
 */
struct limits_entry {
	struct map_node		 node;
	struct limits_entry	*next;		/* all of them, for freeing */
	struct limits		 limits;
	size_t			 len;
	char			 key[];
};

/*
 * Networks are found by masking the address to each prefix length that occurs,
 * longest first: a few lookups whatever the number of networks.
 */
struct limits_prefixes {
	size_t	count;
	uint8_t	list[129];
};

struct settings_id_limits {
	struct map		*ids;
	struct map		*networks;
	struct limits_prefixes	 four;
	struct limits_prefixes	 six;
	struct limits_entry	*entries;
	char			*domain;	/* default_domain, or "" */
	int64_t			 longest;
};

/* --- one list --- */

static int
limits_number(int64_t *out, const struct value *v, const char *what,
    int64_t min, int64_t max, char *reason, size_t size)
{
	if (reader_whole(v, out) == -1) {
		snprintf(reason, size, "must hold whole numbers, not %s",
		    value_type_name(v->type));
		return -1;
	}
	if (*out < min || *out > max) {
		snprintf(reason, size, "has %s that are not from %lld to %lld",
		    what, (long long)min, (long long)max);
		return -1;
	}
	return 0;
}

static int
limits_window(struct limit *out, const struct value *v,
    const struct value **culprit, char *reason, size_t size)
{
	*culprit = v;
	if (!READER_IS_LIST(v) || v->count != 2) {
		snprintf(reason, size, "must be a list of [mails, seconds], "
		    "such as [[10, 60], [150, 86400]]");
		return -1;
	}
	*culprit = v->items[0];
	if (limits_number(&out->mails, v->items[0], "mails", 0,
	    LIMITS_MAILS_MAX, reason, size) == -1)
		return -1;
	*culprit = v->items[1];
	return limits_number(&out->seconds, v->items[1], "seconds", 1,
	    LIMITS_SECONDS_MAX, reason, size);
}

static int
limits_list(const struct value *v, char *reason, size_t size)
{
	if (!READER_IS_LIST(v)) {
		snprintf(reason, size, "must be a list of [mails, seconds], "
		    "not %s", value_type_name(v->type));
		return -1;
	}
	if (v->count > LIMITS_MAX) {
		snprintf(reason, size, "has more than %d windows", LIMITS_MAX);
		return -1;
	}
	return 0;
}

static void
limits_copy(struct limits *out, const struct limit *list, size_t count)
{
	out->list = NULL;
	out->count = count;
	if (count == 0)
		return;
	out->list = alloc_zero(count, sizeof(*out->list));
	memcpy(out->list, list, count * sizeof(*out->list));
}

int
limits_parse(struct limits *out, const struct value *v, char *reason,
    size_t size)
{
	const struct value	*culprit;
	struct limit		 list[LIMITS_MAX];
	size_t			 i;

	if (limits_list(v, reason, size) == -1)
		return -1;
	for (i = 0; i < v->count; i++)
		if (limits_window(&list[i], v->items[i], &culprit, reason,
		    size) == -1)
			return -1;
	limits_copy(out, list, v->count);
	return 0;
}

/*
 * The same for a configuration: every window that is wrong, each with its
 * place.
 */
static int
limits_judge(const struct reading *r, struct limits *out, const struct value *v)
{
	const struct value	*culprit;
	struct limit		 list[LIMITS_MAX];
	char			 reason[LIMITS_REASON_MAX];
	size_t			 i;
	int			 result;

	if (limits_list(v, reason, sizeof(reason)) == -1) {
		reader_fault(r, v, "%s", reason);
		return -1;
	}
	result = 0;
	for (i = 0; i < v->count; i++)
		if (limits_window(&list[i], v->items[i], &culprit, reason,
		    sizeof(reason)) == -1) {
			reader_fault(r, culprit, "%s", reason);
			result = -1;
		}
	if (result == 0)
		limits_copy(out, list, v->count);
	return result;
}

int
limits_read(const struct reading *r, const struct value *v)
{
	struct limits	found;

	if (limits_judge(r, &found, v) == -1)
		return -1;
	window_limits_clear(r->out);
	*(struct limits *)r->out = found;
	return 0;
}

int64_t
limits_longest(const struct limits *limits)
{
	int64_t	longest;
	size_t	i;

	longest = 0;
	for (i = 0; i < limits->count; i++)
		if (limits->list[i].seconds > longest)
			longest = limits->list[i].seconds;
	return longest;
}

/* --- limits_by_id --- */

static int
limits_same(const struct map_node *node, const void *key, size_t len)
{
	/* The node is the entry's first member. */
	const struct limits_entry	*e = (const void *)node;

	return e->len == len && memcmp(e->key, key, len) == 0;
}

static struct settings_id_limits *
limits_by_id_new(const struct settings *s)
{
	struct settings_id_limits	*t;

	t = alloc_zero(1, sizeof(*t));
	t->ids = map_new(limits_same);
	t->networks = map_new(limits_same);
	t->domain = alloc_string(s->default_domain != NULL ?
	    s->default_domain : "");
	if (s->fold_case)
		str_fold(t->domain, strlen(t->domain));
	return t;
}

void
limits_by_id_free(struct settings_id_limits *t)
{
	struct limits_entry	*e;

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

static const struct limits_entry *
limits_find(struct map *map, const void *key, size_t len)
{
	const struct map_node	*node;

	node = map_find(map, map_hash(key, len), key, len);
	return (const void *)node;
}

static size_t
limits_network_key(char key[LIMITS_NETWORK_KEY], const struct addr *a,
    unsigned int prefix)
{
	struct addr	masked;

	masked = *a;
	addr_mask(&masked, prefix);
	memset(key, 0, LIMITS_NETWORK_KEY);
	key[0] = (char)masked.bits;
	key[1] = (char)prefix;
	memcpy(key + 2, masked.byte, masked.bits / 8);
	return LIMITS_NETWORK_KEY;
}

static void
limits_prefixes_add(struct limits_prefixes *p, unsigned int prefix)
{
	size_t	i;

	for (i = 0; i < p->count && p->list[i] >= prefix; i++)
		if (p->list[i] == prefix)
			return;
	memmove(&p->list[i + 1], &p->list[i], p->count - i);
	p->list[i] = (uint8_t)prefix;
	p->count++;
}

/* Takes the limits; false when the key was there: the last one counts. */
static bool
limits_insert(struct settings_id_limits *t, struct map *map, const void *key,
    size_t len, struct limits *limits)
{
	struct limits_entry	*e;
	struct map_node		*node;
	uint64_t		 hash;

	if (limits_longest(limits) > t->longest)
		t->longest = limits_longest(limits);
	hash = map_hash(key, len);
	if ((node = map_find(map, hash, key, len)) != NULL) {
		e = (void *)node;
		window_limits_clear(&e->limits);
		e->limits = *limits;
		return false;
	}
	e = alloc_zero(1, sizeof(*e) + len + 1);
	e->node.hash = hash;
	e->limits = *limits;
	e->len = len;
	memcpy(e->key, key, len);
	map_insert(map, &e->node);
	e->next = t->entries;
	t->entries = e;
	return true;
}

/*
 * A client is counted by a shorter prefix than this entry has: it can never
 * match.
 */
static void
limits_check_prefix(const struct reading *r, const struct value *key,
    const struct network *n)
{
	unsigned int	counted;

	counted = n->addr.bits == 32 ? r->settings->ipv4_prefix :
	    r->settings->ipv6_prefix;
	if (n->prefix > counted)
		reader_warning(r, key, "has \"%s\", but clients are counted by "
		    "networks of /%u: it matches none", key->bytes, counted);
}

static void
limits_add(struct settings_id_limits *t, const struct reading *r,
    const struct value *key, struct limits *limits)
{
	struct network	 network;
	struct str	 id;
	char		 packed[LIMITS_NETWORK_KEY], text[24];
	bool		 added;

	str_init(&id);
	if (key->type == VALUE_INT) {
		snprintf(text, sizeof(text), "%lld", (long long)key->integer);
		str_adds(&id, text);
	} else
		/* Found without default_domain too: limits_by_id_find. */
		normal_mailbox(&id, r->settings, "", key->bytes, key->len);
	if (addr_network_parse(&network, id.data, id.len) == 0) {
		limits_check_prefix(r, key, &network);
		limits_prefixes_add(
		    network.addr.bits == 32 ? &t->four : &t->six,
		    network.prefix);
		added = limits_insert(t, t->networks, packed,
		    limits_network_key(packed, &network.addr, network.prefix),
		    limits);
	} else
		added = limits_insert(t, t->ids, id.data, id.len, limits);
	str_clear(&id);
	if (!added)
		reader_warning(r, key,
		    "names the same id twice%s: the last one counts",
		    r->settings->fold_case ? " (fold_case is on)" : "");
}

static int
limits_check_key(const struct reading *r, const struct value *key)
{
	struct network	n;

	if (key->type != VALUE_STR && key->type != VALUE_INT) {
		reader_fault(r, key,
		    "must have strings as ids, not %s: put it in quotes",
		    value_type_name(key->type));
		return -1;
	}
	if (key->type == VALUE_STR && key->len == 0) {
		reader_fault(r, key, "has an empty id");
		return -1;
	}
	if (key->type == VALUE_STR &&
	    addr_network_parse(&n, key->bytes, key->len) == -1 &&
	    errno == EDOM) {
		reader_fault(r, key,
		    "has the network \"%s\", which has host bits set",
		    key->bytes);
		return -1;
	}
	return 0;
}

/* Of one entry, for faults: limits_by_id["bob"]. */
static void
limits_name(char name[LIMITS_NAME_MAX], const struct reading *r,
    const struct value *key)
{
	if (key->type == VALUE_INT)
		snprintf(name, LIMITS_NAME_MAX, "%s[%lld]", r->name,
		    (long long)key->integer);
	else
		snprintf(name, LIMITS_NAME_MAX, "%s[\"%.80s\"]", r->name,
		    key->bytes);
}

int
limits_read_by_id(const struct reading *r, const struct value *v)
{
	struct settings_id_limits	*t, **out = r->out;
	struct limits			 limits;
	struct reading			 entry;
	char				 name[LIMITS_NAME_MAX];
	size_t				 errors, i;

	entry = *r;
	entry.name = name;
	if (v->type != VALUE_DICT && v->type != VALUE_NONE)
		return reader_mismatch(r, v,
		    "a dictionary of ids and lists of [mails, seconds]");
	errors = r->faults->errors;
	t = limits_by_id_new(r->settings);
	for (i = 0; i + 1 < v->count; i += 2) {
		if (limits_check_key(r, v->items[i]) == -1)
			continue;
		limits_name(name, r, v->items[i]);
		if (limits_judge(&entry, &limits, v->items[i + 1]) == 0)
			limits_add(t, r, v->items[i], &limits);
	}
	if (r->faults->errors != errors) {
		limits_by_id_free(t);
		return -1;
	}
	limits_by_id_free(*out);
	*out = t;
	return 0;
}

static const struct limits_entry *
limits_find_network(const struct settings_id_limits *t, const struct network *n)
{
	const struct limits_prefixes	*p;
	const struct limits_entry	*e;
	char				 key[LIMITS_NETWORK_KEY];
	size_t				 i;

	p = n->addr.bits == 32 ? &t->four : &t->six;
	for (i = 0; i < p->count; i++) {
		if (p->list[i] > n->prefix)
			continue;
		e = limits_find(t->networks, key,
		    limits_network_key(key, &n->addr, p->list[i]));
		if (e != NULL)
			return e;
	}
	return NULL;
}

const struct limits *
limits_by_id_find(const struct settings_id_limits *t, const char *id,
    size_t idlen)
{
	const struct limits_entry	*e;
	struct network			 n;
	size_t				 at;

	if (t == NULL || t->entries == NULL)
		return NULL;
	if ((e = limits_find(t->ids, id, idlen)) != NULL)
		return &e->limits;
	/* A login without a domain is written without it here too. */
	at = strlen(t->domain);
	if (at > 0 && idlen > at + 1 && id[idlen - at - 1] == '@' &&
	    memcmp(id + idlen - at, t->domain, at) == 0 &&
	    (e = limits_find(t->ids, id, idlen - at - 1)) != NULL)
		return &e->limits;
	if (t->four.count + t->six.count > 0 &&
	    addr_network_parse(&n, id, idlen) == 0 &&
	    (e = limits_find_network(t, &n)) != NULL)
		return &e->limits;
	/*
	 * The domain begins at the last "@": what is before it may be quoted.
	 */
	for (at = idlen; at-- > 0;)
		if (id[at] == '@') {
			e = limits_find(t->ids, id + at, idlen - at);
			return e == NULL ? NULL : &e->limits;
		}
	return NULL;
}

int64_t
limits_by_id_longest(const struct settings_id_limits *t)
{
	return t == NULL ? 0 : t->longest;
}
