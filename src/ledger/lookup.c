#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "conf/fault.h"
#include "conf/limits.h"
#include "conf/syntax/literal.h"
#include "conf/normal.h"
#include "conf/stored_id.h"
#include "ledger/id.h"
#include "ledger/lookup.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/map.h"

#define SECOND_NS	INT64_C(1000000000)
#define RETRY_NS	SECOND_NS	/* after a query that failed */
#define ENTRIES_MAX	200000
#define LOG_SECONDS	60
#define ASKED		256		/* ids in one query */
#define TIME_SHARE	4		/* of db_timeout, for id_sql */

static const struct {
	int64_t	fresh;		/* ns until an answer is asked again */
	int64_t	kept;		/* ns since the last use */
} lookup_times[] = {
	[LOOKUP_LIMITS]	= { SECOND_NS, 120 * SECOND_NS },
	[LOOKUP_IDS]	= { 60 * SECOND_NS, 86400 * SECOND_NS }
};

TAILQ_HEAD(lookup_uses, lookup_entry);
TAILQ_HEAD(lookup_asks, lookup_entry);

struct lookup {
	enum lookup_kind	 kind;
	const struct settings	*settings;
	struct map		*map;
	struct lookup_uses	 uses;		/* most recently used first */
	struct lookup_asks	 asks;
	char			*query[RULES_MAX];	/* for this store */
	size_t			 skip[RULES_MAX];	/* of an id's prefix */
	int64_t			 now;
	int64_t			 longest;
	struct log_limit	 bad_row;
	struct log_limit	 bad_query;
};

/* --- the query --- */

/* Length of the quoted text or comment that begins at `q`; 0: there is none. */
static size_t
quoted_length(const char *q)
{
	const char	*end;

	if (q[0] == '\'' || q[0] == '"' || q[0] == '`') {
		end = strchr(q + 1, q[0]);
		return end == NULL ? strlen(q) : (size_t)(end - q) + 1;
	}
	if (q[0] == '-' && q[1] == '-')
		return strcspn(q, "\n");
	if (q[0] == '/' && q[1] == '*') {
		end = strstr(q + 2, "*/");
		return end == NULL ? strlen(q) : (size_t)(end - q) + 2;
	}
	return 0;
}

/* Length of the placeholder at `q`; 0: there is none. */
static size_t
placeholder_length(const char *q)
{
	if (q[0] == '?')
		return 1;
	if (q[0] == '%' && q[1] == 's')
		return 2;
	if (q[0] == '$' && q[1] == '1' && (q[2] < '0' || q[2] > '9'))
		return 2;
	return 0;
}

int
lookup_query(struct str *out, const char *query, const char *mark)
{
	const char	*q = query;
	size_t		 n, quoted = 0;
	char		 style;

	/* Placeholders are those that begin like the first one. */
	while (*q != '\0' && ((n = quoted_length(q)) > 0 ||
	    placeholder_length(q) == 0))
		q += n > 0 ? n : 1;
	if ((style = *q) == '\0')
		return -1;
	q = query;
	while (*q != '\0') {
		if (quoted == 0)
			quoted = quoted_length(q);
		n = 1;
		if (style == '%' && q[0] == '%' && q[1] == '%') {
			str_addc(out, '%');
			n = 2;
		} else if (quoted == 0 && *q == style &&
		    placeholder_length(q) > 0) {
			str_adds(out, mark);
			n = placeholder_length(q);
		} else
			str_addc(out, (unsigned char)*q);
		q += n;
		quoted -= quoted < n ? quoted : n;
	}
	return 0;
}

static void
prepare_query(struct lookup *l, size_t rule, const char *query)
{
	struct str	 text;

	if (query == NULL || query[0] == '\0')
		return;
	str_init(&text);
	if (lookup_query(&text, query, store_placeholder) == -1)
		log_error("a query of the configuration has no placeholder for "
		    "the id");
	else
		l->query[rule] = alloc_string(text.data);
	str_clear(&text);
}

/* --- entries --- */

static int
same_key(const struct map_node *node, const void *key, size_t len)
{
	const struct lookup_entry	*e = (const struct lookup_entry *)node;

	return e->idlen == len && memcmp(e->id, key, len) == 0;
}

static void
remove_entry(struct lookup *l, struct lookup_entry *e)
{
	map_remove(l->map, &e->node);
	TAILQ_REMOVE(&l->uses, e, use);
	window_limits_clear(&e->limits);
	free(e->counted);
	free(e);
}

static void
clear_entries(struct lookup *l)
{
	struct lookup_entry	*e;
	size_t			 i;

	while ((e = TAILQ_FIRST(&l->uses)) != NULL)
		remove_entry(l, e);
	for (i = 0; i < RULES_MAX; i++) {
		free(l->query[i]);
		l->query[i] = NULL;
		l->skip[i] = 0;
	}
	TAILQ_INIT(&l->asks);
}

struct lookup *
lookup_new(enum lookup_kind kind, const struct settings *settings)
{
	struct lookup	*l;

	l = alloc_zero(1, sizeof(*l));
	l->kind = kind;
	l->map = map_new(same_key);
	TAILQ_INIT(&l->uses);
	TAILQ_INIT(&l->asks);
	lookup_settings(l, settings);
	return l;
}

void
lookup_free(struct lookup *l)
{
	if (l == NULL)
		return;
	clear_entries(l);
	map_free(l->map);
	free(l);
}

void
lookup_settings(struct lookup *l, const struct settings *settings)
{
	const struct settings_rule	*rule;
	size_t				 i;
	bool				 ids;

	ids = l->kind == LOOKUP_IDS;
	clear_entries(l);
	l->settings = settings;
	if (settings->nrules == 0 && !ids)
		prepare_query(l, 0, settings->sql_limits_by_id);
	for (i = 0; i < settings->nrules && i < RULES_MAX; i++) {
		rule = &settings->rules[i];
		prepare_query(l, i, ids ? rule->id_sql :
		    rule->sql_limits_by_id);
		l->skip[i] = strlen(rule->name) + 1;
	}
}

bool
lookup_used(const struct lookup *l)
{
	size_t	i;

	for (i = 0; i < RULES_MAX; i++)
		if (l->query[i] != NULL)
			return true;
	return false;
}

void
lookup_batch(struct lookup *l, struct mono now)
{
	struct lookup_entry	*e;

	l->now = now.ns;
	while ((e = TAILQ_LAST(&l->uses, lookup_uses)) != NULL &&
	    (l->now - e->used > lookup_times[l->kind].kept ||
	    map_count(l->map) > ENTRIES_MAX))
		remove_entry(l, e);
}

/* The key of an entry: the rule's number and the stored id. */
struct lookup_key {
	char		bytes[2 + ID_STORED_MAX];
	size_t		len;
	uint64_t	hash;
};

static void
fill_key(const struct lookup *l, struct lookup_key *key, uint16_t rule,
    const char *id, size_t idlen)
{
	char	hashed[ID_STORED_MAX + 1];

	if (rule < RULES_MAX && idlen >= l->skip[rule]) {
		id += l->skip[rule];
		idlen -= l->skip[rule];
	}
	id = id_stored(id, &idlen, hashed);
	key->bytes[0] = (char)(rule >> 8);
	key->bytes[1] = (char)(rule & 0xff);
	memcpy(key->bytes + 2, id, idlen);
	key->len = 2 + idlen;
	key->hash = map_hash(key->bytes, key->len);
}

struct lookup_entry *
lookup_get(struct lookup *l, uint16_t rule, const char *id, size_t idlen)
{
	struct lookup_key	 key;
	struct lookup_entry	*e;
	size_t			 n;

	if (l->kind == LOOKUP_IDS) {
		if (rule >= RULES_MAX || l->query[rule] == NULL)
			return NULL;
		/* After a reload a charge may come from older rules. */
		n = l->skip[rule] - 1;
		if (idlen <= n || id[n] != ':' ||
		    memcmp(id, l->settings->rules[rule].name, n) != 0)
			return NULL;
	}
	fill_key(l, &key, rule, id, idlen);
	e = (struct lookup_entry *)map_find(l->map, key.hash, key.bytes,
	    key.len);
	if (e == NULL) {
		e = alloc_zero(1, sizeof(*e) + key.len);
		e->node.hash = key.hash;
		e->when = l->now - lookup_times[l->kind].fresh;
		e->unknown = true;
		e->idlen = key.len;
		memcpy(e->id, key.bytes, key.len);
		map_insert(l->map, &e->node);
	} else
		TAILQ_REMOVE(&l->uses, e, use);
	TAILQ_INSERT_HEAD(&l->uses, e, use);
	e->used = l->now;
	if (!e->waiting && l->now - e->when >= lookup_times[l->kind].fresh) {
		e->waiting = true;
		TAILQ_INSERT_TAIL(&l->asks, e, ask);
	}
	return e;
}

const struct lookup_entry *
lookup_find(struct lookup *l, uint16_t rule, const char *id, size_t idlen)
{
	struct lookup_key	key;

	fill_key(l, &key, rule, id, idlen);
	return (const struct lookup_entry *)map_find(l->map, key.hash,
	    key.bytes, key.len);
}

const struct limits *
lookup_limits(struct lookup *l, const struct settings_rule *rule,
    const char *id, size_t idlen)
{
	const struct lookup_entry	*e;

	if (rule != NULL && stored_id_was(rule, id, idlen))
		return NULL;
	e = lookup_find(l, rule == NULL ? 0 :
	    (uint16_t)(rule - l->settings->rules), id, idlen);
	return e != NULL && e->known ? &e->limits : NULL;
}

int64_t
lookup_longest(const struct lookup *l)
{
	return l->longest;
}

/* --- asking --- */

static int
rule_of(const struct lookup_entry *e)
{
	return (unsigned char)e->id[0] << 8 | (unsigned char)e->id[1];
}

static void
log_fault(struct lookup *l, const struct lookup_entry *e, const char *why)
{
	char		id[128];
	unsigned int	suppressed;

	if (!log_allowed(&l->bad_row, LOG_SECONDS, &suppressed))
		return;
	(void)str_printable(id, sizeof(id), e->id + 2, e->idlen - 2);
	if (l->kind == LOOKUP_IDS)
		log_warning("id_sql: the id of %s is ignored: %s", id, why);
	else
		log_warning("sql_limits_by_id: the limits of %s are ignored: "
		    "%s", id, why);
}

static void
parse_limits(struct lookup *l, struct lookup_entry *e, const char *text)
{
	struct faults	 faults;
	struct value	*value;
	struct limits	 limits = { 0, NULL };
	char		 reason[256] = "not a literal";

	fault_init(&faults, NULL);
	value = literal_value(text, strlen(text), &faults);
	if (value != NULL &&
	    limits_parse(&limits, value, reason, sizeof(reason)) == 0) {
		window_limits_clear(&e->limits);
		e->limits = limits;
		e->known = true;
		l->longest = window_longest(&limits, l->longest);
	} else {
		e->known = false;
		log_fault(l, e, reason);
	}
	value_free(value);
	fault_clear(&faults);
}

/*
 * Sets the id that is counted: the rule's name and the text, without the blanks
 * that PostgreSQL's and MySQL's char(n) has at its end. Ids that would be
 * stored as a hash are ignored.
 */
static void
parse_id(struct lookup *l, struct lookup_entry *e, const char *text)
{
	const struct settings_rule	*rule;
	struct str			 id;
	char				 hashed[ID_STORED_MAX + 1];
	size_t				 n = normal_length(text, strlen(text));
	size_t				 len;

	rule = &l->settings->rules[rule_of(e)];
	str_init(&id);
	str_addf(&id, "%s:", rule->name);
	len = id.len;
	str_add(&id, text, n);
	if (l->settings->fold_case)
		str_fold(id.data + len, n);
	len = id.len;
	e->known = n > 0 && id_stored(id.data, &len, hashed) == id.data;
	if (n > 0 && !e->known)
		log_fault(l, e, "it is too long, or not UTF-8");
	free(e->counted);
	e->counted = e->known ? alloc_string(id.data) : NULL;
	str_clear(&id);
}

static void
take_answer(struct lookup *l, struct store *store, struct lookup_entry *e,
    const struct store_found *answer)
{
	unsigned int	suppressed;

	e->when = l->now;
	if (answer->failed) {
		/* The last answer stays in force, if there is one. */
		e->when = l->now - lookup_times[l->kind].fresh + RETRY_NS;
		if (!log_allowed(&l->bad_query, LOG_SECONDS, &suppressed))
			return;
		if (l->kind == LOOKUP_IDS)
			log_error("the query id_sql: %s", store_error(store));
		else
			log_error("sql_limits_by_id: %s", store_error(store));
		return;
	}
	e->unknown = false;
	if (l->kind == LOOKUP_IDS)
		parse_id(l, e, answer->text != NULL ? answer->text : "");
	else if (answer->text == NULL)
		e->known = false;
	else
		parse_limits(l, e, answer->text);
}

enum store_result
lookup_ask(struct lookup *l, struct store *store)
{
	struct store_found	 list[ASKED];
	struct lookup_entry	*entry[ASKED], *e, *next;
	enum store_result	 result;
	int64_t			 timeout = 0;
	size_t			 n, i;
	int			 rule;

	if (l->kind == LOOKUP_IDS)
		timeout = l->settings->db_timeout / TIME_SHARE;
	/* One rule's entries at a time, up to the room there is. */
	while ((e = TAILQ_FIRST(&l->asks)) != NULL) {
		rule = rule_of(e);
		for (n = 0; e != NULL && n < ASKED; e = next) {
			next = TAILQ_NEXT(e, ask);
			if (rule_of(e) != rule)
				continue;
			TAILQ_REMOVE(&l->asks, e, ask);
			e->waiting = false;
			list[n] = (struct store_found){ .id = e->id + 2,
			    .idlen = e->idlen - 2 };
			entry[n++] = e;
		}
		if (rule >= RULES_MAX || l->query[rule] == NULL)
			continue;
		result = store_look_up(store, l->query[rule], timeout, list, n);
		for (i = 0; i < n; i++) {
			if (result != STORE_OK)
				list[i].failed = true;
			take_answer(l, store, entry[i], &list[i]);
			free(list[i].text);
		}
		if (result == STORE_LOST)
			return STORE_LOST;
	}
	return STORE_OK;
}
