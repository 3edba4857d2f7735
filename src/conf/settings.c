#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/connection.h"
#include "conf/ids.h"
#include "conf/limits.h"
#include "conf/member.h"
#include "conf/reader.h"
#include "conf/rule_lock.h"
#include "conf/rules.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "lib/alloc.h"
#include "lib/str.h"

/* Reads the rows whose bits are set, first those without TABLE_LAST. */
static void
read_rows(struct settings *s, uint64_t which, struct faults *faults)
{
	struct reading	r = { .settings = s, .faults = faults };
	unsigned int	last;
	size_t		i;

	for (last = 0; last <= TABLE_LAST; last += TABLE_LAST)
		for (i = 0; i < table_count(); i++) {
			if ((which >> i & 1) == 0 || s->values[i] == NULL ||
			    (table_row(i)->flags & TABLE_LAST) != last)
				continue;
			r.name = table_row(i)->name;
			reader_row(&r, table_row(i), s, s->values[i]);
		}
}

static void
set_value(struct settings *s, size_t i, struct value *v)
{
	value_free(s->values[i]);
	s->values[i] = v;
	/* The dictionaries of the connections are used unchanged. */
	if ((table_row(i)->flags & TABLE_HANDED) != 0)
		*(struct value **)(void *)((char *)s + table_row(i)->at) = v;
}

/* --- making and reading --- */

struct settings *
settings_new(void)
{
	struct settings	*s;
	struct faults	 faults;
	size_t		 i;

	s = alloc_zero(1, sizeof(*s));
	for (i = 0; i < table_count(); i++)
		if (table_row(i)->alias == NULL)
			set_value(s, i, table_default(table_row(i)));
	fault_init(&faults, NULL);
	read_rows(s, UINT64_MAX, &faults);
	assert(faults.count == 0);
	fault_clear(&faults);
	s->config_file = alloc_string("");
	return s;
}

void
settings_free(struct settings *s)
{
	size_t	i;

	if (s == NULL)
		return;
	for (i = 0; i < table_count(); i++) {
		value_free(s->values[i]);
		if (table_row(i)->clear != NULL)
			table_row(i)->clear((char *)s + table_row(i)->at);
	}
	member_clear(s);
	rules_clear(s);
	free(s);
}

void
settings_wipe_connections(struct settings *s)
{
	value_blank(s->sqlite_config);
	value_blank(s->mysql_config);
	value_blank(s->pgsql_config);
}

static void
report_unknown(const struct value *key, struct faults *faults)
{
	/* Settings of forks of the older program. */
	static const char *const	foreign[] = {
		"exempt_recipients", "retention_days", "skip_same_domain",
		"sql_report"
	};
	struct reader_nearest		nearest = { .written = key->bytes };
	size_t				i;

	if (key->type != VALUE_STR) {
		fault_unknown(faults, key->line, key->column,
		    "a setting's name must be a string, not %s",
		    value_type_name(key->type));
		return;
	}
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strcmp(foreign[i], key->bytes) == 0) {
			fault_unknown(faults, key->line, key->column,
			    "\"%s\" is a setting of another edition of this "
			    "program: this one does not have its function",
			    key->bytes);
			return;
		}
	for (i = 0; i < table_count(); i++)
		if (table_row(i)->alias == NULL)
			reader_nearest(&nearest, table_row(i)->name);
	fault_unknown(faults, key->line, key->column,
	    "unknown setting \"%s\"%s", key->bytes, nearest.hint);
}

/* Takes one entry of the file: 0: the settings own the value now; else -1. */
static int
take_setting(struct settings *s, const struct value *key, struct value *v,
    struct faults *faults)
{
	const struct reader_row	*row;
	const struct value	*database;
	size_t			 i;

	if (key->type != VALUE_STR || strlen(key->bytes) != key->len ||
	    (i = table_find(key->bytes)) == SIZE_MAX) {
		report_unknown(key, faults);
		return -1;
	}
	row = table_row(i);
	if (row->read == reader_nothing) {
		fault_warning(faults, key->line, key->column,
		    "%s is set by the program, not by what is written here",
		    row->name);
		return -1;
	}
	if ((s->given >> i & 1) != 0)
		fault_warning(faults, key->line, key->column,
		    "%s was set above, under another spelling: the last one "
		    "counts",
		    row->name);
	/*
	 * Only SQLite requires a database; the servers have defaults of their
	 * own.
	 */
	if (row->read == connection_sqlite && v->type == VALUE_DICT &&
	    ((database = value_get(v, "database")) == NULL ||
	    database->type == VALUE_NONE))
		value_set(v, value_str("database", 8), table_database());
	set_value(s, i, v);
	s->given |= UINT64_C(1) << i;
	return 0;
}

/* These settings are special cases of rules; having both would be ambiguous. */
static void
check_plain(const struct settings *s, struct faults *faults)
{
	const struct value	*v;
	size_t			 i;

	if (s->nrules == 0)
		return;
	for (i = 0; i < table_count(); i++) {
		if ((table_row(i)->flags & TABLE_PLAIN) == 0 ||
		    (s->given >> i & 1) == 0)
			continue;
		v = s->values[i];
		fault_error(faults, v->line, v->column,
		    "%s must not be set when rules is", table_row(i)->name);
	}
}

struct settings *
settings_adopt(struct value *dict, struct faults *faults)
{
	struct settings	*s;
	size_t		 i;

	s = settings_new();
	for (i = 0; i + 1 < dict->count; i += 2)
		if (take_setting(s, dict->items[i], dict->items[i + 1],
		    faults) == 0)
			dict->items[i + 1] = NULL;
	value_free(dict);
	read_rows(s, s->given, faults);
	check_plain(s, faults);
	/*
	 * If only a host is named, the port follows from the kind of
	 * encryption.
	 */
	if (s->smtp_port == 0)
		s->smtp_port = s->smtp_tls == SMTP_TLS_TLS ? 465 : 25;
	if (faults->file != NULL) {
		free(s->config_file);
		s->config_file = alloc_string(faults->file);
		set_value(s, table_find("config_file"),
		    value_str(faults->file, strlen(faults->file)));
	}
	return s;
}

/* --- looking up --- */

/*
 * The item of a dict whose key prints as `name`, even if YAML made it a number.
 */
static const struct value *
find_item(const struct value *dict, const char *name)
{
	struct str	 text;
	const struct value *found;
	size_t		 i;

	if ((found = value_get(dict, name)) != NULL || dict->type != VALUE_DICT)
		return found;
	for (i = 0; i + 1 < dict->count && found == NULL; i += 2) {
		if (dict->items[i]->type == VALUE_STR)
			continue;
		str_init(&text);
		value_print(&text, dict->items[i]);
		if (strcmp(text.data, name) == 0)
			found = dict->items[i + 1];
		str_clear(&text);
	}
	return found;
}

/* Keys may contain dots, as ids do: the whole rest is tried first. */
static const struct value *
find_path(const struct value *v, const char *name)
{
	const struct value	*item;
	const char		*dot;
	char			*head;

	if ((item = find_item(v, name)) != NULL)
		return item;
	for (dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		head = alloc_copy(name, (size_t)(dot - name));
		item = find_item(v, head);
		free(head);
		if (item != NULL && (item = find_path(item, dot + 1)) != NULL)
			return item;
	}
	return NULL;
}

const struct value *
settings_lookup(const struct settings *s, const char *name)
{
	const struct value	*v;
	char			*head;
	size_t			 len = strcspn(name, "."), i;

	head = alloc_copy(name, len);
	i = table_find(head);
	free(head);
	v = i == SIZE_MAX ? NULL : s->values[i];
	return v == NULL || name[len] == '\0' ? v :
	    find_path(v, name + len + 1);
}

const struct limits *
settings_id_limits(const struct ids *t, const char *id,
    size_t idlen)
{
	const struct ids_entry	*e = ids_find(t, id, idlen);

	return e == NULL ? NULL : &e->limits;
}

const struct limits *
settings_rule_limits(const struct settings *s, size_t rule, const char *id,
    size_t idlen)
{
	const struct limits	*limits = NULL;

	if (s->rules[rule].limits_by_id != NULL)
		limits = settings_id_limits(s->rules[rule].limits_by_id, id,
		    idlen);
	return limits != NULL ? limits : &s->rules[rule].limits;
}

uint32_t
settings_reported(const struct settings *s, const struct limits *limits)
{
	uint32_t	bits = 0;
	size_t		i, j;

	for (i = 0; i < limits->count; i++)
		for (j = 0; j < s->nreport_limits; j++)
			if (s->report_limits[j] == limits->list[i].seconds)
				bits |= UINT32_C(1) << i;
	return bits;
}

int64_t
settings_longest_window(const struct settings *s)
{
	int64_t	longest = 0;
	size_t	i;

	if (s->nrules == 0) {
		longest = window_longest(&s->limits, longest);
		longest = limits_by_id_longest(s->limits_by_id, longest);
	}
	for (i = 0; i < s->nrules; i++) {
		longest = window_longest(&s->rules[i].limits, longest);
		longest = limits_by_id_longest(s->rules[i].limits_by_id,
		    longest);
		/* Mails to them are counted for so long. */
		if (s->rules[i].lock.except != NULL &&
		    longest < LOCK_PASS_PERIOD)
			longest = LOCK_PASS_PERIOD;
	}
	return longest;
}

unsigned int
settings_prefix(const struct settings *s, const struct settings_rule *rule,
    unsigned int bits)
{
	if (rule != NULL)
		return bits == 32 ? rule->ipv4_prefix : rule->ipv6_prefix;
	return bits == 32 ? s->ipv4_prefix : s->ipv6_prefix;
}

const struct value *
settings_conveyed(const struct settings *s, size_t i)
{
	if ((s->given >> i & 1) == 0 &&
	    (table_row(i)->flags & TABLE_INSTALLED) == 0)
		return NULL;
	return s->values[i];
}

void
settings_forget(struct settings *s)
{
	size_t	i;

	for (i = 0; i < table_count(); i++)
		if ((table_row(i)->flags & TABLE_HANDED) == 0)
			set_value(s, i, NULL);
}
