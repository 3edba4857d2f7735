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
#include "conf/rules.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "lib/alloc.h"
#include "lib/str.h"

/* --- rows --- */

static void
settings_read_row(struct settings *s, size_t i, struct faults *faults)
{
	const struct table_row	*row = table_row(i);
	struct reading		 r;

	r.name = row->name;
	r.out = (char *)s + row->at;
	r.min = row->min;
	r.max = row->max;
	r.words = row->words;
	r.settings = s;
	r.rule = NULL;
	r.faults = faults;
	row->read(&r, s->values[i]);
}

static void
settings_read_rows(struct settings *s, uint64_t which, unsigned int last,
    struct faults *faults)
{
	size_t	i;

	for (i = 0; i < table_count(); i++)
		if ((which >> i & 1) != 0 && table_row(i)->alias == NULL &&
		    (table_row(i)->flags & TABLE_LAST) == last)
			settings_read_row(s, i, faults);
}

static void
settings_set_value(struct settings *s, size_t i, struct value *v)
{
	value_free(s->values[i]);
	s->values[i] = v;
	/* The dictionaries of the connections are used unchanged. */
	if ((table_row(i)->flags & TABLE_HANDED) != 0)
		*(struct value **)(void *)((char *)s + table_row(i)->at) = v;
}

/* --- making and reading --- */

void
settings_set_directories(const char *rundir, const char *statedir)
{
	table_set_directories(rundir, statedir);
}

struct settings *
settings_new(void)
{
	struct settings	*s;
	struct faults	 faults;
	size_t		 i;

	s = alloc_zero(1, sizeof(*s));
	for (i = 0; i < table_count(); i++)
		if (table_row(i)->alias == NULL)
			settings_set_value(s, i, table_default(table_row(i)));
	fault_init(&faults, NULL);
	settings_read_rows(s, UINT64_MAX, 0, &faults);
	settings_read_rows(s, UINT64_MAX, TABLE_LAST, &faults);
	assert(faults.count == 0);
	fault_clear(&faults);
	s->config_file = alloc_string("");
	return s;
}

bool
settings_is_tried(const char *name)
{
	static const char	*const names[] = {
		"limits", "limits_by_id", "limit_by_sasl", "limit_by_sender",
		"limit_by_ip", "limited_networks", "count_mode", "fold_case",
		"recipient_delimiter", "default_domain", "ipv4_prefix",
		"ipv6_prefix", "exempt", "rules"
	};
	size_t	i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

void
settings_free(struct settings *s)
{
	size_t	i;

	if (s == NULL)
		return;
	/*
	 * Free the strings first, while the table still describes the members.
	 */
	for (i = 0; i < table_count(); i++)
		value_free(s->values[i]);
	member_sockets_clear(s);
	window_limits_clear(&s->limits);
	ids_free(s->limits_by_id);
	ids_free(s->exempt);
	rules_clear(s);
	free(s->user);
	free(s->group);
	free(s->pidfile);
	free(s->sql_limits_by_id);
	free(s->limited_networks.list);
	free(s->success_action);
	free(s->fail_action);
	free(s->never_action);
	free(s->block_action);
	free(s->default_domain);
	free(s->db_error_action);
	free(s->report_from);
	reader_strings_clear(&s->report_to);
	free(s->report_user);
	reader_strings_clear(&s->report_user_domains);
	free(s->report_subject);
	free(s->report_limits);
	free(s->smtp_host);
	if (s->smtp_user != NULL)
		freezero(s->smtp_user, strlen(s->smtp_user));
	if (s->smtp_password != NULL)
		freezero(s->smtp_password, strlen(s->smtp_password));
	free(s->smtp_tls_cafile);
	free(s->config_file);
	free(s->recipient_delimiter);
	free(s->socket_user);
	free(s->socket_group);
	free(s->allowed_clients.list);
	free(s->control_socket);
	free(s->control_group);
	free(s->operator_group);
	free(s);
}

void
settings_forget_connections(struct settings *s)
{
	value_blank(s->sqlite_config);
	value_blank(s->mysql_config);
	value_blank(s->pgsql_config);
}

/* Settings of forks of the older program. */
static const char *const	settings_foreign[] = {
	"exempt_recipients", "retention_days", "skip_same_domain", "sql_report"
};

#define NFOREIGN	(sizeof(settings_foreign) / sizeof(settings_foreign[0]))

static void
settings_unknown(const struct value *key, struct faults *faults)
{
	struct reader_nearest	nearest = { .written = key->bytes };
	size_t			i;

	if (key->type != VALUE_STR) {
		fault_unknown(faults, key->line, key->column,
		    "a setting's name must be a string, not %s",
		    value_type_name(key->type));
		return;
	}
	for (i = 0; i < NFOREIGN; i++)
		if (strcmp(settings_foreign[i], key->bytes) == 0) {
			fault_unknown(faults, key->line, key->column,
			    "\"%s\" is a setting of another edition of this "
			    "program: this one does not have its function",
			    key->bytes);
			return;
		}
	for (i = 0; i < table_count(); i++)
		if (table_row(i)->alias == NULL)
			reader_nearest(&nearest, table_row(i)->name);
	if (nearest.name != NULL)
		fault_unknown(faults, key->line, key->column,
		    "unknown setting \"%s\"; did you mean \"%s\"?", key->bytes,
		    nearest.name);
	else
		fault_unknown(faults, key->line, key->column,
		    "unknown setting \"%s\"", key->bytes);
}

/* Takes one entry of the file: 0: the settings own the value now; else -1. */
static int
settings_take(struct settings *s, const struct value *key, struct value *v,
    struct faults *faults)
{
	const struct table_row	*row;
	const struct value	*database;
	size_t			 i;

	if (key->type != VALUE_STR || strlen(key->bytes) != key->len ||
	    (i = table_find(key->bytes)) == SIZE_MAX) {
		settings_unknown(key, faults);
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
	settings_set_value(s, i, v);
	s->given |= UINT64_C(1) << i;
	return 0;
}

/* These settings are special cases of rules; having both would be ambiguous. */
static void
settings_check_plain(const struct settings *s, struct faults *faults)
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
settings_read(const struct value *dict, struct faults *faults)
{
	return settings_adopt(value_copy(dict), faults);
}

struct settings *
settings_adopt(struct value *dict, struct faults *faults)
{
	struct settings	*s;
	size_t		 i;

	s = settings_new();
	for (i = 0; i + 1 < dict->count; i += 2)
		if (settings_take(s, dict->items[i], dict->items[i + 1],
		    faults) == 0)
			dict->items[i + 1] = NULL;
	value_free(dict);
	settings_read_rows(s, s->given, 0, faults);
	settings_read_rows(s, s->given, TABLE_LAST, faults);
	settings_check_plain(s, faults);
	/*
	 * If only a host is named, the port follows from the kind of
	 * encryption.
	 */
	if (s->smtp_port == 0)
		s->smtp_port = s->smtp_tls == SMTP_TLS_TLS ? 465 : 25;
	if (faults->file != NULL) {
		free(s->config_file);
		s->config_file = alloc_string(faults->file);
		settings_set_value(s, table_find("config_file"),
		    value_str(faults->file, strlen(faults->file)));
	}
	return s;
}

/* --- looking up --- */

/*
 * The item of a dict whose key prints as `name`, even if YAML made it a number.
 */
static const struct value *
settings_item(const struct value *dict, const char *name)
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
settings_reach(const struct value *v, const char *name)
{
	const struct value	*item;
	const char		*dot;
	char			*head;

	if ((item = settings_item(v, name)) != NULL)
		return item;
	for (dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		head = alloc_copy(name, (size_t)(dot - name));
		item = settings_item(v, head);
		free(head);
		if (item != NULL &&
		    (item = settings_reach(item, dot + 1)) != NULL)
			return item;
	}
	return NULL;
}

const struct value *
settings_lookup(const struct settings *s, const char *name)
{
	const struct value	*v;
	const char		*dot;
	char			*head;
	size_t			 i;

	if ((dot = strchr(name, '.')) == NULL) {
		i = table_find(name);
		return i == SIZE_MAX ? NULL : s->values[i];
	}
	head = alloc_copy(name, (size_t)(dot - name));
	i = table_find(head);
	free(head);
	v = i == SIZE_MAX ? NULL : s->values[i];
	return v == NULL ? NULL : settings_reach(v, dot + 1);
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
	int64_t	longest, n;
	size_t	i;

	longest = 0;
	if (s->nrules == 0) {
		longest = limits_longest(&s->limits);
		if ((n = limits_by_id_longest(s->limits_by_id)) > longest)
			longest = n;
	}
	for (i = 0; i < s->nrules; i++) {
		if ((n = limits_longest(&s->rules[i].limits)) > longest)
			longest = n;
		if ((n = limits_by_id_longest(s->rules[i].limits_by_id)) >
		    longest)
			longest = n;
		/* Mails to them are counted for so long. */
		if (s->rules[i].lock.except != NULL && longest < 3600)
			longest = 3600;
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

int
settings_limits(struct limits *limits, const struct value *v, char *reason,
    size_t size)
{
	return limits_parse(limits, v, reason, size);
}

/* --- the table for others --- */

size_t
settings_count(void)
{
	return table_count();
}

const struct settings_info *
settings_info(size_t i)
{
	static struct settings_info	 info[SETTINGS_MAX];
	const struct table_row	*row;
	struct value			*v;
	struct str			 text;

	if (info[i].name != NULL)
		return &info[i];
	row = table_row(i);
	if (row->alias != NULL)
		row = table_row(table_find(row->alias));
	v = table_default(row);
	str_init(&text);
	value_print(&text, v);
	value_free(v);
	info[i].name = table_row(i)->name;
	info[i].type = row->type;
	info[i].defaults = text.data == NULL ? "" : text.data;
	info[i].roles = row->roles;
	info[i].secret = (row->flags & TABLE_SECRET) != 0;
	return &info[i];
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
			settings_set_value(s, i, NULL);
}
