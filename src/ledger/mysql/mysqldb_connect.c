#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/mysql/mysqldb_library.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/scrub.h"

#define CONNECT_MOST	10	/* seconds for a host, also for an upgrade */

static const char *
config_text(const struct value *config, const char *name, const char *other)
{
	const struct value	*v = value_get(config, name);

	if ((v == NULL || v->type != VALUE_STR) && other != NULL)
		v = value_get(config, other);
	return v != NULL && v->type == VALUE_STR ? v->bytes : NULL;
}

static unsigned int
config_number(const struct value *config, const char *name, unsigned int other)
{
	const struct value	*v = value_get(config, name);
	int64_t			 n = 0;

	if (v == NULL)
		return other;
	if (v->type == VALUE_INT)
		n = v->integer;
	else if (v->type == VALUE_STR)
		(void)num_parse(v->bytes, v->len, 0, INT32_MAX, &n);
	return n > 0 && n <= INT32_MAX ? (unsigned int)n : other;
}

/*
 * TLS is never skipped when it is configured, and the certificate is checked
 * when "ssl" gives the means.
 */
struct mysqldb_tls {
	const char	*mode;		/* ssl_mode; NULL: not given */
	bool		 required;	/* never without TLS */
	bool		 verified;	/* never without a valid certificate */
};

static struct mysqldb_tls
set_tls(MYSQL *conn, const struct value *config)
{
#if HAS_SSL_MODE
	static const struct {
		const char	*name;
		unsigned int	 mode;
	} modes[] = {
		{ "DISABLED", SSL_MODE_DISABLED },
		{ "PREFERRED", SSL_MODE_PREFERRED },
		{ "REQUIRED", SSL_MODE_REQUIRED },
		{ "VERIFY_CA", SSL_MODE_VERIFY_CA },
		{ "VERIFY_IDENTITY", SSL_MODE_VERIFY_IDENTITY }
	};
	const char		*mode;
	size_t			 i;
#else
	FLAG			 enforce, verify;
#endif
	const struct value	*ssl = value_get(config, "ssl");
	struct mysqldb_tls	 tls;

	tls.mode = config_text(config, "ssl_mode", NULL);
	if (tls.mode != NULL) {
		tls.required = strcmp(tls.mode, "DISABLED") != 0 &&
		    strcmp(tls.mode, "PREFERRED") != 0;
		tls.verified = strncmp(tls.mode, "VERIFY_", 7) == 0;
	} else {
		tls.required = ssl != NULL && ssl->count > 0;
		tls.verified = tls.required &&
		    config_text(ssl, "ca", "capath") != NULL;
	}
#if HAS_SSL_MODE
	mode = tls.mode;
	if (mode == NULL && tls.required)
		mode = tls.verified ? "VERIFY_CA" : "REQUIRED";
	for (i = 0; mode != NULL && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, mode) == 0)
			(void)mysql_options(conn, MYSQL_OPT_SSL_MODE,
			    &modes[i].mode);
#else
	enforce = tls.required;
	verify = tls.verified;
	if (enforce)
		(void)mysql_options(conn, MYSQL_OPT_SSL_ENFORCE, &enforce);
	(void)mysql_options(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
#endif
	return tls;
}

/*
 * A server chooses the authentication method, and most methods show it the
 * password. Only methods that do not are allowed, unless the connection leads
 * to a server on this host or to one whose certificate is checked. An option
 * file may override the host; its content is not known here.
 */
static int
restrict_auth(MYSQL *conn, const struct value *config,
    const struct mysqldb_tls *tls, char *reason, size_t size)
{
	const char	*host = config_text(config, "host", NULL);

	if (tls->verified || ((host == NULL ||
	    strcmp(host, "localhost") == 0) &&
	    config_text(config, "read_default_file", NULL) == NULL &&
	    config_text(config, "read_default_group", NULL) == NULL))
		return 0;
#if HAS_RESTRICTED_AUTH
	if (mysql_options(conn, MARIADB_OPT_RESTRICTED_AUTH,
	    "mysql_native_password,client_ed25519,auth_gssapi_client") == 0)
		return 0;
	(void)strlcpy(reason, "the database's library cannot keep the password "
	    "from a server that is not verified: see db_insecure_auth", size);
	return -1;
#else
	/* Over TLS this library shows the password to any server. */
	if (tls->required) {
		(void)strlcpy(reason, "mysql_config: the password would be "
		    "shown to a server whose certificate is not checked: set "
		    "\"ca\" in \"ssl\", or see db_insecure_auth", size);
		return -1;
	}
	(void)mysql_options(conn, MYSQL_OPT_SSL_MODE,
	    &(unsigned int){ SSL_MODE_DISABLED });
	(void)mysql_options(conn, MYSQL_ENABLE_CLEARTEXT_PLUGIN,
	    &(bool){ false });
	(void)mysql_options(conn, MYSQL_OPT_GET_SERVER_PUBLIC_KEY,
	    &(bool){ false });
	return 0;
#endif
}

/*
 * A server that asks for a file of this machine does not get it, and the
 * connection is lost. The option alone is not enough: an option file overrides
 * it.
 */
#define NO_FILES	2000		/* the libraries' unknown error */

static int
file_init(void **file, const char *name, void *arg)
{
	(void)name;
	(void)arg;
	*file = NULL;
	return 1;
}

static int
file_read(void *file, char *bytes, unsigned int size)
{
	(void)file;
	(void)bytes;
	(void)size;
	return -1;
}

static void
file_end(void *file)
{
	(void)file;
}

static int
file_error(void *file, char *text, unsigned int size)
{
	(void)file;
	(void)strlcpy(text, "the server asks for a file of this machine", size);
	return NO_FILES;
}

static void
set_options(MYSQL *conn, const struct value *config, int64_t timeout)
{
	static const struct {
		const char		*name;
		enum mysql_option	 option;
	} top[] = {
		{ "read_default_file", MYSQL_READ_DEFAULT_FILE },
		{ "read_default_group", MYSQL_READ_DEFAULT_GROUP },
		{ "init_command", MYSQL_INIT_COMMAND },
		{ "auth_plugin", MYSQL_DEFAULT_AUTH },
		{ "server_public_key_path", MYSQL_SERVER_PUBLIC_KEY }
	}, tls[] = {
		{ "ca", MYSQL_OPT_SSL_CA },
		{ "capath", MYSQL_OPT_SSL_CAPATH },
		{ "cert", MYSQL_OPT_SSL_CERT },
		{ "key", MYSQL_OPT_SSL_KEY },
		{ "cipher", MYSQL_OPT_SSL_CIPHER }
	};
	const struct value	*compress = value_get(config, "compress");
	const struct value	*ssl = value_get(config, "ssl");
	const char		*text;
	unsigned int		 seconds = (unsigned int)((timeout +
				    999) / 1000);
	unsigned int		 connect, local = 0;
	size_t			 i;

	connect = config_number(config, "connect_timeout",
	    seconds < CONNECT_MOST ? seconds : CONNECT_MOST);
	(void)mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
	(void)mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &seconds);
	(void)mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	(void)mysql_options(conn, MYSQL_OPT_LOCAL_INFILE, &local);
	mysql_set_local_infile_handler(conn, file_init,
	    file_read, file_end, file_error, NULL);
	(void)mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (compress != NULL && (compress->boolean || compress->integer != 0))
		(void)mysql_options(conn, MYSQL_OPT_COMPRESS, NULL);
	for (i = 0; i < sizeof(top) / sizeof(top[0]); i++)
		if ((text = config_text(config, top[i].name, NULL)) != NULL)
			(void)mysql_options(conn, top[i].option, text);
	for (i = 0; ssl != NULL && i < sizeof(tls) / sizeof(tls[0]); i++)
		if ((text = config_text(ssl, tls[i].name, NULL)) != NULL)
			(void)mysql_options(conn, tls[i].option, text);
}

/*
 * Each statement sees what was committed when it began, and waits for a lock
 * only briefly. A server without idle_transaction_timeout works without it.
 */
static int
set_up_session(struct mysqldb *db)
{
	long long	 seconds = db->timeout / 2000 < 1 ? 1 :
	    (long long)db->timeout / 2000;
	char		 sql[192];

	(void)snprintf(sql, sizeof(sql), "SET SESSION innodb_lock_wait_timeout"
	    " = %lld, lock_wait_timeout = %lld, wait_timeout = 2147483,"
	    " autocommit = 0", seconds, seconds);
	if (mysqldb_exec(db, sql) == -1 || mysqldb_exec(db, "SET SESSION"
	    " TRANSACTION ISOLATION LEVEL READ COMMITTED") == -1 ||
	    mysqldb_exec(db, "SET NAMES utf8mb4") == -1)
		return -1;
	(void)snprintf(sql, sizeof(sql), "SET SESSION idle_transaction_timeout"
	    " = %lld", seconds * 4 + 1);
	(void)mysqldb_exec(db, sql);
	if (db->fault == MYSQLDB_FAULT_LOST)
		return -1;
	/* A transaction sees what other nodes of a cluster committed before. */
	(void)mysqldb_exec(db, "SET SESSION wsrep_sync_wait = 1");
	return db->fault == MYSQLDB_FAULT_LOST ? -1 : 0;
}

/* --- hosts --- */

/* One of mysql_config's hosts. */
struct mysqldb_host {
	const char	*name;		/* NULL: none is set */
	unsigned int	 port;
	bool		 listed;	/* with others */
	char		 label[80];	/* for people, printable */
	char		 text[256];
};

/* An entry of a list: "host", "host:port" or "[address]:port". */
static void
set_listed(struct mysqldb_host *host, const char *entry, size_t len)
{
	char	*name = host->text, *colon;
	int64_t	 port;

	while (len > 0 && *entry == ' ') {
		entry++;
		len--;
	}
	while (len > 0 && entry[len - 1] == ' ')
		len--;
	str_printable(host->label, sizeof(host->label), entry, len);
	(void)snprintf(name, sizeof(host->text), "%.*s", (int)len, entry);
	colon = strrchr(name, ':');
	/* Two colons and no bracket are an IPv6 address alone. */
	if (colon != NULL && (strchr(name, ':') == colon || colon[-1] == ']') &&
	    num_parse(colon + 1, strlen(colon + 1), 1, UINT16_MAX,
	    &port) == 0) {
		host->port = (unsigned int)port;
		*colon = '\0';
	}
	if (*name == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = '\0';
		name++;
	}
	host->name = name;
	host->listed = true;
}

/* The libraries keep the password to reconnect; we never do. */
static void
wipe_password(MYSQL *conn)
{
	char	*const kept[] = { conn->passwd, conn->options.password };
	size_t	 i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] != NULL)
			explicit_bzero(kept[i], strlen(kept[i]));
	scrub_memory();
}

/* On failure db->error says why; without *away no other host is better. */
static int
connect_host(struct mysqldb *db, const struct settings *settings,
    const struct mysqldb_host *host, bool *away)
{
	const struct value	*config = settings->mysql_config;
	const char		*name = config_text(config, "db", "database");
	struct mysqldb_tls	 tls;
	MYSQL			*conn;
	char			 place[160];
	int64_t			 read_only = 0;

	if ((conn = mysql_init(NULL)) == NULL) {
		(void)strlcpy(db->error, "the database's library has no memory",
		    sizeof(db->error));
		return -1;
	}
	db->lib->conn = conn;
	set_options(conn, config, db->timeout);
	tls = set_tls(conn, config);
	if (!settings->db_insecure_auth && restrict_auth(conn, config, &tls,
	    db->error, sizeof(db->error)) == -1) {
		*away = false;
		goto fail;
	}
	if (mysql_real_connect(conn, host->name, config_text(config, "user",
	    NULL), config_text(config, "passwd", "password"), name, host->port,
	    config_text(config, "unix_socket", NULL),
	    CLIENT_FOUND_ROWS) == NULL) {
		(void)mysqldb_failed(db);
		goto fail;
	}
	db->fd = (int)SOCKET_OF(conn);
	(void)snprintf(place, sizeof(place), "%.64s on %.80s",
	    name != NULL ? name : "?", host->listed ? host->label :
	    host->name != NULL ? host->name : "this host");
	str_printable(db->place, sizeof(db->place), place, strlen(place));
	wipe_password(conn);
	/*
	 * After a planned switch the old primary still accepts connections, and
	 * writes of an account with the right to write to a read-only server.
	 */
	if (set_up_session(db) == -1 || (host->listed &&
	    mysqldb_number(db, "SELECT concat(@@read_only) NOT IN ('0', 'OFF')"
	    " OR @@innodb_read_only", &read_only) == -1))
		goto fail;
	if (read_only == 0)
		return 0;
	(void)strlcpy(db->error, "the server is read-only", sizeof(db->error));
 fail:
	mysql_close(conn);
	db->lib->conn = NULL;
	return -1;
}

/*
 * Tries the hosts of the list in turn. The libraries do not do it alike, and
 * none looks for the server that takes writes.
 */
struct mysqldb *
mysqldb_open(const struct settings *settings, int64_t timeout,
    const struct mysqldb *first, const struct mysqldb_statement *statement,
    size_t nstatement, bool *away, char *reason, size_t size)
{
	const struct value	*config = settings->mysql_config;
	const char		*entry = config_text(config, "host", NULL);
	const char		*file;
	struct mysqldb		*db;
	struct mysqldb_host	 host;
	size_t			 hosts = 1, len, used, i;
	bool			 list;

	*away = true;
	/* The library silently ignores an option file that it cannot read. */
	file = config_text(config, "read_default_file", NULL);
	if (file != NULL && access(file, R_OK) == -1) {
		(void)snprintf(reason, size,
		    "mysql_config: read_default_file: %s: %s", file,
		    strerror(errno));
		return NULL;
	}
	db = alloc_zero(1, sizeof(*db));
	db->timeout = timeout;
	db->statement = statement;
	db->nstatement = nstatement;
	db->lib = alloc_zero(1, sizeof(*db->lib));
	db->lib->prepared = alloc_zero(nstatement * EXACT_MAX,
	    sizeof(db->lib->prepared[0]));
	for (i = 0; entry != NULL && entry[i] != '\0'; i++)
		hosts += entry[i] == ',';
	list = hosts > 1;
	for (reason[0] = '\0'; hosts > 0 && *away; hosts--) {
		host = (struct mysqldb_host){ .name = entry,
		    .port = config_number(config, "port", 0) };
		if (list) {
			len = strcspn(entry, ",");
			set_listed(&host, entry, len);
			entry += len + 1;
		}
		if (first != NULL && first->host != hosts)
			continue;
		if (connect_host(db, settings, &host, away) == 0) {
			db->host = hosts;
			return db;
		}
		/* Each host's reason gets a share of the room. */
		used = strlen(reason);
		(void)snprintf(reason + used, (size - used) / hosts,
		    "%s%s%s%s", used > 0 ? "; " : "", host.label,
		    host.listed ? ": " : "", db->error);
	}
	mysqldb_close(db);
	return NULL;
}

void
mysqldb_close(struct mysqldb *db)
{
	size_t	i;

	if (db == NULL)
		return;
	for (i = 0; i < db->nstatement * EXACT_MAX; i++)
		if (db->lib->prepared[i] != NULL)
			(void)mysql_stmt_close(db->lib->prepared[i]);
	if (db->lib->once != NULL)
		(void)mysql_stmt_close(db->lib->once);
	if (db->lib->conn != NULL)
		mysql_close(db->lib->conn);
	free(db->lib->prepared);
	free(db->lib->bind);
	free(db->lib);
	free(db->bound.param);
	free(db);
}
