#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ledger/pgsql/pgsql_library.h"
#include "lib/clock.h"
#include "lib/num.h"

#define NAME_SIZE	24	/* of a prepared statement's name */

#define END_WAIT_MS	500

#define TYPE_BYTEA	17	/* pg_type.oid of array elements */
#define TYPE_INT8	20
#define TYPE_TEXT	25
#define ARRAY_HEADER	20

static const char	timed_out[] = "the server does not answer in time";

/* --- faults --- */

void
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
 * SQLSTATEs after which a retry may succeed; SQLSTATEs after which only a new
 * connection helps, because this server takes no writes or lacks our tables;
 * and all others.
 */
static enum pgsql_fault
judge(const struct pgsql *db, const char *state)
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
	/* The administrator's query: a new connection would not mend it. */
	if (db->each)
		return PGSQL_FAULT_STATEMENT;
	for (i = 0; state != NULL && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].state, state) == 0)
			return known[i].fault;
	/* Class 42: syntax error or access rule violation. */
	return state != NULL && strncmp(state, "42", 2) == 0 ?
	    PGSQL_FAULT_RIGHTS : PGSQL_FAULT_STATEMENT;
}

/* Keeps the worst fault of a pipeline, and the first message of that kind. */
static int
fail(struct pgsql *db, enum pgsql_fault fault, const char *text)
{
	db->failed = true;
	db->timed_out |= text == timed_out;
	if (fault > db->fault) {
		db->fault = fault;
		pgsql_words(db->error, sizeof(db->error), text);
	}
	return -1;
}

static int
lost(struct pgsql *db, const char *text)
{
	return fail(db, PGSQL_FAULT_LOST, text);
}

static int
check_result(struct pgsql *db, const PGresult *result)
{
	ExecStatusType	 status = PQresultStatus(result);
	const char	*state;

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return 0;
	/* The statement that failed before it was reported. */
	if (status == PGRES_PIPELINE_ABORTED) {
		db->failed = true;
		return -1;
	}
	state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	/* feature_not_supported, wrong_object_type */
	db->unfit = state != NULL && (strcmp(state, "0A000") == 0 ||
	    strcmp(state, "42809") == 0);
	return fail(db, judge(db, state), PQresultErrorMessage(result));
}

/* --- at the start --- */

bool
pgsql_ended(struct pgsql *db)
{
	if (PQconsumeInput(db->conn) == 1 &&
	    PQstatus(db->conn) == CONNECTION_OK)
		return false;
	(void)lost(db, PQerrorMessage(db->conn));
	return true;
}

static void
forget_result(struct pgsql *db)
{
	PQclear(db->result);
	db->result = NULL;
	db->failed = false;
	db->unfit = false;
	db->fault = PGSQL_NO_FAULT;
}

int
pgsql_exec(struct pgsql *db, const char *sql)
{
	forget_result(db);
	db->result = PQexec(db->conn, sql);
	return check_result(db, db->result);
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
name_statement(char name[NAME_SIZE], size_t n)
{
	(void)snprintf(name, NAME_SIZE, "s%zu", n);
}

int
pgsql_prepare(struct pgsql *db, const char *const *statements, size_t n)
{
	char	name[NAME_SIZE];
	size_t	i;

	for (i = 0; i < n; i++) {
		forget_result(db);
		name_statement(name, i);
		db->result = PQprepare(db->conn, name, statements[i], 0, NULL);
		if (check_result(db, db->result) == -1)
			return -1;
	}
	/* From now on none may take longer than a request waits. */
	return pgsql_exec(db, db->usual) == 0 &&
	    PQsetnonblocking(db->conn, 1) == 0 ? 0 : -1;
}

/* --- parameters --- */

void
pgsql_array_empty(struct pgsql_array *a)
{
	a->bytes.len = 0;
	a->count = 0;
}

static void
put32(char *at, uint32_t n)
{
	at[0] = (char)(n >> 24 & 0xff);
	at[1] = (char)(n >> 16 & 0xff);
	at[2] = (char)(n >> 8 & 0xff);
	at[3] = (char)(n & 0xff);
}

/*
 * Arrays have the server's binary form: number of dimensions, whether there are
 * NULLs, type, length, lower bound, then the length and bytes of each element.
 */
static char *
array_extend(struct pgsql_array *a, uint32_t type, uint32_t len)
{
	char	*at;

	if (a->bytes.len == 0) {
		at = str_extend(&a->bytes, ARRAY_HEADER);
		put32(at, 1);
		put32(at + 4, 0);
		put32(at + 8, type);
		put32(at + 16, 1);
	}
	at = str_extend(&a->bytes, 4 + (size_t)len);
	put32(at, len);
	put32(a->bytes.data + 12, ++a->count);
	return at + 4;
}

void
pgsql_array_number(struct pgsql_array *a, int64_t n)
{
	char	*at;

	at = array_extend(a, TYPE_INT8, 8);
	put32(at, (uint32_t)((uint64_t)n >> 32));
	put32(at + 4, (uint32_t)((uint64_t)n & 0xffffffff));
}

static void
array_add(struct pgsql_array *a, uint32_t type, const void *bytes, size_t len)
{
	char	*at;

	at = array_extend(a, type, (uint32_t)len);
	if (len > 0)
		memcpy(at, bytes, len);
}

void
pgsql_array_text(struct pgsql_array *a, const char *text, size_t len)
{
	array_add(a, TYPE_TEXT, text, len);
}

void
pgsql_array_bytes(struct pgsql_array *a, const void *bytes, size_t len)
{
	array_add(a, TYPE_BYTEA, bytes, len);
}

static void
add_param(struct pgsql_params *p, const char *value, size_t len, int format)
{
	p->value[p->count] = value;
	p->length[p->count] = (int)len;
	p->format[p->count++] = format;
}

void
pgsql_add_array(struct pgsql_params *p, const struct pgsql_array *a)
{
	if (a->count == 0)
		add_param(p, "{}", 2, 0);
	else
		add_param(p, a->bytes.data, a->bytes.len, 1);
}

void
pgsql_add_number(struct pgsql_params *p, int64_t n)
{
	char	*digits = p->digits[p->count];

	(void)snprintf(digits, sizeof(p->digits[0]), "%lld", (long long)n);
	add_param(p, digits, strlen(digits), 0);
}

void
pgsql_add_text(struct pgsql_params *p, const char *text, size_t len)
{
	add_param(p, text, len, 1);
}

void
pgsql_add_literal(struct pgsql_params *p, const char *text)
{
	add_param(p, text, strlen(text), 0);
}

/* --- pipelines --- */

void
pgsql_begin(struct pgsql *db)
{
	forget_result(db);
	db->put = db->taken = 0;
	db->synced = false;
	db->each = false;
	db->deadline = clock_after(clock_mono(), db->timeout);
	if (PQenterPipelineMode(db->conn) == 0)
		(void)lost(db, PQerrorMessage(db->conn));
}

static const struct pgsql_params	none;

void
pgsql_put(struct pgsql *db, size_t statement, const struct pgsql_params *p)
{
	char	name[NAME_SIZE];

	if (db->fault == PGSQL_FAULT_LOST)
		return;
	if (p == NULL)
		p = &none;
	name_statement(name, statement);
	if (PQsendQueryPrepared(db->conn, name, p->count, p->value, p->length,
	    p->format, 0) == 0)
		(void)lost(db, PQerrorMessage(db->conn));
	db->put++;
}

void
pgsql_put_query(struct pgsql *db, const char *sql, const struct pgsql_params *p)
{
	if (db->fault == PGSQL_FAULT_LOST)
		return;
	if (p == NULL)
		p = &none;
	db->each = true;
	if (PQsendQueryParams(db->conn, sql, p->count, NULL, p->value,
	    p->length, p->format, 0) == 0 || PQpipelineSync(db->conn) == 0)
		(void)lost(db, PQerrorMessage(db->conn));
	db->put++;
}

/*
 * Waits for a result, and sends and reads meanwhile: either side may wait for
 * the other.
 */
static int
wait_input(struct pgsql *db)
{
	struct pollfd	p[2];
	int		flushed, n;

	for (;;) {
		if ((flushed = PQflush(db->conn)) == -1)
			return lost(db, PQerrorMessage(db->conn));
		if (!PQisBusy(db->conn))
			return 0;
		p[0].fd = db->fd;
		p[0].events = flushed == 0 ? POLLIN : POLLIN | POLLOUT;
		p[1] = (struct pollfd){ db->beside, POLLIN, 0 };
		n = poll(p, 2, clock_left(db->deadline, clock_mono()));
		if (n == 0)
			return lost(db, timed_out);
		if (n == -1 && errno != EINTR)
			return lost(db, strerror(errno));
		if (n < 1)
			continue;
		if (p[0].revents != 0 && PQconsumeInput(db->conn) == 0)
			return lost(db, PQerrorMessage(db->conn));
		if (p[1].revents != 0)
			db->input(db->arg);
	}
}

/* The next result of the connection; libpq ends each statement's with NULL. */
static int
next_result(struct pgsql *db)
{
	PQclear(db->result);
	db->result = NULL;
	if (db->fault == PGSQL_FAULT_LOST || wait_input(db) == -1)
		return -1;
	db->result = PQgetResult(db->conn);
	return 0;
}

static int
skip_result(struct pgsql *db, ExecStatusType status)
{
	if (next_result(db) == -1)
		return -1;
	if (db->result == NULL ? status == PGRES_EMPTY_QUERY :
	    PQresultStatus(db->result) == status)
		return 0;
	return lost(db, "the server's answers are out of order");
}

int
pgsql_take(struct pgsql *db)
{
	PGresult	*result;
	int		 ret;

	if (!db->synced && !db->each && db->fault != PGSQL_FAULT_LOST &&
	    PQpipelineSync(db->conn) == 0)
		(void)lost(db, PQerrorMessage(db->conn));
	db->synced = true;
	if (db->taken == db->put || next_result(db) == -1)
		return -1;
	db->taken++;
	if (db->result == NULL)
		return lost(db, PQerrorMessage(db->conn));
	ret = check_result(db, db->result);
	/* The result stays valid until the next one is taken. */
	result = db->result;
	db->result = NULL;
	if (skip_result(db, PGRES_EMPTY_QUERY) == -1 ||
	    (db->each && skip_result(db, PGRES_PIPELINE_SYNC) == -1))
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

void
pgsql_column_bytes(const struct pgsql *db, int row, int column, struct str *out)
{
	unsigned char	*bytes;
	size_t		 len;

	out->len = 0;
	bytes = PQunescapeBytea((const unsigned char *)
	    PQgetvalue(db->result, row, column), &len);
	if (bytes != NULL)
		str_add(out, bytes, len);
	PQfreemem(bytes);
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
		(void)skip_result(db, PGRES_PIPELINE_SYNC);
	PQclear(db->result);
	db->result = NULL;
	if (db->fault == PGSQL_FAULT_LOST)
		return -1;
	if (PQexitPipelineMode(db->conn) == 0)
		(void)lost(db, PQerrorMessage(db->conn));
	return db->failed ? -1 : 0;
}

/* --- one statement that nobody waits for --- */

int
pgsql_ask(struct pgsql *db, size_t statement)
{
	char	name[NAME_SIZE];

	forget_result(db);
	name_statement(name, statement);
	db->deadline = clock_after(clock_mono(), db->timeout);
	if (PQsendQueryPrepared(db->conn, name, 0, NULL, NULL, NULL, 0) == 0 ||
	    PQflush(db->conn) == -1)
		return lost(db, PQerrorMessage(db->conn));
	return 0;
}

/* libpq ends the transaction's results with NULL. */
int
pgsql_answered(struct pgsql *db, bool wait)
{
	if (PQflush(db->conn) == -1 || PQconsumeInput(db->conn) == 0)
		return lost(db, PQerrorMessage(db->conn));
	for (;;) {
		if (PQisBusy(db->conn)) {
			if (clock_passed(db->deadline, clock_mono()))
				return lost(db, timed_out);
			if (!wait)
				return 0;
			if (wait_input(db) == -1)
				return -1;
		}
		PQclear(db->result);
		if ((db->result = PQgetResult(db->conn)) == NULL)
			return db->failed ? -1 : 1;
		(void)check_result(db, db->result);
	}
}

int
pgsql_end_wait(struct pgsql *db, const struct pgsql *other)
{
	struct pgsql_params	p = { .count = 0 };
	int			n;

	if (PQpipelineStatus(db->conn) != PQ_PIPELINE_OFF ||
	    db->fault == PGSQL_FAULT_LOST)
		return -1;
	pgsql_begin(db);
	db->deadline = clock_after(clock_mono(), END_WAIT_MS);
	pgsql_add_number(&p, other->process);
	pgsql_put_query(db, "SELECT pg_cancel_backend(pid)"
	    " FROM pg_stat_activity WHERE pid = $1::bigint"
	    " AND wait_event = 'SyncRep'", &p);
	n = pgsql_take(db);
	return pgsql_end(db) == 0 ? n > 0 : -1;
}

void
pgsql_watch(struct pgsql *db, int fd, void (*input)(void *), void *arg)
{
	db->beside = fd;
	db->input = input;
	db->arg = arg;
}
