#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/pgsql.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"

#define KEYWORDS_MAX	64
#define NAME_SIZE	24	/* of a prepared statement's name */

struct pgsql {
	PGconn			*conn;
	int64_t			 timeout;	/* ms */
	struct mono		 deadline;
	PGresult		*result;	/* taken last */
	size_t			 put;		/* in this pipeline */
	size_t			 taken;
	bool			 synced;	/* its end is sent */
	bool			 each;		/* every statement has an end */
	bool			 failed;	/* something in this pipeline */
	enum pgsql_fault	 fault;
	char			 error[256];
	char			 place[160];
};

/* --- faults --- */

enum pgsql_fault
pgsql_fault(const struct pgsql *db)
{
	return db->fault;
}

const char *
pgsql_error(const struct pgsql *db)
{
	return db->error;
}

const char *
pgsql_place(const struct pgsql *db)
{
	return db->place;
}

int
pgsql_fd(const struct pgsql *db)
{
	return PQsocket(db->conn);
}

/* The first line, without the word that libpq puts in front of it. */
static void
pgsql_words(char *dst, size_t size, const char *text)
{
	static const char *const	prefix[] = { "ERROR:  ", "FATAL:  " };
	size_t				i;

	for (i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (strncmp(text, prefix[i], strlen(prefix[i])) == 0)
			text += strlen(prefix[i]);
	str_printable(dst, size, text, strcspn(text, "\n"));
}

/*
 * SQLSTATEs after which the same may work a moment later; those in which only a
 * new connection helps, because this server takes no writes or lacks our
 * tables; and all else.
 */
static enum pgsql_fault
pgsql_judge(const struct pgsql *db, const char *state)
{
	static const struct {
		const char		*state;
		enum pgsql_fault	 fault;
	} known[] = {
		{ "40001", PGSQL_FAULT_BUSY },	/* serialization_failure */
		{ "40P01", PGSQL_FAULT_BUSY },	/* deadlock_detected */
		{ "55P03", PGSQL_FAULT_BUSY },	/* lock_not_available */
		{ "57014", PGSQL_FAULT_BUSY },	/* query_canceled: too slow */
		{ "25006", PGSQL_FAULT_LOST },	/* read_only_sql_transaction */
		{ "26000", PGSQL_FAULT_LOST },	/* invalid_sql_statement_name */
		{ "0A000", PGSQL_FAULT_LOST },	/* cached plan, changed table */
		{ "42P01", PGSQL_FAULT_LOST },	/* undefined_table */
		{ "42703", PGSQL_FAULT_LOST },	/* undefined_column */
		{ "42P10", PGSQL_FAULT_LOST }	/* no index for ON CONFLICT */
	};
	size_t	i;

	if (PQstatus(db->conn) == CONNECTION_BAD)
		return PGSQL_FAULT_LOST;
	/*
	 * The administrator's: what it lacks, a new connection will lack too.
	 */
	if (db->each)
		return PGSQL_FAULT_STATEMENT;
	for (i = 0; state != NULL && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].state, state) == 0)
			return known[i].fault;
	/* Class 42: access rule violation, and what goes with it. */
	return state != NULL && strncmp(state, "42", 2) == 0 ?
	    PGSQL_FAULT_RIGHTS : PGSQL_FAULT_STATEMENT;
}

/*
 * The worst fault of a pipeline is what counts, the first of its kind is told.
 */
static int
pgsql_fail(struct pgsql *db, enum pgsql_fault fault, const char *text)
{
	db->failed = true;
	if (fault > db->fault) {
		db->fault = fault;
		pgsql_words(db->error, sizeof(db->error), text);
	}
	return -1;
}

static int
pgsql_lost(struct pgsql *db, const char *text)
{
	return pgsql_fail(db, PGSQL_FAULT_LOST, text);
}

static int
pgsql_check(struct pgsql *db, const PGresult *result)
{
	ExecStatusType	status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return 0;
	/* What failed before it was told. */
	if (status == PGRES_PIPELINE_ABORTED) {
		db->failed = true;
		return -1;
	}
	return pgsql_fail(db,
	    pgsql_judge(db, PQresultErrorField(result, PG_DIAG_SQLSTATE)),
	    PQresultErrorMessage(result));
}

/* --- connecting --- */

struct pgsql_keywords {
	const char	*name[KEYWORDS_MAX + 1];
	const char	*value[KEYWORDS_MAX + 1];
	size_t		 count;
	struct str	 text[KEYWORDS_MAX];
};

static bool
pgsql_has(const struct pgsql_keywords *k, const char *name)
{
	size_t	i;

	for (i = 0; i < k->count; i++)
		if (strcmp(k->name[i], name) == 0)
			return true;
	return false;
}

static void
pgsql_keyword(struct pgsql_keywords *k, const char *name, const struct value *v)
{
	struct str	*text;

	if (k->count == KEYWORDS_MAX)
		return;
	text = &k->text[k->count];
	str_init(text);
	if (v->type == VALUE_BOOL)
		str_addc(text, v->boolean ? '1' : '0');
	else
		value_print(text, v);
	k->name[k->count] = name;
	k->value[k->count++] = text->len > 0 ? text->data : "";
}

static void
pgsql_default(struct pgsql_keywords *k, const char *name, const char *text)
{
	struct value	*v;

	if (pgsql_has(k, name))
		return;
	v = value_str(text, strlen(text));
	pgsql_keyword(k, name, v);
	value_free(v);
}

static bool
pgsql_knows(const PQconninfoOption *known, const char *name)
{
	for (; known->keyword != NULL; known++)
		if (strcmp(known->keyword, name) == 0)
			return true;
	return false;
}

/*
 * psycopg2's names for libpq's. A dsn comes first, as a dbname that libpq
 * expands, so that what is given by itself wins.
 */
static int
pgsql_keywords(struct pgsql_keywords *k, const struct value *config,
    char *reason,
    size_t size)
{
	static const char *const	python[] = {
		"connection_factory", "cursor_factory", "async", "async_"
	};
	PQconninfoOption		*known;
	const struct value		*v;
	const char			*name;
	size_t				 i, j;

	if ((known = PQconndefaults()) == NULL) {
		(void)strlcpy(reason, "libpq has no memory", size);
		return -1;
	}
	if ((v = value_get(config, "dsn")) != NULL && v->type == VALUE_STR)
		pgsql_keyword(k, "dbname", v);
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
		if (!pgsql_knows(known, name)) {
			(void)snprintf(reason, size, "pgsql_config: this libpq "
			    "does not know \"%.64s\"", name);
			PQconninfoFree(known);
			return -1;
		}
		pgsql_keyword(k, name, v);
	}
	PQconninfoFree(known);
	return 0;
}

static void
pgsql_defaults(struct pgsql_keywords *k, int64_t timeout)
{
	char	seconds[24];

	/* libpq takes less than 2 for 2. */
	(void)snprintf(seconds, sizeof(seconds), "%lld",
	    timeout <= 2000 ? 2LL : (long long)(timeout + 999) / 1000);
	pgsql_default(k, "connect_timeout", seconds);
	pgsql_default(k, "target_session_attrs", "read-write");
	pgsql_default(k, "fallback_application_name", "policyd-rate-limit");
}

static void
pgsql_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/*
 * Ids are bytes that were checked by ledger/id.h: no encoding is to stand in
 * their way. The plans are always those by index, whatever statistics say of a
 * table that was empty a minute ago. A daemon that is stopped in the middle of
 * a transaction must not keep the others waiting.
 */
static int
pgsql_session(struct pgsql *db)
{
	char	*sql;
	int	 ret;

	sql = alloc_printf("SET client_encoding = 'SQL_ASCII';"
	    "SET standard_conforming_strings = on;"
	    "SET jit = off; SET enable_seqscan = off;"
	    "SET enable_hashjoin = off; SET enable_mergejoin = off;"
	    "SET lock_timeout = %lld;"
	    "SET idle_in_transaction_session_timeout = %lld;"
	    "SELECT set_config('idle_session_timeout', '0', false) WHERE"
	    " current_setting('server_version_num')::int >= 140000",
	    (long long)(db->timeout / 2 + 1), (long long)(db->timeout * 2 +
	    1000));
	ret = pgsql_exec(db, sql);
	free(sql);
	return ret;
}

static void
pgsql_set_place(struct pgsql *db)
{
	const char	*host = PQhost(db->conn), *name = PQdb(db->conn);
	char		 text[160];

	(void)snprintf(text, sizeof(text), "%.64s on %.80s",
	    name != NULL ? name : "?", host != NULL && host[0] != '\0' ? host :
	    "this host");
	str_printable(db->place, sizeof(db->place), text, strlen(text));
}

struct pgsql *
pgsql_open(const struct value *config, int64_t timeout, bool *away,
    char *reason,
    size_t size)
{
	struct pgsql_keywords	 k = { .count = 0 };
	struct pgsql		*db;
	size_t			 i;

	*away = false;
	if (pgsql_keywords(&k, config, reason, size) == -1)
		return NULL;
	pgsql_defaults(&k, timeout);
	*away = true;
	db = alloc_zero(1, sizeof(*db));
	db->timeout = timeout;
	db->conn = PQconnectdbParams(k.name, k.value, 1);
	for (i = 0; i < k.count; i++)
		str_wipe(&k.text[i]);
	if (db->conn == NULL || PQstatus(db->conn) != CONNECTION_OK) {
		pgsql_words(reason, size, db->conn == NULL ? "libpq has no"
		    " memory" :
		    PQerrorMessage(db->conn));
		pgsql_close(db);
		return NULL;
	}
	(void)PQsetNoticeReceiver(db->conn, pgsql_notice, NULL);
	pgsql_set_place(db);
	if (pgsql_session(db) == -1) {
		(void)strlcpy(reason, db->error, size);
		pgsql_close(db);
		return NULL;
	}
	return db;
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

bool
pgsql_ended(struct pgsql *db)
{
	if (PQconsumeInput(db->conn) == 1 &&
	    PQstatus(db->conn) == CONNECTION_OK)
		return false;
	(void)pgsql_lost(db, PQerrorMessage(db->conn));
	return true;
}

/* --- at the start --- */

static void
pgsql_forget(struct pgsql *db)
{
	PQclear(db->result);
	db->result = NULL;
	db->failed = false;
	db->fault = PGSQL_NO_FAULT;
}

int
pgsql_exec(struct pgsql *db, const char *sql)
{
	pgsql_forget(db);
	db->result = PQexec(db->conn, sql);
	return pgsql_check(db, db->result);
}

int
pgsql_number(struct pgsql *db, const char *sql, int64_t *out)
{
	if (pgsql_exec(db, sql) == -1)
		return -1;
	*out = PQntuples(db->result) > 0 ? pgsql_column(db, 0, 0) : 0;
	return 0;
}

static void
pgsql_statement(char name[NAME_SIZE], size_t n)
{
	(void)snprintf(name, NAME_SIZE, "s%zu", n);
}

int
pgsql_prepare(struct pgsql *db, const char *const *statements, size_t n)
{
	char	*sql, name[NAME_SIZE];
	size_t	 i;

	for (i = 0; i < n; i++) {
		pgsql_forget(db);
		pgsql_statement(name, i);
		db->result = PQprepare(db->conn, name, statements[i], 0, NULL);
		if (pgsql_check(db, db->result) == -1)
			return -1;
	}
	/* From here on nobody waits longer than the requests do. */
	sql = alloc_printf("SET statement_timeout = %lld",
	    (long long)(db->timeout * 3 / 4 + 1));
	i = pgsql_exec(db, sql) == 0 && PQsetnonblocking(db->conn, 1) == 0;
	free(sql);
	return i == 1 ? 0 : -1;
}

/* --- pipelines --- */

void
pgsql_begin(struct pgsql *db)
{
	pgsql_forget(db);
	db->put = db->taken = 0;
	db->synced = false;
	db->each = false;
	db->deadline = clock_after(clock_mono(), db->timeout);
	if (PQenterPipelineMode(db->conn) == 0)
		(void)pgsql_lost(db, PQerrorMessage(db->conn));
}

void
pgsql_put(struct pgsql *db, size_t statement, const struct pgsql_params *p)
{
	char	name[NAME_SIZE];

	pgsql_statement(name, statement);
	if (db->fault == PGSQL_FAULT_LOST)
		return;
	if (PQsendQueryPrepared(db->conn, name, p == NULL ? 0 : p->count,
	    p == NULL ? NULL : p->value, p == NULL ? NULL : p->length,
	    p == NULL ? NULL : p->format, 0) == 0)
		(void)pgsql_lost(db, PQerrorMessage(db->conn));
	db->put++;
}

void
pgsql_put_query(struct pgsql *db, const char *sql, const struct pgsql_params *p)
{
	if (db->fault == PGSQL_FAULT_LOST)
		return;
	db->each = true;
	if (PQsendQueryParams(db->conn, sql, p->count, NULL, p->value,
	    p->length,
	    p->format, 0) == 0 || PQpipelineSync(db->conn) == 0)
		(void)pgsql_lost(db, PQerrorMessage(db->conn));
	db->put++;
}

/*
 * Until there is a result to be had; both ways, for either side may wait for
 * us.
 */
static int
pgsql_wait(struct pgsql *db)
{
	struct pollfd	p;
	int		flushed, n;

	for (;;) {
		if ((flushed = PQflush(db->conn)) == -1)
			return pgsql_lost(db, PQerrorMessage(db->conn));
		if (!PQisBusy(db->conn))
			return 0;
		p.fd = PQsocket(db->conn);
		p.events = flushed == 0 ? POLLIN : POLLIN | POLLOUT;
		n = poll(&p, 1, clock_left(db->deadline, clock_mono()));
		if (n == 0)
			return pgsql_lost(db, "the server does not answer in"
			    " time");
		if (n == -1 && errno != EINTR)
			return pgsql_lost(db, strerror(errno));
		if (n == 1 && PQconsumeInput(db->conn) == 0)
			return pgsql_lost(db, PQerrorMessage(db->conn));
	}
}

/*
 * The next result of the connection; a NULL one stands behind each statement's.
 */
static int
pgsql_next(struct pgsql *db)
{
	PQclear(db->result);
	db->result = NULL;
	if (db->fault == PGSQL_FAULT_LOST || pgsql_wait(db) == -1)
		return -1;
	db->result = PQgetResult(db->conn);
	return 0;
}

static int
pgsql_skip(struct pgsql *db, ExecStatusType status)
{
	if (pgsql_next(db) == -1)
		return -1;
	if (db->result == NULL ? status == PGRES_EMPTY_QUERY :
	    PQresultStatus(db->result) == status)
		return 0;
	return pgsql_lost(db, "the server's answers are out of order");
}

int
pgsql_take(struct pgsql *db)
{
	PGresult	*result;
	int		 ret;

	if (!db->synced && !db->each && db->fault != PGSQL_FAULT_LOST &&
	    PQpipelineSync(db->conn) == 0)
		(void)pgsql_lost(db, PQerrorMessage(db->conn));
	db->synced = true;
	if (db->taken == db->put || pgsql_next(db) == -1)
		return -1;
	db->taken++;
	if (db->result == NULL)
		return pgsql_lost(db, PQerrorMessage(db->conn));
	ret = pgsql_check(db, db->result);
	/* The answer stays until the next one is taken. */
	result = db->result;
	db->result = NULL;
	if (pgsql_skip(db, PGRES_EMPTY_QUERY) == -1 ||
	    (db->each && pgsql_skip(db, PGRES_PIPELINE_SYNC) == -1))
		ret = -1;
	PQclear(db->result);
	db->result = result;
	return ret == -1 ? -1 : PQntuples(result);
}

int64_t
pgsql_column(const struct pgsql *db, int row, int column)
{
	const char	*text;
	int64_t		 n = 0;

	text = PQgetvalue(db->result, row, column);
	(void)num_parse(text, (size_t)PQgetlength(db->result, row, column),
	    INT64_MIN, INT64_MAX, &n);
	return n;
}

const char *
pgsql_column_text(const struct pgsql *db, int row, int column, size_t *len)
{
	*len = (size_t)PQgetlength(db->result, row, column);
	return PQgetisnull(db->result, row, column) ? NULL :
	    PQgetvalue(db->result, row, column);
}

int64_t
pgsql_changes(const struct pgsql *db)
{
	const char	*text = PQcmdTuples(db->result);
	int64_t		 n = 0;

	(void)num_parse(text, strlen(text), 0, INT64_MAX, &n);
	return n;
}

int
pgsql_end(struct pgsql *db)
{
	while (db->taken < db->put && db->fault != PGSQL_FAULT_LOST)
		(void)pgsql_take(db);
	if (!db->each && db->put > 0 && db->fault != PGSQL_FAULT_LOST)
		(void)pgsql_skip(db, PGRES_PIPELINE_SYNC);
	PQclear(db->result);
	db->result = NULL;
	if (db->fault == PGSQL_FAULT_LOST)
		return -1;
	if (PQexitPipelineMode(db->conn) == 0)
		(void)pgsql_lost(db, PQerrorMessage(db->conn));
	return db->failed ? -1 : 0;
}
