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

#define LIMITS_NAME_MAX		160	/* of an entry, for faults */

/* --- one list --- */

static int
read_number(const struct reading *r, const struct value *v, const char *what,
    int64_t min, int64_t max, int64_t *out)
{
	if (reader_whole(v, out) == -1)
		return reader_fault(r, v, "must hold whole numbers, not %s",
		    value_type_name(v->type));
	if (*out < min || *out > max)
		return reader_fault(r, v, "has %s that are not from %lld to "
		    "%lld", what, (long long)min, (long long)max);
	return 0;
}

/* Reports every wrong window at its place; -1: `out` is unchanged. */
static int
read_windows(const struct reading *r, struct limits *out, const struct value *v)
{
	const struct value	*item;
	struct limit		 list[LIMITS_MAX];
	size_t			 i;
	int			 result = 0;

	if (!READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of [mails, seconds]");
	if (v->count > LIMITS_MAX)
		return reader_fault(r, v, "has more than %d windows",
		    LIMITS_MAX);
	for (i = 0; i < v->count; i++) {
		item = v->items[i];
		if (!READER_IS_LIST(item) || item->count != 2)
			result = reader_fault(r, item, "must be a list of "
			    "[mails, seconds], such as [[10, 60], [150, "
			    "86400]]");
		else if (read_number(r, item->items[0], "mails", 0,
		    LIMITS_MAILS_MAX, &list[i].mails) == -1 ||
		    read_number(r, item->items[1], "seconds", 1,
		    LIMITS_SECONDS_MAX, &list[i].seconds) == -1)
			result = -1;
	}
	if (result == -1)
		return -1;
	out->count = v->count;
	out->list = v->count == 0 ? NULL :
	    alloc_copy(list, v->count * sizeof(list[0]));
	return 0;
}

int
limits_parse(struct limits *out, const struct value *v, char *reason,
    size_t size)
{
	struct faults	faults;
	struct reading	r = { .faults = &faults };
	int		result;

	fault_init(&faults, NULL);
	if ((result = read_windows(&r, out, v)) == -1)
		strlcpy(reason, faults.list[0].text, size);
	fault_clear(&faults);
	return result;
}

int
limits_read(const struct reading *r, const struct value *v)
{
	struct limits	found;

	if (read_windows(r, &found, v) == -1)
		return -1;
	window_limits_clear(r->out);
	*(struct limits *)r->out = found;
	return 0;
}

void
limits_clear(void *member)
{
	window_limits_clear(member);
}

/* --- limits_by_id --- */

/* Appends an id as the rule, or without one the identity, counts it. */
static void
add_normal_id(struct str *id, const struct reading *r, const char *bytes,
    size_t len)
{
	const struct settings_rule	*rule = r->rule;
	size_t				 i, n;

	/* A key that is wrong is a fault already. */
	if (rule == NULL || rule->nkey <= 1) {
		normal_text(id, r->settings, rule == NULL || rule->nkey == 0 ?
		    KEY_SASL_USERNAME : rule->key[0], bytes, len);
		return;
	}
	for (i = 0; i < rule->nkey; i++) {
		/* Values have commas between them, which "\\," is not. */
		for (n = 0; n < len && (bytes[n] != ',' ||
		    i + 1 == rule->nkey); n++)
			if (bytes[n] == '\\' && n + 1 < len)
				n++;
		if (rule->key[i] == KEY_SASL_USERNAME &&
		    r->settings->default_domain != NULL)
			normal_mailbox(id, r->settings,
			    r->settings->default_domain, bytes, n);
		else
			normal_text(id, r->settings, rule->key[i], bytes, n);
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
add_limits(struct ids *t, const struct reading *r, const struct value *key,
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
		add_normal_id(&id, r, key->bytes, key->len);
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
check_key(const struct reading *r, const struct value *key)
{
	struct network	n;

	if (key->type != VALUE_STR && key->type != VALUE_INT)
		return reader_fault(r, key,
		    "must have strings as ids, not %s: put it in quotes",
		    value_type_name(key->type));
	if (key->type == VALUE_STR && key->len == 0)
		return reader_fault(r, key, "has an empty id");
	if (key->type == VALUE_STR &&
	    addr_network_parse(&n, key->bytes, key->len) == -1 &&
	    errno == EDOM)
		return reader_fault(r, key,
		    "has the network \"%s\", which has host bits set",
		    key->bytes);
	return 0;
}

int
limits_read_by_id(const struct reading *r, const struct value *v)
{
	struct ids		*t, **out = r->out;
	struct limits		 limits;
	struct reading		 entry = *r;
	const struct value	*key;
	char			 name[LIMITS_NAME_MAX];
	size_t			 errors = r->faults->errors, i;

	if (v->type != VALUE_DICT && v->type != VALUE_NONE)
		return reader_mismatch(r, v,
		    "a dictionary of ids and lists of [mails, seconds]");
	entry.name = name;
	t = ids_new(r->settings);
	for (i = 0; i + 1 < v->count; i += 2) {
		key = v->items[i];
		if (check_key(r, key) == -1)
			continue;
		if (key->type == VALUE_INT)
			snprintf(name, sizeof(name), "%s[%lld]", r->name,
			    (long long)key->integer);
		else
			snprintf(name, sizeof(name), "%s[\"%.80s\"]", r->name,
			    key->bytes);
		if (read_windows(&entry, &limits, v->items[i + 1]) == 0)
			add_limits(t, r, key, &limits);
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
limits_by_id_longest(const struct ids *t, int64_t least)
{
	const struct ids_entry	*e;

	for (e = ids_first(t); e != NULL; e = e->next)
		least = window_longest(&e->limits, least);
	return least;
}
