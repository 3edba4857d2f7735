#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/addressee.h"
#include "conf/connection.h"
#include "conf/ids.h"
#include "conf/limits.h"
#include "conf/mailbox.h"
#include "conf/match.h"
#include "conf/member.h"
#include "conf/reader.h"
#include "conf/rules.h"
#include "conf/table.h"
#include "ipc/message.h"
#include "lib/alloc.h"

#define TABLE_HISTORY	3660	/* days */
#define TABLE_YEAR	31536000

/* --- defaults --- */

#define NONE		{ .type = VALUE_NONE }
#define BOOL(b)		{ .type = VALUE_BOOL, .number = (b) }
#define INT(n)		{ .type = VALUE_INT, .number = (n) }
#define SECONDS(s)	{ .type = VALUE_FLOAT, .number = (int64_t)((s) * 1000) }
#define STR(s)		{ .type = VALUE_STR, .text = (s) }
#define LIST		{ .type = VALUE_LIST }
#define DICT(...)	{ .type = VALUE_DICT, \
	.pairs = READER_NAMES(__VA_ARGS__) }
#define PATH(under, file) \
	{ .type = VALUE_STR, .directory = &(under), .text = (file) }
#define MADE(f)		{ .make = (f) }

static const char	*table_rundir = "/var/run/policyd-rate-limit";
static const char	*table_statedir = "/var/lib/policyd-rate-limit";

static struct value *
text_value(const char *text)
{
	return value_str(text, strlen(text));
}

static struct value *
path_value(const char *directory, const char *name)
{
	struct value	*v;
	char		*path;

	path = alloc_printf("%s/%s", directory, name);
	v = text_value(path);
	free(path);
	return v;
}

static struct value *
default_sqlite_config(void)
{
	struct value	*v;

	v = value_new(VALUE_DICT);
	value_set(v, text_value("database"), table_database());
	return v;
}

static struct value *
pair_value(struct value *first, struct value *second)
{
	struct value	*v;

	v = value_new(VALUE_LIST);
	value_append(v, first);
	value_append(v, second);
	return v;
}

static struct value *
default_limits(void)
{
	return pair_value(pair_value(value_int(10), value_int(60)),
	    pair_value(value_int(150), value_int(86400)));
}

static struct value *
default_report_limits(void)
{
	struct value	*v;

	v = value_new(VALUE_LIST);
	value_append(v, value_int(86400));
	return v;
}

static struct value *
default_smtp_server(void)
{
	return pair_value(text_value("localhost"), value_int(25));
}

/* --- the table --- */

static const struct reader_word	table_backends[] = {
	{ "sqlite",	BACKEND_SQLITE },
	{ "mysql",	BACKEND_MYSQL },
	{ "pgsql",	BACKEND_PGSQL },
	{ NULL,		0 }
};

static const struct reader_word	table_logs[] = {
	{ "stderr",	LOG_WHERE_STDERR },
	{ "syslog",	LOG_WHERE_SYSLOG },
	{ NULL,		0 }
};

static const struct reader_word	table_count_modes[] = {
	{ "auto",	COUNT_AUTO },
	{ NULL,		0 }
};

#define ENGINE	(1U << ROLE_ENGINE)
#define LEDGER	(1U << ROLE_LEDGER)
#define REPORT	(1U << ROLE_REPORT)

#define AT(member)	.at = offsetof(struct settings, member)
#define TEXT(member)	AT(member), .clear = reader_clear_text
#define STRINGS(member)	AT(member), .clear = reader_clear_strings
#define NETWORKS(member) AT(member), .clear = reader_clear_networks
#define IDS(member)	AT(member), .clear = ids_clear

static const struct reader_row	table_rows[] = {
	{ .name = "debug", .type = "bool", .preset = BOOL(true),
	    .read = reader_truth, AT(debug),
	    .roles = ENGINE | LEDGER | REPORT },
	{ .name = "log", .type = "str or None", .preset = NONE,
	    .read = member_log, AT(log), .words = table_logs },
	{ .name = "user", .type = "str", .preset = STR("policyd-rate-limit"),
	    .read = reader_string, TEXT(user) },
	{ .name = "group", .type = "str", .preset = STR("policyd-rate-limit"),
	    .read = reader_string, TEXT(group) },
	{ .name = "pidfile", .type = "str or None",
	    .preset = PATH(table_rundir, "policyd-rate-limit.pid"),
	    .read = reader_string_or_none, TEXT(pidfile),
	    .flags = TABLE_INSTALLED },
	{ .name = "config_file", .type = "str", .preset = STR(""),
	    .read = reader_nothing, TEXT(config_file) },

	{ .name = "SOCKET", .type = "str, [address, port] or a list of these",
	    .preset = STR("/var/spool/postfix/ratelimit/policy"),
	    .read = member_sockets, .roles = ENGINE },
	{ .name = "socket_permission", .type = "int", .preset = INT(0666),
	    .read = reader_mode, AT(socket_permission), .max = 0777 },
	{ .name = "socket_user", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(socket_user) },
	{ .name = "socket_group", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(socket_group) },
	{ .name = "allowed_clients", .type = "list of str", .preset = LIST,
	    .read = reader_networks, NETWORKS(allowed_clients),
	    .roles = ENGINE },
	{ .name = "control_socket", .type = "str or None",
	    .preset = PATH(table_rundir, "control"),
	    .read = member_control_socket, TEXT(control_socket),
	    .flags = TABLE_INSTALLED },
	{ .name = "control_group", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(control_group) },
	{ .name = "operator_group", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(operator_group),
	    .roles = ENGINE },
	{ .name = "delay_to_close", .type = "int", .preset = INT(1200),
	    .read = reader_unsigned, AT(delay_to_close), .min = 1,
	    .max = TABLE_YEAR, .roles = ENGINE },

	{ .name = "backend", .type = "int or str", .preset = INT(0),
	    .read = reader_word, AT(backend), .words = table_backends,
	    .max = BACKEND__MAX - 1, .roles = LEDGER },
	{ .name = "sqlite_config", .type = "dict",
	    .preset = MADE(default_sqlite_config), .read = connection_sqlite,
	    AT(sqlite_config), .roles = LEDGER,
	    .flags = TABLE_INSTALLED | TABLE_HANDED },
	{ .name = "mysql_config", .type = "dict",
	    .preset = DICT("user", "username", "passwd", "*****",
	    "db", "database", "host", "localhost", "charset", "utf8"),
	    .read = connection_mysql, AT(mysql_config), .roles = LEDGER,
	    .flags = TABLE_SECRET | TABLE_HANDED },
	{ .name = "pgsql_config", .type = "dict",
	    .preset = DICT("database", "database", "user",
	    "username", "password", "*****", "host", "localhost"),
	    .read = connection_pgsql, AT(pgsql_config), .roles = LEDGER,
	    .flags = TABLE_SECRET | TABLE_HANDED },
	{ .name = "db_insecure_auth", .type = "bool", .preset = BOOL(false),
	    .read = reader_bool, AT(db_insecure_auth), .roles = LEDGER },
	{ .name = "sandbox_required", .type = "bool", .preset = BOOL(false),
	    .read = reader_bool, AT(sandbox_required),
	    .roles = ENGINE | LEDGER | REPORT },
	{ .name = "db_timeout", .type = "float", .preset = SECONDS(2.0),
	    .read = reader_milliseconds, AT(db_timeout), .min = 10,
	    .max = 60000, .roles = ENGINE | LEDGER },
	{ .name = "db_error_action", .type = "str", .preset = STR("dunno"),
	    .read = reader_string, TEXT(db_error_action), .roles = ENGINE },
	{ .name = "memory_limit", .type = "int", .preset = INT(256),
	    .read = reader_mebibytes, AT(memory_limit), .min = 16, .max = 65536,
	    .roles = ENGINE | LEDGER },
	{ .name = "clean_interval", .type = "int", .preset = INT(0),
	    .read = reader_int64, AT(clean_interval), .max = TABLE_YEAR },
	{ .name = "history", .type = "int", .preset = INT(7),
	    .read = reader_int64, AT(history), .max = TABLE_HISTORY,
	    .roles = ENGINE | LEDGER },

	{ .name = "limits", .type = "list of [mails, seconds]",
	    .preset = MADE(default_limits), .read = limits_read, AT(limits),
	    .clear = limits_clear, .roles = ENGINE | LEDGER,
	    .flags = TABLE_PLAIN | TABLE_TRIED },
	{ .name = "limits_by_id", .type = "dict", .preset = DICT(NULL),
	    .read = limits_read_by_id, IDS(limits_by_id),
	    .roles = ENGINE | LEDGER,
	    .flags = TABLE_PLAIN | TABLE_LAST | TABLE_TRIED },
	{ .name = "sql_limits_by_id", .type = "str", .preset = STR(""),
	    .read = reader_query, TEXT(sql_limits_by_id),
	    .roles = ENGINE | LEDGER, .flags = TABLE_PLAIN },
	{ .name = "limit_by_sasl", .type = "bool", .preset = BOOL(true),
	    .read = reader_truth, AT(limit_by_sasl), .roles = ENGINE | LEDGER,
	    .flags = TABLE_PLAIN | TABLE_TRIED },
	{ .name = "limit_by_sender", .type = "bool", .preset = BOOL(false),
	    .read = reader_truth, AT(limit_by_sender), .roles = ENGINE | LEDGER,
	    .flags = TABLE_PLAIN | TABLE_TRIED },
	{ .name = "limit_by_ip", .type = "bool", .preset = BOOL(false),
	    .read = reader_truth, AT(limit_by_ip), .roles = ENGINE | LEDGER,
	    .flags = TABLE_PLAIN | TABLE_TRIED },
	{ .name = "limited_networks", .type = "list of str", .preset = LIST,
	    .read = reader_networks, NETWORKS(limited_networks),
	    .roles = ENGINE | LEDGER, .flags = TABLE_PLAIN | TABLE_TRIED },
	{ .name = "limited_netword", .alias = "limited_networks",
	    .type = "list of str" },
	{ .name = "count_mode", .type = "int or str", .preset = STR("auto"),
	    .read = reader_word, AT(count_mode), .words = table_count_modes,
	    .max = COUNT_MESSAGES, .roles = ENGINE | LEDGER,
	    .flags = TABLE_TRIED },
	{ .name = "fold_case", .type = "bool", .preset = BOOL(true),
	    .read = reader_bool, AT(fold_case), .roles = ENGINE | LEDGER,
	    .flags = TABLE_TRIED },
	{ .name = "recipient_delimiter", .type = "str", .preset = STR(""),
	    .read = reader_delimiter, TEXT(recipient_delimiter),
	    .roles = ENGINE | LEDGER, .flags = TABLE_TRIED },
	{ .name = "default_domain", .type = "str", .preset = STR(""),
	    .read = reader_domain, TEXT(default_domain),
	    .roles = ENGINE | LEDGER, .flags = TABLE_TRIED },
	{ .name = "ipv4_prefix", .type = "int", .preset = INT(32),
	    .read = reader_unsigned, AT(ipv4_prefix), .min = 1, .max = 32,
	    .roles = ENGINE | LEDGER, .flags = TABLE_TRIED },
	{ .name = "ipv6_prefix", .type = "int", .preset = INT(128),
	    .read = reader_unsigned, AT(ipv6_prefix), .min = 1, .max = 128,
	    .roles = ENGINE | LEDGER, .flags = TABLE_TRIED },
	{ .name = "exempt", .type = "list of str", .preset = LIST,
	    .read = match_read_exempt, IDS(exempt), .roles = ENGINE | LEDGER,
	    .flags = TABLE_LAST | TABLE_TRIED },
	{ .name = "rules", .type = "list of dict or None", .preset = NONE,
	    .read = rules_read, .roles = ENGINE | LEDGER,
	    .flags = TABLE_LAST | TABLE_TRIED },
	{ .name = "success_action", .type = "str", .preset = STR("dunno"),
	    .read = reader_string, TEXT(success_action), .roles = ENGINE },
	{ .name = "fail_action", .type = "str",
	    .preset = STR("defer_if_permit Rate limit reach, retry later"),
	    .read = reader_string, TEXT(fail_action), .roles = ENGINE },
	{ .name = "block_action", .type = "str",
	    .preset = STR("reject 5.7.1 Sending is blocked"),
	    .read = reader_string, TEXT(block_action), .roles = ENGINE },
	{ .name = "never_action", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(never_action),
	    .roles = ENGINE },

	{ .name = "report", .type = "bool", .preset = BOOL(false),
	    .read = reader_truth, AT(report),
	    .roles = ENGINE | LEDGER | REPORT },
	{ .name = "report_from", .type = "str or None", .preset = NONE,
	    .read = mailbox_read, TEXT(report_from), .roles = REPORT },
	{ .name = "report_to", .type = "str, list of str or None",
	    .preset = NONE, .read = mailbox_read_list, STRINGS(report_to),
	    .roles = REPORT },
	{ .name = "report_subject", .type = "str",
	    .preset = STR(MEMBER_REPORT_SUBJECT), .read = member_report_subject,
	    TEXT(report_subject), .roles = REPORT },
	{ .name = "report_limits", .type = "list of int",
	    .preset = MADE(default_report_limits), .read = member_report_limits,
	    .roles = ENGINE | LEDGER | REPORT },
	{ .name = "report_only_if_needed", .type = "bool", .preset = BOOL(true),
	    .read = reader_truth, AT(report_only_if_needed), .roles = REPORT },
	{ .name = "report_immediately", .type = "bool", .preset = BOOL(false),
	    .read = reader_bool, AT(report_immediately), .roles = LEDGER },
	{ .name = "report_user", .type = "str or None", .preset = NONE,
	    .read = addressee_read, TEXT(report_user),
	    .roles = ENGINE | LEDGER | REPORT },
	{ .name = "report_user_domains", .type = "list of str", .preset = LIST,
	    .read = addressee_read_domains, STRINGS(report_user_domains),
	    .roles = LEDGER | REPORT },
	{ .name = "smtp_server", .type = "[host, port], [host] or str",
	    .preset = MADE(default_smtp_server), .read = member_smtp_server,
	    .roles = REPORT },
	{ .name = "smtp_starttls", .type = "bool", .preset = BOOL(false),
	    .read = member_starttls, .roles = REPORT },
	{ .name = "smtp_tls", .type = "str or None", .preset = NONE,
	    .read = member_tls, .roles = REPORT, .flags = TABLE_LAST },
	{ .name = "smtp_tls_verify", .type = "bool", .preset = BOOL(true),
	    .read = reader_bool, AT(smtp_tls_verify), .roles = REPORT },
	{ .name = "smtp_tls_cafile", .type = "str or None", .preset = NONE,
	    .read = reader_string_or_none, TEXT(smtp_tls_cafile),
	    .roles = REPORT },
	{ .name = "smtp_credentials", .type = "[user, password] or None",
	    .preset = NONE, .read = member_credentials, .roles = REPORT,
	    .flags = TABLE_SECRET }
};

#define TABLE_ROWS	(sizeof(table_rows) / sizeof(table_rows[0]))

_Static_assert(TABLE_ROWS <= SETTINGS_MAX, "SETTINGS_MAX is too small");

void
table_set_directories(const char *rundir, const char *statedir)
{
	table_rundir = rundir;
	table_statedir = statedir;
}

struct value *
table_database(void)
{
	return path_value(table_statedir, "db.sqlite3");
}

size_t
table_count(void)
{
	return TABLE_ROWS;
}

const struct reader_row *
table_row(size_t i)
{
	return &table_rows[i];
}

size_t
table_find(const char *name)
{
	size_t	i;

	for (i = 0; i < TABLE_ROWS; i++)
		if (strcmp(table_rows[i].name, name) == 0)
			return table_rows[i].alias == NULL ? i :
			    table_find(table_rows[i].alias);
	return SIZE_MAX;
}

struct value *
table_default(const struct reader_row *row)
{
	const struct reader_preset	*p = &row->preset;
	const char *const		*pair;
	struct value			*v;

	if (p->make != NULL)
		return p->make();
	switch (p->type) {
	case VALUE_BOOL:
		return value_bool(p->number != 0);
	case VALUE_INT:
		return value_int(p->number);
	case VALUE_FLOAT:
		return value_float((double)p->number / 1000);
	case VALUE_STR:
		return p->directory == NULL ? text_value(p->text) :
		    path_value(*p->directory, p->text);
	case VALUE_DICT:
		v = value_new(VALUE_DICT);
		for (pair = p->pairs; *pair != NULL; pair += 2)
			value_set(v, text_value(pair[0]), text_value(pair[1]));
		return v;
	default:
		return value_new(p->type);
	}
}
