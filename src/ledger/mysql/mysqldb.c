#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ledger/mysql/mysqldb_library.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define CLASSES		13	/* statements for 1, 2, 4, …, 4096 items */
#define ITEMS_MAX	(1U << (CLASSES - 1))
#define ROLLED_BACK	1213	/* the server's number of a deadlock */

/* --- faults --- */

/*
 * Error numbers of the servers and the libraries. LOST includes faults that
 * only another connection can mend: the server takes no writes, or our tables
 * are gone.
 */
static enum mysqldb_fault
judge(unsigned int number)
{
	static const struct {
		unsigned int		number;
		enum mysqldb_fault	fault;
	} known[] = {
		{ 1205, MYSQLDB_FAULT_BUSY },	/* lock wait timeout */
		{ 1213, MYSQLDB_FAULT_BUSY },	/* deadlock */
		{ 1317, MYSQLDB_FAULT_BUSY },	/* query interrupted */
		{ 1969, MYSQLDB_FAULT_BUSY },	/* max_statement_time */
		{ 3024, MYSQLDB_FAULT_BUSY },	/* max_execution_time */
		{ 1050, MYSQLDB_FAULT_EXISTS },	/* table */
		{ 1060, MYSQLDB_FAULT_EXISTS },	/* column */
		{ 1061, MYSQLDB_FAULT_EXISTS },	/* index */
		{ 1062, MYSQLDB_FAULT_EXISTS },	/* row */
		{ 1091, MYSQLDB_FAULT_EXISTS },	/* or dropped already */
		{ 1359, MYSQLDB_FAULT_EXISTS },	/* trigger */
		{ 1044, MYSQLDB_FAULT_RIGHTS },	/* no access to the database */
		{ 1142, MYSQLDB_FAULT_RIGHTS },	/* command denied */
		{ 1143, MYSQLDB_FAULT_RIGHTS },
		{ 1227, MYSQLDB_FAULT_RIGHTS },
		{ 1370, MYSQLDB_FAULT_RIGHTS },
		{ 1419, MYSQLDB_FAULT_RIGHTS },	/* triggers and binary logs */
		{ 1347, MYSQLDB_FAULT_TABLE },	/* a view */
		{ 1503, MYSQLDB_FAULT_TABLE },	/* partitions without seq */
		{ 1832, MYSQLDB_FAULT_TABLE },	/* column of a foreign key */
		{ 1833, MYSQLDB_FAULT_TABLE },
		{ 1047, MYSQLDB_FAULT_LOST },	/* node without its cluster */
		{ 1053, MYSQLDB_FAULT_LOST },	/* shutdown */
		{ 1054, MYSQLDB_FAULT_LOST },	/* unknown column */
		{ 1146, MYSQLDB_FAULT_LOST },	/* no such table */
		{ 1180, MYSQLDB_FAULT_LOST },	/* COMMIT: result unknown */
		{ 1243, MYSQLDB_FAULT_LOST },	/* unknown statement */
		{ 1290, MYSQLDB_FAULT_LOST },	/* read only */
		{ 1615, MYSQLDB_FAULT_LOST },	/* must be prepared again */
		{ 1792, MYSQLDB_FAULT_LOST },	/* read-only transaction */
		{ 1836, MYSQLDB_FAULT_LOST },	/* read only */
		{ 1927, MYSQLDB_FAULT_LOST }	/* connection killed */
	};
	size_t	i;

	/* The libraries' own error numbers: here always a lost connection. */
	if ((number >= 2000 && number < 3000) || number >= 5000)
		return MYSQLDB_FAULT_LOST;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].number == number)
			return known[i].fault;
	return MYSQLDB_FAULT_STATEMENT;
}

/* A new connection would not mend an administrator's query either. */
static int
fail(struct mysqldb *db, unsigned int number, const char *text)
{
	db->fault = judge(number);
	if (db->foreign && number > 1053 && number < 1900)
		db->fault = MYSQLDB_FAULT_STATEMENT;
	str_printable(db->error, sizeof(db->error), text, strlen(text));
	return -1;
}

int
mysqldb_failed(struct mysqldb *db)
{
	return fail(db, mysql_errno(db->lib->conn), mysql_error(db->lib->conn));
}

static int
failed_statement(struct mysqldb *db, MYSQL_STMT *stmt)
{
	return fail(db, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
}

/* The input may be a TLS record without data for us. */
bool
mysqldb_ended(struct mysqldb *db)
{
	db->foreign = false;
	return mysql_ping(db->lib->conn) != 0 && mysqldb_failed(db) == -1;
}

/* --- plain SQL --- */

int
mysqldb_number(struct mysqldb *db, const char *sql, int64_t *out)
{
	MYSQL_RES	*result;
	MYSQL_ROW	 row;

	*out = 0;
	db->fault = MYSQLDB_NO_FAULT;
	if (mysql_query(db->lib->conn, sql) != 0)
		return mysqldb_failed(db);
	if ((result = mysql_store_result(db->lib->conn)) == NULL)
		return mysql_errno(db->lib->conn) == 0 ? 0 : mysqldb_failed(db);
	if ((row = mysql_fetch_row(result)) != NULL && row[0] != NULL)
		(void)num_parse(row[0], strlen(row[0]), INT64_MIN, INT64_MAX,
		    out);
	mysql_free_result(result);
	return 0;
}

int
mysqldb_exec(struct mysqldb *db, const char *sql)
{
	int64_t	n;

	return mysqldb_number(db, sql, &n);
}

int
mysqldb_commit(struct mysqldb *db)
{
	db->fault = MYSQLDB_NO_FAULT;
	db->foreign = false;
	return mysql_commit(db->lib->conn) == 0 ? 0 : mysqldb_failed(db);
}

int
mysqldb_commit_begin(struct mysqldb *db)
{
	static const char	commit[] = "COMMIT";

	db->fault = MYSQLDB_NO_FAULT;
	db->foreign = false;
	return mysql_send_query(db->lib->conn, commit,
	    sizeof(commit) - 1) == 0 ? 0 : mysqldb_failed(db);
}

int
mysqldb_committed(struct mysqldb *db, bool wait)
{
	if (!wait && !mysqldb_input(db))
		return 0;
	return mysql_read_query_result(db->lib->conn) == 0 ? 1 :
	    mysqldb_failed(db);
}

bool
mysqldb_input(const struct mysqldb *db)
{
	struct pollfd	p = { db->fd, POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

void
mysqldb_watch(struct mysqldb *db, const struct mysqldb *beside,
    void (*input)(void *), void *arg)
{
	db->beside = beside;
	db->input = input;
	db->arg = arg;
}

/* ROLLED_BACK: a Galera node tells only now that it has done so already. */
int
mysqldb_rollback(struct mysqldb *db)
{
	db->foreign = false;
	if (mysql_rollback(db->lib->conn) == 0 ||
	    mysql_errno(db->lib->conn) == ROLLED_BACK)
		return 0;
	return mysqldb_failed(db);
}

/* --- statements --- */

static void
add_param(struct mysqldb_params *p, struct mysqldb_param param)
{
	p->param = alloc_room(p->param, p->count, &p->room,
	    sizeof(p->param[0]));
	p->param[p->count++] = param;
}

void
mysqldb_add(struct mysqldb_params *p, int64_t n)
{
	add_param(p, (struct mysqldb_param){ .number = n });
}

void
mysqldb_add_text(struct mysqldb_params *p, const char *text, size_t len)
{
	add_param(p, (struct mysqldb_param){ .text = text, .len = len });
}

static void
begin_with(struct mysqldb *db, size_t statement, struct mysqldb_params *p)
{
	db->current = statement;
	db->params = p;
	db->lib->running = NULL;
	db->ran = false;
	db->items = 0;
	db->changes = 0;
	db->fault = MYSQLDB_NO_FAULT;
}

void
mysqldb_begin(struct mysqldb *db, size_t statement)
{
	begin_with(db, statement, &db->bound);
	db->bound.count = 0;
}

void
mysqldb_bind(struct mysqldb *db, int64_t n)
{
	mysqldb_add(&db->bound, n);
}

void
mysqldb_bind_text(struct mysqldb *db, const char *text, size_t len)
{
	mysqldb_add_text(&db->bound, text, len);
}

void
mysqldb_bind_bytes(struct mysqldb *db, const void *bytes, size_t len)
{
	add_param(&db->bound, (struct mysqldb_param){ .text = bytes,
	    .len = len, .binary = true });
}

/* The current statement, prepared for so many items. */
static MYSQL_STMT *
prepared_statement(struct mysqldb *db, const struct mysqldb_statement *s,
    size_t class, size_t items)
{
	MYSQL_STMT	*stmt, **place;
	struct str	 sql;
	size_t		 i;
	bool		 inside;

	if (db->lib->once != NULL)
		(void)mysql_stmt_close(db->lib->once);
	db->lib->once = NULL;
	place = &db->lib->prepared[db->current * EXACT_MAX + class];
	if (*place != NULL)
		return *place;
	inside = (db->lib->conn->server_status & SERVER_STATUS_IN_TRANS) != 0;
	str_init(&sql);
	str_adds(&sql, s->first);
	for (i = 0; i < items; i++) {
		str_adds(&sql, i > 0 ? s->between : "");
		str_adds(&sql, s->item);
	}
	str_adds(&sql, s->last != NULL ? s->last : "");
	if ((stmt = mysql_stmt_init(db->lib->conn)) == NULL)
		(void)mysqldb_failed(db);
	else if (mysql_stmt_prepare(stmt, sql.data,
	    (unsigned long)sql.len) != 0) {
		(void)failed_statement(db, stmt);
		(void)mysql_stmt_close(stmt);
		stmt = NULL;
	}
	str_clear(&sql);
	if ((*place = stmt) == NULL || !db->outside || !inside)
		return stmt;
	(void)fail(db, ROLLED_BACK, "a statement had to be prepared");
	db->inside = true;
	return NULL;
}

/* Makes a bound parameter parameter number `at` of the next execution. */
static void
set_param(struct mysqldb *db, size_t at, struct mysqldb_param *p)
{
	MYSQL_BIND	*b;

	db->lib->bind = alloc_room(db->lib->bind, at, &db->lib->binds,
	    sizeof(*b));
	b = &db->lib->bind[at];
	memset(b, 0, sizeof(*b));
	if (p->text != NULL) {
		/* The library only reads a parameter's buffer. */
		memcpy(&b->buffer, &p->text, sizeof(b->buffer));
		b->buffer_type = p->binary ? MYSQL_TYPE_BLOB :
		    MYSQL_TYPE_STRING;
		b->buffer_length = p->len;
		b->length = &p->len;
	} else {
		b->buffer = &p->number;
		b->buffer_type = MYSQL_TYPE_LONGLONG;
	}
}

/*
 * Executes it with the first `n` parameters that were set. An administrator's
 * query may have more columns than `columns` has letters.
 */
static int
execute(struct mysqldb *db, MYSQL_STMT *stmt, size_t n, const char *columns)
{
	MYSQL_BIND	*b;
	size_t		 fields = mysql_stmt_field_count(stmt), i;

	db->lib->running = stmt;
	if (mysql_stmt_param_count(stmt) != n || fields > MYSQLDB_COLUMNS)
		return fail(db, 0, "too many parameters or columns");
	if (fields == 0)
		db->writes++;
	if ((n > 0 && mysql_stmt_bind_param(stmt, db->lib->bind) != 0) ||
	    mysql_stmt_execute(stmt) != 0)
		return failed_statement(db, stmt);
	if (db->beside != NULL && mysqldb_input(db->beside))
		db->input(db->arg);
	if (columns == NULL) {
		db->changes += (int64_t)mysql_stmt_affected_rows(stmt);
		return 0;
	}
	memset(db->lib->result, 0, sizeof(db->lib->result));
	for (i = 0; i < fields; i++) {
		b = &db->lib->result[i];
		b->length = &db->len[i];
		b->is_null = &db->lib->null[i];
		if (i < strlen(columns) && columns[i] == 'n') {
			b->buffer_type = MYSQL_TYPE_LONGLONG;
			b->buffer = &db->number[i];
		} else {
			b->buffer_type = MYSQL_TYPE_STRING;
			b->buffer = db->text[i];
			b->buffer_length = MYSQLDB_TEXT;
		}
	}
	if (mysql_stmt_bind_result(stmt, db->lib->result) != 0 ||
	    mysql_stmt_store_result(stmt) != 0)
		return failed_statement(db, stmt);
	return 0;
}

/* The parameters in SQL of ours, where no other '?' stands. */
static size_t
count_marks(const char *sql)
{
	size_t	n = 0;

	for (; (sql = strchr(sql, '?')) != NULL; sql++)
		n++;
	return n;
}

/*
 * Executes the current statement for the next items, as many as it has room
 * for. 1; 0: there are no more; -1: a fault.
 */
static int
run_next(struct mysqldb *db)
{
	const struct mysqldb_statement	*s = &db->statement[db->current];
	MYSQL_STMT			*stmt;
	size_t				 head, each = 0, class = 0, room = 0;
	size_t				 items = 0, most, used, i;

	if (s->item == NULL) {
		if (db->ran)
			return 0;
		head = db->params->count;
	} else {
		head = count_marks(s->first);
		each = count_marks(s->item);
		if (!db->ran)
			db->done = head;
		most = s->exact ? EXACT_MAX : ITEMS_MAX;
		items = (db->params->count - db->done) / each;
		if (items == 0)
			return 0;
		if (items > most)
			items = most;
		for (room = 1; !s->exact && room < items; room *= 2)
			class++;
		if (s->exact) {
			room = items;
			class = items - 1;
		}
	}
	db->ran = true;
	db->items = items;
	if ((stmt = prepared_statement(db, s, class, room)) == NULL)
		return -1;
	used = items * each;
	for (i = 0; i < head; i++)
		set_param(db, i, &db->params->param[i]);
	/* Where there is room for more items, the last one is repeated. */
	for (i = 0; i < room * each; i++)
		set_param(db, head + i, &db->params->param[db->done +
		    (i < used ? i : used - each + i % each)]);
	db->done += used;
	return execute(db, stmt, head + room * each, s->columns) == 0 ? 1 : -1;
}

int
mysqldb_run(struct mysqldb *db)
{
	int	more;

	while ((more = run_next(db)) == 1)
		;
	return more;
}

int
mysqldb_run_with(struct mysqldb *db, size_t statement, struct mysqldb_params *p)
{
	begin_with(db, statement, p);
	return mysqldb_run(db);
}

/* MariaDB has a number of seconds, MySQL one of milliseconds. */
int
mysqldb_query_bound(struct mysqldb *db, int64_t ms)
{
	char	sql[96];
	int	i, ret = -1;

	for (i = 0; i < 2 && ret == -1; i++) {
		if (db->milliseconds)
			(void)snprintf(sql, sizeof(sql), "SET SESSION"
			    " max_execution_time = %lld", (long long)ms);
		else
			(void)snprintf(sql, sizeof(sql), "SET SESSION"
			    " max_statement_time = %lld.%03lld",
			    (long long)ms / 1000, (long long)ms % 1000);
		ret = mysqldb_exec(db, sql);
		if (db->fault == MYSQLDB_FAULT_LOST)
			break;
		if (ret == -1)
			db->milliseconds = !db->milliseconds;
	}
	return ret;
}

int
mysqldb_query_prepare(struct mysqldb *db, const char *sql, size_t len,
    size_t *params)
{
	db->fault = MYSQLDB_NO_FAULT;
	db->foreign = true;
	db->bound.count = 0;
	if (db->lib->once != NULL)
		(void)mysql_stmt_close(db->lib->once);
	if ((db->lib->once = mysql_stmt_init(db->lib->conn)) == NULL)
		return mysqldb_failed(db);
	if (mysql_stmt_prepare(db->lib->once, sql, (unsigned long)len) != 0)
		return failed_statement(db, db->lib->once);
	*params = mysql_stmt_param_count(db->lib->once);
	return 0;
}

int
mysqldb_query_run(struct mysqldb *db, const char *columns)
{
	size_t	n = db->bound.count, i;

	db->fault = MYSQLDB_NO_FAULT;
	for (i = 0; i < n; i++)
		set_param(db, i, &db->bound.param[i]);
	db->bound.count = 0;
	return execute(db, db->lib->once, n, columns);
}

int
mysqldb_query_over(struct mysqldb *db)
{
	int	more;

	do {
		(void)mysql_stmt_free_result(db->lib->once);
	} while ((more = mysql_stmt_next_result(db->lib->once)) == 0);
	return more == -1 ? 0 : failed_statement(db, db->lib->once);
}

int
mysqldb_next(struct mysqldb *db)
{
	int	more;

	for (;;) {
		if (db->lib->running == NULL && (more = run_next(db)) != 1)
			return more;
		switch (mysql_stmt_fetch(db->lib->running)) {
		case 0:
		case MYSQL_DATA_TRUNCATED:
			return 1;
		case MYSQL_NO_DATA:
			(void)mysql_stmt_free_result(db->lib->running);
			if (db->lib->running == db->lib->once)
				return 0;
			db->lib->running = NULL;
			break;
		default:
			return failed_statement(db, db->lib->running);
		}
	}
}

int64_t
mysqldb_column(const struct mysqldb *db, size_t i)
{
	return db->lib->null[i] ? 0 : (int64_t)db->number[i];
}

const char *
mysqldb_column_text(const struct mysqldb *db, size_t i, size_t *len)
{
	*len = db->len[i] > MYSQLDB_TEXT ? MYSQLDB_TEXT : (size_t)db->len[i];
	return db->lib->null[i] ? NULL : db->text[i];
}

int
mysqldb_column_bytes(struct mysqldb *db, size_t i, struct str *out)
{
	unsigned long	len = 0;
	MYSQL_BIND	b;

	out->len = 0;
	if (db->lib->null[i] || db->len[i] == 0)
		return 0;
	memset(&b, 0, sizeof(b));
	b.buffer_type = MYSQL_TYPE_BLOB;
	b.buffer = str_extend(out, (size_t)db->len[i]);
	b.buffer_length = db->len[i];
	b.length = &len;
	if (mysql_stmt_fetch_column(db->lib->running, &b, (unsigned int)i,
	    0) != 0)
		return failed_statement(db, db->lib->running);
	return 0;
}

int64_t
mysqldb_inserted(const struct mysqldb *db, int64_t step)
{
	return (int64_t)mysql_stmt_insert_id(db->lib->running) +
	    (db->items > 1 ? (int64_t)(db->items - 1) * step : 0);
}
