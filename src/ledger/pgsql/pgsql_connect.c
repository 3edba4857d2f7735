#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/pgsql/pgsql_library.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/scrub.h"

#define KEYWORDS_MAX	64
#define REASON_MIN	16	/* bytes of a host's, or it is left out */
#define REQUIRE_AUTH_VERSION 160000	/* first libpq with require_auth */

struct pgsql_keywords {
	const char	*name[KEYWORDS_MAX + 1];
	const char	*value[KEYWORDS_MAX + 1];
	size_t		 count;
	struct str	 text[KEYWORDS_MAX];
};

static void
add_keyword(struct pgsql_keywords *k, const char *name, const struct value *v,
    const char *text)
{
	struct str	*s = &k->text[k->count];

	if (k->count == KEYWORDS_MAX || (v == NULL && text == NULL))
		return;
	str_init(s);
	if (v == NULL)
		str_adds(s, text);
	else if (v->type == VALUE_BOOL)
		str_addc(s, v->boolean ? '1' : '0');
	else
		value_print(s, v);
	k->name[k->count] = name;
	k->value[k->count++] = s->len > 0 ? s->data : "";
}

/* The value that libpq will use, also from a connection string; NULL: none. */
static const char *
keyword_value(const struct pgsql_keywords *k, const PQconninfoOption *dsn,
    const char *name)
{
	size_t	i;

	for (i = 0; i < k->count; i++)
		if (strcmp(k->name[i], name) == 0)
			return k->value[i];
	for (; dsn != NULL && dsn->keyword != NULL; dsn++)
		if (strcmp(dsn->keyword, name) == 0)
			return dsn->val;
	return NULL;
}

static void
default_keyword(struct pgsql_keywords *k, const char *name, const char *text)
{
	if (keyword_value(k, NULL, name) == NULL)
		add_keyword(k, name, NULL, text);
}

/*
 * Checks a dsn, or a dbname that is one, with libpq's parser. Its error message
 * is not logged, since it may hold a part of the password.
 */
static int
check_dsn(const struct value *v, char *reason, size_t size)
{
	PQconninfoOption	*options;
	char			*error = NULL;

	if (v->type != VALUE_STR || (strchr(v->bytes, '=') == NULL &&
	    strncmp(v->bytes, "postgres://", 11) != 0 &&
	    strncmp(v->bytes, "postgresql://", 13) != 0))
		return 0;
	options = PQconninfoParse(v->bytes, &error);
	PQfreemem(error);
	if (options == NULL) {
		(void)strlcpy(reason, "pgsql_config: libpq cannot read the "
		    "connection string (why is not told: it may hold the "
		    "password)", size);
		return -1;
	}
	PQconninfoFree(options);
	return 0;
}

/*
 * psycopg2's keywords as libpq's. A dsn comes first, as a dbname that libpq
 * expands, so that separate keywords override it.
 */
static int
make_keywords(struct pgsql_keywords *k, const struct value *config,
    char *reason, size_t size)
{
	static const char *const	python[] = {
		"connection_factory", "cursor_factory", "async", "async_"
	};
	PQconninfoOption		*known, *o;
	const struct value		*v;
	const char			*name;
	size_t				 i, j;

	if ((known = PQconndefaults()) == NULL) {
		(void)strlcpy(reason, "libpq has no memory", size);
		return -1;
	}
	if ((v = value_get(config, "dsn")) != NULL && v->type == VALUE_STR) {
		if (check_dsn(v, reason, size) == -1)
			goto fail;
		add_keyword(k, "dbname", v, NULL);
	}
	for (i = 0; i + 1 < config->count; i += 2) {
		name = config->items[i]->bytes;
		v = config->items[i + 1];
		for (j = 0; j < sizeof(python) / sizeof(python[0]); j++)
			if (strcmp(name, python[j]) == 0)
				break;
		if (j < sizeof(python) / sizeof(python[0]) ||
		    v->type == VALUE_NONE || strcmp(name, "dsn") == 0)
			continue;
		if (strcmp(name, "database") == 0)
			name = "dbname";
		for (o = known; o->keyword != NULL; o++)
			if (strcmp(o->keyword, name) == 0)
				break;
		if (o->keyword == NULL) {
			(void)snprintf(reason, size, "pgsql_config: this libpq "
			    "does not know \"%.64s\"", name);
			goto fail;
		}
		if (strcmp(name, "dbname") == 0 &&
		    check_dsn(v, reason, size) == -1)
			goto fail;
		add_keyword(k, name, v, NULL);
	}
	PQconninfoFree(known);
	return 0;
 fail:
	PQconninfoFree(known);
	return -1;
}

/*
 * Whether the connection leads to a server on this host or to one whose
 * certificate is checked. A service file may name any host, so a service is not
 * trusted.
 */
static bool
server_trusted(const struct pgsql_keywords *k)
{
	PQconninfoOption	*dsn = NULL;
	const char		*mode, *host;
	const char		*dbname = keyword_value(k, NULL, "dbname");
	bool			 trusts;

	if (dbname != NULL && (strchr(dbname, '=') != NULL ||
	    strstr(dbname, "://") != NULL))
		dsn = PQconninfoParse(dbname, NULL);
	trusts = keyword_value(k, dsn, "hostaddr") == NULL &&
	    keyword_value(k, dsn, "service") == NULL;
	/* Every host of the list must be a directory of UNIX sockets. */
	host = keyword_value(k, dsn, "host");
	for (; host != NULL && host[0] != '\0'; host = strchr(host, ',')) {
		host += strspn(host, ",");
		trusts = trusts && (host[0] == '/' || host[0] == '@');
	}
	mode = keyword_value(k, dsn, "sslmode");
	trusts = trusts || (mode != NULL && strncmp(mode, "verify-", 7) == 0);
	PQconninfoFree(dsn);
	return trusts;
}

/*
 * libpq ignores a file with passwords that it cannot read or others can, and
 * says nothing or writes a line of its own for each connection. It gets the
 * name of no file instead, and `why` is "; passfile" with the name and the
 * fault, for the reason of a failure, or "".
 */
static void
check_passfile(struct pgsql_keywords *k, char *why, size_t size)
{
	const char	*fault;
	struct stat	 sb;
	size_t		 i;

	why[0] = '\0';
	for (i = 0; i < k->count; i++) {
		if (strcmp(k->name[i], "passfile") != 0)
			continue;
		if (access(k->value[i], R_OK) == -1 ||
		    stat(k->value[i], &sb) == -1)
			fault = strerror(errno);
		else if (S_ISREG(sb.st_mode) &&
		    (sb.st_mode & (S_IRWXG | S_IRWXO)) != 0)
			fault = "others than its owner may read it";
		else
			continue;
		(void)snprintf(why, size, "; passfile %s: %s", k->value[i],
		    fault);
		k->value[i] = "/dev/null/";
	}
}

/* What the administrator left to us. The last of equal keywords counts. */
static void
complete_keywords(struct pgsql_keywords *k, const struct pgsql *db,
    const struct pgsql *first)
{
	char	seconds[24];

	/* libpq treats less than 2 as 2. */
	(void)snprintf(seconds, sizeof(seconds), "%lld", db->timeout <= 2000 ?
	    2LL : (long long)(db->timeout + 999) / 1000);
	default_keyword(k, "connect_timeout", seconds);
	default_keyword(k, "target_session_attrs", "read-write");
	default_keyword(k, "fallback_application_name", "policyd-rate-limit");
	if (first == NULL)
		return;
	/* Hosts of the list that do not answer are not tried again. */
	add_keyword(k, "host", NULL, PQhost(first->conn));
	add_keyword(k, "hostaddr", NULL, PQhostaddr(first->conn));
	add_keyword(k, "port", NULL, PQport(first->conn));
}

static void
on_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/*
 * Sets up the session. It treats ids as bytes, since ledger/id.h has checked
 * them. Plans always use the indexes, whatever the statistics say about a table
 * that was empty a minute ago. A daemon that is stopped inside a transaction
 * must not block the others.
 */
static int
set_up(struct pgsql *db)
{
	const char	*host = PQhost(db->conn), *name = PQdb(db->conn);
	char		*password = PQpass(db->conn), *sql, text[160];
	int		 ret;

	/*
	 * libpq keeps the password for reconnecting, which this process never
	 * does. Without a password it is a constant string.
	 */
	if (password != NULL && password[0] != '\0')
		explicit_bzero(password, strlen(password));
	else
		db->exposed = false;
	scrub_memory();
	(void)PQsetNoticeReceiver(db->conn, on_notice, NULL);
	(void)snprintf(text, sizeof(text), "%.64s on %.80s",
	    name != NULL ? name : "?", host != NULL && host[0] != '\0' ? host :
	    "this host");
	str_printable(db->place, sizeof(db->place), text, strlen(text));
	db->fd = PQsocket(db->conn);
	(void)snprintf(db->usual, sizeof(db->usual),
	    "SET statement_timeout = %lld", (long long)db->timeout * 3 / 4 + 1);
	sql = alloc_printf("SET client_encoding = 'SQL_ASCII';"
	    "SET default_transaction_isolation = 'read committed';"
	    "SET standard_conforming_strings = on;"
	    "SET jit = off; SET enable_seqscan = off;"
	    "SET enable_hashjoin = off; SET enable_mergejoin = off;"
	    "SET enable_bitmapscan = off; SET enable_sort = off;"
	    "SET lock_timeout = %lld;"
	    "SET idle_in_transaction_session_timeout = %lld;"
	    "SELECT set_config('idle_session_timeout', '0', false) WHERE "
	    PGSQL_SINCE(140000),
	    (long long)(db->timeout / 2 + 1), (long long)(db->timeout * 2 +
	    1000));
	ret = pgsql_exec(db, sql);
	free(sql);
	return ret;
}

static const char *
line_after(const char *line)
{
	line += strcspn(line, "\n");
	return *line == '\n' ? line + 1 : line;
}

/*
 * libpq's message has a line for each host that was tried, hints in lines that
 * begin with a tab. Every host gets a share of the room.
 */
static void
reasons(char *dst, size_t size, const char *text)
{
	const char	*line;
	size_t		 hosts = 0, used = 0, room;

	for (line = text; *line != '\0'; line = line_after(line))
		hosts += *line != '\t';
	dst[0] = '\0';
	for (line = text; *line != '\0'; line = line_after(line)) {
		if (*line == '\t')
			continue;
		if ((room = (size - used) / hosts--) < REASON_MIN)
			return;
		if (used > 0)
			used += strlcpy(dst + used, "; ", room);
		pgsql_words(dst + used, room - 2, line);
		used += strlen(dst + used);
	}
}

/* --- poolers --- */

#define POOL_TRIES	8
#define PROTOCOL_VIOLATION	"08P01"	/* a pooler: not in this mode */

/*
 * Two connections through a pooler. `shared`: it does not keep each connection
 * at a server process of its own.
 */
struct pgsql_pool {
	PGconn		*mine;
	PGconn		*other;
	struct mono	 deadline;
	bool		 shared;
};

/*
 * Runs a query until the deadline: a pooler may let it wait for a free process.
 * The last result, or NULL.
 */
static PGresult *
pool_query(struct pgsql_pool *p, PGconn *conn, const char *sql)
{
	PGresult	*result = NULL, *next;
	struct pollfd	 fd = { PQsocket(conn), POLLIN, 0 };
	const char	*state;

	if (PQsendQuery(conn, sql) == 0)
		return NULL;
	for (;;) {
		while (PQisBusy(conn))
			if (poll(&fd, 1, clock_left(p->deadline,
			    clock_mono())) != 1 || PQconsumeInput(conn) == 0)
				goto fail;
		if ((next = PQgetResult(conn)) == NULL)
			break;
		PQclear(result);
		result = next;
		state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		if (state != NULL && strcmp(state, PROTOCOL_VIOLATION) == 0)
			p->shared = true;
	}
	if (PQresultStatus(result) == PGRES_COMMAND_OK ||
	    PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
 fail:
	PQclear(result);
	return NULL;
}

/* The server process that runs the next statement, as text; "": unknown. */
static void
server_process(struct pgsql_pool *p, PGconn *conn, char *dst, size_t size)
{
	PGresult	*result;

	dst[0] = '\0';
	result = pool_query(p, conn, "SELECT pg_backend_pid() || ' of ' ||"
	    " pg_postmaster_start_time()");
	if (result != NULL && PQntuples(result) == 1)
		(void)strlcpy(dst, PQgetvalue(result, 0, 0), size);
	PQclear(result);
}

/*
 * Whether the process that ran our last statement runs another connection's
 * transaction, or another process runs our next one.
 */
static void
try_pool(struct pgsql_pool *p)
{
	char	before[64], beside[64], after[64];

	server_process(p, p->mine, before, sizeof(before));
	PQclear(pool_query(p, p->other, "BEGIN"));
	server_process(p, p->other, beside, sizeof(beside));
	p->shared |= before[0] != '\0' && strcmp(before, beside) == 0;
	if (!p->shared && beside[0] != '\0') {
		server_process(p, p->mine, after, sizeof(after));
		p->shared |= after[0] != '\0' && strcmp(before, after) != 0;
	}
	PQclear(pool_query(p, p->other, "ROLLBACK"));
}

/*
 * A pooler in transaction mode would mix up the sessions of daemons and of
 * others: prepared statements, locks and settings. Poolers tell their clients a
 * number of their own in place of the server process's. NULL: no fault.
 */
static const char *
pool_fault(struct pgsql *db, const struct pgsql_keywords *k, bool first,
    bool *away)
{
	struct pgsql_pool	p = { .mine = db->conn };
	char			process[64], pid[24];
	int			i;

	p.deadline = clock_after(clock_mono(), db->timeout);
	(void)snprintf(pid, sizeof(pid), "%d of", PQbackendPID(db->conn));
	server_process(&p, db->conn, process, sizeof(process));
	(void)num_parse(process, strcspn(process, " "), 0, INT32_MAX,
	    &db->process);
	if (process[0] == '\0' && clock_passed(p.deadline, clock_mono()))
		return "the server does not answer in time (a pooler: its pool"
		    " may be too small)";
	if (first && process[0] != '\0' &&
	    strncmp(process, pid, strlen(pid)) != 0) {
		p.other = PQconnectdbParams(k->name, k->value, 1);
		for (i = 0; i < POOL_TRIES && !p.shared &&
		    PQstatus(p.other) == CONNECTION_OK; i++)
			try_pool(&p);
		PQfinish(p.other);
	}
	if (!p.shared)
		return NULL;
	*away = false;
	return "a pooler in transaction or statement mode is between: it must"
	    " be in session mode";
}

/* --- opening --- */

struct pgsql *
pgsql_open(const struct settings *settings, const struct pgsql *first,
    bool *away, char *reason, size_t size)
{
	struct pgsql_keywords	 k = { .count = 0 };
	struct pgsql		*db = NULL;
	const char		*fault;
	char			 passfile[256];
	bool			 good = false;

	*away = false;
	if (make_keywords(&k, settings->pgsql_config, reason, size) == -1)
		goto done;
	*away = true;
	db = alloc_zero(1, sizeof(*db));
	db->timeout = settings->db_timeout;
	db->beside = -1;
	check_passfile(&k, passfile, sizeof(passfile));
	/* Untrusted servers get no password; libpq before 16 cannot say so. */
	if (!settings->db_insecure_auth && !server_trusted(&k) &&
	    keyword_value(&k, NULL, "require_auth") == NULL) {
		if (PQlibVersion() < REQUIRE_AUTH_VERSION)
			db->exposed = true;
		else
			add_keyword(&k, "require_auth", NULL, "!password");
	}
	complete_keywords(&k, db, first);
	db->conn = PQconnectdbParams(k.name, k.value, 1);
	if (PQstatus(db->conn) != CONNECTION_OK) {
		reasons(reason, size, db->conn == NULL ?
		    "libpq has no memory" : PQerrorMessage(db->conn));
		(void)strlcat(reason, passfile, size);
	} else if ((fault = pool_fault(db, &k, first == NULL, away)) != NULL)
		(void)strlcpy(reason, fault, size);
	else if (set_up(db) == -1)
		(void)strlcpy(reason, db->error, size);
	else
		good = true;
 done:
	while (k.count > 0)
		str_wipe(&k.text[--k.count]);
	if (good)
		return db;
	pgsql_close(db);
	return NULL;
}

void
pgsql_close(struct pgsql *db)
{
	if (db == NULL)
		return;
	PQclear(db->result);
	PQfinish(db->conn);
	free(db);
}
