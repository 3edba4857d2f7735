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

struct connection_keyword {
	const char		*name;
	enum connection_kind	 kind;
};

static const struct connection_keyword	connection_sqlite_keywords[] = {
	{ "database",		KIND_FILE },
	{ "timeout",		KIND_NUMBER },
	{ "synchronous",	KIND_SYNCHRONOUS },
	{ "detect_types",	KIND_IGNORED },
	{ "isolation_level",	KIND_IGNORED },
	{ "check_same_thread",	KIND_IGNORED },
	{ "factory",		KIND_IGNORED },
	{ "cached_statements",	KIND_IGNORED },
	{ "uri",		KIND_IGNORED },
	{ "autocommit",		KIND_IGNORED },
	{ NULL,			KIND_IGNORED }
};

static const struct connection_keyword	connection_mysql_keywords[] = {
	{ "host",		KIND_TEXT },
	{ "port",		KIND_WHOLE },
	{ "user",		KIND_TEXT },
	{ "passwd",		KIND_TEXT },
	{ "password",		KIND_TEXT },
	{ "db",			KIND_TEXT },
	{ "database",		KIND_TEXT },
	{ "unix_socket",	KIND_TEXT },
	{ "charset",		KIND_TEXT },
	{ "collation",		KIND_TEXT },
	{ "connect_timeout",	KIND_WHOLE },
	{ "read_timeout",	KIND_WHOLE },
	{ "write_timeout",	KIND_WHOLE },
	{ "read_default_file",	KIND_TEXT },
	{ "read_default_group",	KIND_TEXT },
	{ "ssl",		KIND_SSL },
	{ "ssl_mode",		KIND_SSL_MODE },
	{ "compress",		KIND_SWITCH },
	{ "init_command",	KIND_TEXT },
	{ "auth_plugin",	KIND_TEXT },
	{ "server_public_key_path", KIND_TEXT },
	{ "conv",		KIND_IGNORED },
	{ "named_pipe",		KIND_IGNORED },
	{ "cursorclass",	KIND_IGNORED },
	{ "use_unicode",	KIND_IGNORED },
	{ "sql_mode",		KIND_IGNORED },
	{ "client_flag",	KIND_IGNORED },
	{ "multi_statements",	KIND_IGNORED },
	{ "local_infile",	KIND_IGNORED },
	{ "autocommit",		KIND_IGNORED },
	{ "binary_prefix",	KIND_IGNORED },
	{ NULL,			KIND_IGNORED }
};

/*
 * libpq's own (PostgreSQL 17, "Parameter Key Words"), and psycopg2's
 * additions.
 */
static const struct connection_keyword	connection_pgsql_keywords[] = {
	{ "database",		KIND_SCALAR },
	{ "dbname",		KIND_SCALAR },
	{ "dsn",		KIND_TEXT },
	{ "host",		KIND_SCALAR },
	{ "hostaddr",		KIND_SCALAR },
	{ "port",		KIND_SCALAR },
	{ "user",		KIND_SCALAR },
	{ "password",		KIND_SCALAR },
	{ "passfile",		KIND_SCALAR },
	{ "require_auth",	KIND_SCALAR },
	{ "channel_binding",	KIND_SCALAR },
	{ "connect_timeout",	KIND_SCALAR },
	{ "client_encoding",	KIND_SCALAR },
	{ "options",		KIND_SCALAR },
	{ "application_name",	KIND_SCALAR },
	{ "fallback_application_name", KIND_SCALAR },
	{ "keepalives",		KIND_SCALAR },
	{ "keepalives_idle",	KIND_SCALAR },
	{ "keepalives_interval", KIND_SCALAR },
	{ "keepalives_count",	KIND_SCALAR },
	{ "tcp_user_timeout",	KIND_SCALAR },
	{ "replication",	KIND_SCALAR },
	{ "gssencmode",		KIND_SCALAR },
	{ "sslmode",		KIND_SCALAR },
	{ "sslnegotiation",	KIND_SCALAR },
	{ "requiressl",		KIND_SCALAR },
	{ "sslcompression",	KIND_SCALAR },
	{ "sslcert",		KIND_SCALAR },
	{ "sslkey",		KIND_SCALAR },
	{ "sslpassword",	KIND_SCALAR },
	{ "sslcertmode",	KIND_SCALAR },
	{ "sslrootcert",	KIND_SCALAR },
	{ "sslcrl",		KIND_SCALAR },
	{ "sslcrldir",		KIND_SCALAR },
	{ "sslsni",		KIND_SCALAR },
	{ "requirepeer",	KIND_SCALAR },
	{ "ssl_min_protocol_version", KIND_SCALAR },
	{ "ssl_max_protocol_version", KIND_SCALAR },
	{ "krbsrvname",		KIND_SCALAR },
	{ "gsslib",		KIND_SCALAR },
	{ "gssdelegation",	KIND_SCALAR },
	{ "service",		KIND_SCALAR },
	{ "target_session_attrs", KIND_SCALAR },
	{ "load_balance_hosts",	KIND_SCALAR },
	{ "connection_factory",	KIND_IGNORED },
	{ "cursor_factory",	KIND_IGNORED },
	{ "async",		KIND_IGNORED },
	{ "async_",		KIND_IGNORED },
	{ NULL,			KIND_IGNORED }
};

static const struct connection_keyword	connection_ssl_keywords[] = {
	{ "ca",			KIND_TEXT },
	{ "capath",		KIND_TEXT },
	{ "cert",		KIND_TEXT },
	{ "key",		KIND_TEXT },
	{ "cipher",		KIND_TEXT },
	{ NULL,			KIND_IGNORED }
};

struct connection_dialect {
	const char			*setting;
	const char			*function;
	const struct connection_keyword	*keywords;
};

static const struct connection_dialect	connection_dialects[] = {
	{ "sqlite_config", "sqlite3.connect", connection_sqlite_keywords },
	{ "mysql_config", "MySQLdb.connect", connection_mysql_keywords },
	{ "pgsql_config", "psycopg2.connect", connection_pgsql_keywords }
};

/* The keywords in mysql_config's "ssl". */
static const struct connection_dialect	connection_ssl = {
	"mysql_config", "MySQLdb.connect's ssl", connection_ssl_keywords
};

#define CONNECTION_DIALECTS \
	(sizeof(connection_dialects) / sizeof(connection_dialects[0]))

const char *
connection_keyword(const char *setting, size_t n, bool *used)
{
	const struct connection_keyword	*k;
	size_t				 i;

	for (i = 0; i < CONNECTION_DIALECTS; i++)
		if (strcmp(connection_dialects[i].setting, setting) == 0)
			break;
	if (i == CONNECTION_DIALECTS)
		return NULL;
	for (k = connection_dialects[i].keywords; k->name != NULL; k++)
		if (n-- == 0)
			break;
	*used = k->kind != KIND_IGNORED;
	return k->name;
}

/*
 * ":memory:" and "" do not survive the process, so they would limit nothing
 * after a restart; "file:" begins a URI.
 */
static bool
connection_is_file(const char *path)
{
	const char	*base = strrchr(path, '/');

	base = base == NULL ? path : base + 1;
	return *base != '\0' && strcmp(base, ".") != 0 &&
	    strcmp(base, "..") != 0 && *path != ':' &&
	    strncmp(path, "file:", 5) != 0;
}

/* NULL if the value is of this kind, else the description of the kind. */
static const char *
connection_expected(enum connection_kind kind, const struct value *v)
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
		return text && connection_is_file(v->bytes) ? NULL :
		    "the path of a file";
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
connection_unknown(const struct reading *r, const struct connection_dialect *d,
    const struct value *key)
{
	struct reader_nearest		 nearest = { .written = key->bytes };
	const struct connection_keyword	*k;

	for (k = d->keywords; k->name != NULL; k++)
		reader_nearest(&nearest, k->name);
	if (nearest.name != NULL)
		reader_unknown(r, key,
		    "has \"%s\", which %s does not know; did you mean \"%s\"?",
		    key->bytes, d->function, nearest.name);
	else
		reader_unknown(r, key, "has \"%s\", which %s does not know",
		    key->bytes, d->function);
}

static void	connection_entries(const struct reading *,
		    const struct connection_dialect *, const struct value *);

static void
connection_entry(const struct reading *r, const struct connection_dialect *d,
    const struct value *key, const struct value *v)
{
	const struct connection_keyword	*k;
	const char			*expected;

	if (key->type != VALUE_STR) {
		reader_fault(r, key, "must have strings as keys, not %s",
		    value_type_name(key->type));
		return;
	}
	for (k = d->keywords; k->name != NULL; k++)
		if (strlen(k->name) == key->len &&
		    memcmp(k->name, key->bytes, key->len) == 0)
			break;
	if (k->name == NULL)
		connection_unknown(r, d, key);
	else if (k->kind == KIND_IGNORED)
		reader_warning(r, key, "has \"%s\", which has no meaning here",
		    k->name);
	/* Python's functions take None for "not given". */
	else if (v->type != VALUE_NONE &&
	    (expected = connection_expected(k->kind, v)) != NULL)
		reader_fault(r, v, "must have %s as \"%s\"", expected, k->name);
	else if (k->kind == KIND_SSL && v->type == VALUE_DICT)
		connection_entries(r, &connection_ssl, v);
}

static void
connection_entries(const struct reading *r, const struct connection_dialect *d,
    const struct value *v)
{
	size_t	i;

	for (i = 0; i + 1 < v->count; i += 2)
		connection_entry(r, d, v->items[i], v->items[i + 1]);
}

static int
connection_read(const struct reading *r, const struct value *v,
    const struct connection_dialect *d)
{
	size_t	errors;

	if (v->type != VALUE_DICT)
		return reader_mismatch(r, v, "a dictionary");
	errors = r->faults->errors;
	connection_entries(r, d, v);
	return r->faults->errors == errors ? 0 : -1;
}

int
connection_sqlite(const struct reading *r, const struct value *v)
{
	return connection_read(r, v, &connection_dialects[0]);
}

int
connection_mysql(const struct reading *r, const struct value *v)
{
	return connection_read(r, v, &connection_dialects[1]);
}

int
connection_pgsql(const struct reading *r, const struct value *v)
{
	return connection_read(r, v, &connection_dialects[2]);
}
