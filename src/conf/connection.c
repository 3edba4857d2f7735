#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/connection.h"
#include "lib/num.h"

enum connection_kind {
	KIND_IGNORED,		/* means something to Python only */
	KIND_TEXT,		/* str */
	KIND_FILE,		/* str, the path of a file */
	KIND_WHOLE,		/* int, or its digits */
	KIND_NUMBER,		/* int or float, 0 or more */
	KIND_SWITCH,		/* bool */
	KIND_SCALAR,		/* str, number or bool */
	KIND_SYNCHRONOUS,
	KIND_SSL_MODE,
	KIND_SSL		/* connection_ssl */
};

/* Keywords of one kind, up to a NULL. */
struct connection_group {
	enum connection_kind	 kind;
	const char *const	*names;
};

static const struct connection_group	connection_sqlite_groups[] = {
	{ KIND_FILE, READER_NAMES("database") },
	{ KIND_NUMBER, READER_NAMES("timeout") },
	{ KIND_SYNCHRONOUS, READER_NAMES("synchronous") },
	{ KIND_IGNORED, READER_NAMES("detect_types", "isolation_level",
	    "check_same_thread", "factory", "cached_statements", "uri",
	    "autocommit") },
	{ KIND_IGNORED, NULL }
};

static const struct connection_group	connection_mysql_groups[] = {
	{ KIND_TEXT, READER_NAMES("host", "user", "passwd", "password", "db",
	    "database", "unix_socket", "charset", "collation",
	    "read_default_file", "read_default_group", "init_command",
	    "auth_plugin", "server_public_key_path") },
	{ KIND_WHOLE, READER_NAMES("port", "connect_timeout", "read_timeout",
	    "write_timeout") },
	{ KIND_SSL, READER_NAMES("ssl") },
	{ KIND_SSL_MODE, READER_NAMES("ssl_mode") },
	{ KIND_SWITCH, READER_NAMES("compress") },
	{ KIND_IGNORED, READER_NAMES("conv", "named_pipe", "cursorclass",
	    "use_unicode", "sql_mode", "client_flag", "multi_statements",
	    "local_infile", "autocommit", "binary_prefix") },
	{ KIND_IGNORED, NULL }
};

/*
 * libpq's own (PostgreSQL 17, "Parameter Key Words"), and psycopg2's
 * additions.
 */
static const struct connection_group	connection_pgsql_groups[] = {
	{ KIND_SCALAR, READER_NAMES("database", "dbname", "host", "hostaddr",
	    "port", "user", "password", "passfile", "require_auth",
	    "channel_binding",
	    "connect_timeout", "client_encoding", "options", "application_name",
	    "fallback_application_name", "keepalives", "keepalives_idle",
	    "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	    "replication", "gssencmode", "sslmode", "sslnegotiation",
	    "requiressl", "sslcompression", "sslcert", "sslkey", "sslpassword",
	    "sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni",
	    "requirepeer", "ssl_min_protocol_version",
	    "ssl_max_protocol_version", "krbsrvname", "gsslib", "gssdelegation",
	    "service", "target_session_attrs", "load_balance_hosts") },
	{ KIND_TEXT, READER_NAMES("dsn") },
	{ KIND_IGNORED, READER_NAMES("connection_factory", "cursor_factory",
	    "async", "async_") },
	{ KIND_IGNORED, NULL }
};

static const struct connection_group	connection_ssl_groups[] = {
	{ KIND_TEXT, READER_NAMES("ca", "capath", "cert", "key", "cipher") },
	{ KIND_IGNORED, NULL }
};

struct connection_dialect {
	const char			*setting;
	const char			*function;
	const struct connection_group	*groups;
};

static const struct connection_dialect	connection_dialects[] = {
	{ "sqlite_config", "sqlite3.connect", connection_sqlite_groups },
	{ "mysql_config", "MySQLdb.connect", connection_mysql_groups },
	{ "pgsql_config", "psycopg2.connect", connection_pgsql_groups },
	/* The keywords in mysql_config's "ssl". */
	{ "ssl", "MySQLdb.connect's ssl", connection_ssl_groups }
};

#define CONNECTION_SSL	(&connection_dialects[3])

const char *
connection_keyword(const char *setting, size_t n, bool *used)
{
	const struct connection_group	*g;
	size_t				 i, j;

	for (i = 0; strcmp(connection_dialects[i].setting, setting) != 0; i++)
		if (&connection_dialects[i] == CONNECTION_SSL)
			return NULL;
	for (g = connection_dialects[i].groups; g->names != NULL; g++)
		for (j = 0; g->names[j] != NULL; j++)
			if (n-- == 0) {
				*used = g->kind != KIND_IGNORED;
				return g->names[j];
			}
	return NULL;
}

/*
 * Whether it is the path of a file. ":memory:" and "" do not survive the
 * process, so they would limit nothing after a restart; "file:" begins a URI.
 */
static bool
is_file(const char *path)
{
	const char	*base = strrchr(path, '/');

	if (path[0] == ':' || strncmp(path, "file:", 5) == 0)
		return false;
	base = base == NULL ? path : base + 1;
	return *base != '\0' && strcmp(base, ".") != 0 &&
	    strcmp(base, "..") != 0;
}

/* NULL if the value is of this kind, else the description of the kind. */
static const char *
expected_type(enum connection_kind kind, const struct value *v)
{
	int64_t	n;
	bool	text;

	text = v->type == VALUE_STR && memchr(v->bytes, '\0', v->len) == NULL;
	switch (kind) {
	case KIND_IGNORED:
		return NULL;
	case KIND_TEXT:
		return text ? NULL : "a string";
	case KIND_FILE:
		return text && is_file(v->bytes) ? NULL : "the path of a file";
	case KIND_WHOLE:
		if (text && num_parse(v->bytes, v->len, 0, INT32_MAX, &n) == 0)
			return NULL;
		return v->type == VALUE_INT && v->integer >= 0 &&
		    v->integer <= INT32_MAX ? NULL : "a whole number";
	case KIND_NUMBER:
		if (v->type == VALUE_INT && v->integer >= 0)
			return NULL;
		return v->type == VALUE_FLOAT && v->real >= 0 ? NULL :
		    "a number of seconds";
	case KIND_SWITCH:
		return v->type == VALUE_BOOL || (v->type == VALUE_INT &&
		    (v->integer == 0 || v->integer == 1)) ? NULL :
		    "True or False";
	case KIND_SCALAR:
		return text || v->type == VALUE_INT || v->type == VALUE_FLOAT ||
		    v->type == VALUE_BOOL ? NULL : "a string or a number";
	case KIND_SYNCHRONOUS:
		return text && (strcmp(v->bytes, "normal") == 0 ||
		    strcmp(v->bytes, "full") == 0) ? NULL :
		    "\"normal\" or \"full\"";
	case KIND_SSL_MODE:
		if (text && (strcmp(v->bytes, "DISABLED") == 0 ||
		    strcmp(v->bytes, "PREFERRED") == 0 ||
		    strcmp(v->bytes, "REQUIRED") == 0 ||
		    strcmp(v->bytes, "VERIFY_CA") == 0 ||
		    strcmp(v->bytes, "VERIFY_IDENTITY") == 0))
			return NULL;
		return "\"DISABLED\", \"PREFERRED\", \"REQUIRED\", "
		    "\"VERIFY_CA\" or \"VERIFY_IDENTITY\"";
	case KIND_SSL:
		return v->type == VALUE_DICT ? NULL : "a dictionary";
	}
	return NULL;
}

static void
read_entries(const struct reading *r, const struct connection_dialect *d,
    const struct value *dict)
{
	struct reader_nearest		 nearest;
	const struct connection_group	*g;
	const struct value		*key, *v;
	const char			*expected, *name;
	size_t				 i, j;

	for (i = 0; i + 1 < dict->count; i += 2) {
		key = dict->items[i];
		v = dict->items[i + 1];
		if (key->type != VALUE_STR) {
			reader_fault(r, key, "must have strings as keys, not "
			    "%s", value_type_name(key->type));
			continue;
		}
		memset(&nearest, 0, sizeof(nearest));
		nearest.written = key->bytes;
		for (g = d->groups, name = NULL; g->names != NULL; g++) {
			for (j = 0; (name = g->names[j]) != NULL; j++) {
				if (strlen(name) == key->len &&
				    memcmp(name, key->bytes, key->len) == 0)
					break;
				reader_nearest(&nearest, name);
			}
			if (name != NULL)
				break;
		}
		if (name == NULL)
			reader_unknown(r, key, "has \"%s\", which %s does not "
			    "know%s", key->bytes, d->function, nearest.hint);
		else if (g->kind == KIND_IGNORED)
			reader_warning(r, key, "has \"%s\", which has no "
			    "meaning here", name);
		/* Python's functions take None for "not given". */
		else if (v->type != VALUE_NONE &&
		    (expected = expected_type(g->kind, v)) != NULL)
			reader_fault(r, v, "must have %s as \"%s\"", expected,
			    name);
		else if (g->kind == KIND_SSL && v->type == VALUE_DICT)
			read_entries(r, CONNECTION_SSL, v);
	}
}

static int
read_connection(const struct reading *r, const struct value *v,
    const struct connection_dialect *d)
{
	size_t	errors = r->faults->errors;

	if (v->type != VALUE_DICT)
		return reader_mismatch(r, v, "a dictionary");
	read_entries(r, d, v);
	return r->faults->errors == errors ? 0 : -1;
}

int
connection_sqlite(const struct reading *r, const struct value *v)
{
	return read_connection(r, v, &connection_dialects[0]);
}

int
connection_mysql(const struct reading *r, const struct value *v)
{
	return read_connection(r, v, &connection_dialects[1]);
}

int
connection_pgsql(const struct reading *r, const struct value *v)
{
	return read_connection(r, v, &connection_dialects[2]);
}
