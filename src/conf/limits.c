#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/limits.h"
#include "conf/normal.h"
#include "lib/addr.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define LIMITS_REASON_MAX	160
#define LIMITS_NAME_MAX		160	/* of an entry, for faults */

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

/* The same for a configuration: reports every wrong window at its place. */
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

/* The values of a combination have commas between them, which "\\," is not. */
static size_t
limits_part(const char *bytes, size_t len)
{
	size_t	i;

	for (i = 0; i < len && bytes[i] != ','; i++)
		if (bytes[i] == '\\')
			i++;
	return i < len ? i : len;
}

/* One value of a combination. */
static void
limits_value(struct str *id, const struct settings *s,
    enum rule_attribute attr, const char *bytes, size_t len)
{
	if (attr == KEY_SASL_USERNAME && s->default_domain != NULL)
		normal_mailbox(id, s, s->default_domain, bytes, len);
	else
		normal_text(id, s, attr, bytes, len);
}

/* Appends an id as the rule, or without one the identity, counts it. */
static void
limits_normal(struct str *id, const struct reading *r, const char *bytes,
    size_t len)
{
	const struct settings_rule	*rule = r->rule;
	size_t				 i, n;

	/* A key that is wrong is a fault already. */
	if (rule == NULL || rule->nkey <= 1)
		normal_text(id, r->settings, rule == NULL || rule->nkey == 0 ?
		    KEY_SASL_USERNAME : rule->key[0], bytes, len);
	for (i = 0; rule != NULL && rule->nkey > 1 && i < rule->nkey; i++) {
		n = i + 1 < rule->nkey ? limits_part(bytes, len) : len;
		limits_value(id, r->settings, rule->key[i], bytes, n);
		bytes += n;
		len -= n;
		if (len == 0)
			return;
		str_addc(id, ',');
		bytes++;
		len--;
	}
}

static void
limits_add(struct ids *t, const struct reading *r, const struct value *key,
    struct limits *limits)
{
	struct ids_entry	*e;
	struct network		 network;
	struct str		 id;
	bool			 fresh;

	str_init(&id);
	if (key->type == VALUE_INT)
		str_addf(&id, "%lld", (long long)key->integer);
	else
		limits_normal(&id, r, key->bytes, key->len);
	if (addr_network_parse(&network, id.data, id.len) == 0)
		e = ids_add_network(t, &network, &fresh);
	else
		e = ids_add(t, id.data, id.len, &fresh);
	str_clear(&id);
	window_limits_clear(&e->limits);
	e->limits = *limits;
	if (!fresh)
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

/* The name of one entry, for faults: limits_by_id["bob"]. */
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
	struct ids	*t, **out = r->out;
	struct limits	 limits;
	struct reading	 entry;
	char		 name[LIMITS_NAME_MAX];
	size_t		 errors, i;

	entry = *r;
	entry.name = name;
	if (v->type != VALUE_DICT && v->type != VALUE_NONE)
		return reader_mismatch(r, v,
		    "a dictionary of ids and lists of [mails, seconds]");
	errors = r->faults->errors;
	t = ids_new(r->settings);
	for (i = 0; i + 1 < v->count; i += 2) {
		if (limits_check_key(r, v->items[i]) == -1)
			continue;
		limits_name(name, r, v->items[i]);
		if (limits_judge(&entry, &limits, v->items[i + 1]) == 0)
			limits_add(t, r, v->items[i], &limits);
	}
	if (r->faults->errors != errors) {
		ids_free(t);
		return -1;
	}
	ids_free(*out);
	*out = t;
	return 0;
}

int64_t
limits_by_id_longest(const struct ids *t)
{
	const struct ids_entry	*e;
	int64_t			 longest = 0, n;

	for (e = ids_first(t); e != NULL; e = e->next)
		if ((n = limits_longest(&e->limits)) > longest)
			longest = n;
	return longest;
}
