#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/mysqldb.h"
#include "lib/alloc.h"
#include "lib/num.h"

/*
 * Where the two libraries differ. MariaDB's has no mode for TLS but two
 * switches, and looks at the host's name whenever it looks at the certificate.
 */
#ifdef LIBMARIADB
#define FLAG	my_bool
#define HAS_SSL_MODE	0
#else
#define FLAG	bool
#define HAS_SSL_MODE	1
#endif

#define COLUMNS_MAX	8
#define TEXT_MAX	4096
#define EXACT_MAX	64	/* one is prepared for each number of items */
#define CLASSES		7	/* of the others: for 1, 4, 16, …, 4096 items */

struct mysqldb_param {
	const char	*text;		/* NULL: */
	int64_t		 number;
	unsigned long	 len;
};

struct mysqldb {
	MYSQL				*conn;
	const struct mysqldb_statement	*statement;
	size_t				 nstatement;
	MYSQL_STMT			**prepared;	/* EXACT_MAX for each */
	MYSQL_STMT			*once;		/* used but one time */
	MYSQL_STMT			*running;
	size_t				 current;
	struct mysqldb_param		*param;
	size_t				 nparam;
	size_t				 params;	/* room */
	MYSQL_BIND			*bind;		/* as many */
	MYSQL_BIND			 result[COLUMNS_MAX];
	long long			 number[COLUMNS_MAX];
	char				 text[COLUMNS_MAX][TEXT_MAX];
	unsigned long			 len[COLUMNS_MAX];
	FLAG				 null[COLUMNS_MAX];
	/* an administrator's query */
	bool				 foreign;
	enum mysqldb_fault		 fault;
	char				 error[256];
	char				 place[160];
};

/* --- faults --- */

enum mysqldb_fault
mysqldb_fault(const struct mysqldb *db)
{
	return db->fault;
}

const char *
mysqldb_error(const struct mysqldb *db)
{
	return db->error;
}

const char *
mysqldb_place(const struct mysqldb *db)
{
	return db->place;
}

/*
 * Numbers from the servers' and the libraries' lists. "Lost" is also what only
 * another connection can mend: this server takes no writes, or our tables are
 * gone.
 */
static enum mysqldb_fault
mysqldb_judge(unsigned int number)
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
		{ 1044, MYSQLDB_FAULT_RIGHTS },	/* no access to the database */
		{ 1142, MYSQLDB_FAULT_RIGHTS },	/* command denied */
		{ 1143, MYSQLDB_FAULT_RIGHTS },
		{ 1227, MYSQLDB_FAULT_RIGHTS },
		{ 1370, MYSQLDB_FAULT_RIGHTS },
		{ 1419, MYSQLDB_FAULT_RIGHTS },	/* triggers and binary logs */
		{ 1053, MYSQLDB_FAULT_LOST },	/* shutdown */
		{ 1054, MYSQLDB_FAULT_LOST },	/* unknown column */
		{ 1146, MYSQLDB_FAULT_LOST },	/* no such table */
		{ 1243, MYSQLDB_FAULT_LOST },	/* unknown statement */
		{ 1290, MYSQLDB_FAULT_LOST },	/* read only */
		{ 1615, MYSQLDB_FAULT_LOST },	/* must be prepared again */
		{ 1792, MYSQLDB_FAULT_LOST },	/* read-only transaction */
		{ 1836, MYSQLDB_FAULT_LOST },	/* read only */
		{ 1927, MYSQLDB_FAULT_LOST }	/* connection killed */
	};
	size_t	i;

	/* The libraries' own: nothing but a lost connection comes up here. */
	if ((number >= 2000 && number < 3000) || number >= 5000)
		return MYSQLDB_FAULT_LOST;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].number == number)
			return known[i].fault;
	return MYSQLDB_FAULT_STATEMENT;
}

/* What an administrator's query lacks, a new connection will lack too. */
static int
mysqldb_fail(struct mysqldb *db, unsigned int number, const char *text)
{
	db->fault = mysqldb_judge(number);
	if (db->foreign && number > 1053 && number < 1900)
		db->fault = MYSQLDB_FAULT_STATEMENT;
	str_printable(db->error, sizeof(db->error), text, strlen(text));
	return -1;
}

static int
mysqldb_failed(struct mysqldb *db)
{
	return mysqldb_fail(db, mysql_errno(db->conn), mysql_error(db->conn));
}

static int
mysqldb_failed_statement(struct mysqldb *db, MYSQL_STMT *stmt)
{
	return mysqldb_fail(db, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
}

/* --- connecting --- */

static const char *
mysqldb_text(const struct value *config, const char *name, const char *other)
{
	const struct value	*v = value_get(config, name);

	if ((v == NULL || v->type != VALUE_STR) && other != NULL)
		v = value_get(config, other);
	return v != NULL && v->type == VALUE_STR ? v->bytes : NULL;
}

static unsigned int
mysqldb_number_of(const struct value *config, const char *name,
    unsigned int other)
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

static void
mysqldb_set_texts(MYSQL *conn, const struct value *config)
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
	const struct value	*ssl = value_get(config, "ssl");
	const char		*text;
	size_t			 i;

	for (i = 0; i < sizeof(top) / sizeof(top[0]); i++)
		if ((text = mysqldb_text(config, top[i].name, NULL)) != NULL)
			(void)mysql_options(conn, top[i].option, text);
	for (i = 0; ssl != NULL && i < sizeof(tls) / sizeof(tls[0]); i++)
		if ((text = mysqldb_text(ssl, tls[i].name, NULL)) != NULL)
			(void)mysql_options(conn, tls[i].option, text);
}

/*
 * TLS that was asked for is never left out, and "ssl" with a "ca" is checked by
 * it.
 */
static void
mysqldb_set_tls(MYSQL *conn, const struct value *config)
{
	const struct value	*ssl = value_get(config, "ssl");
	const char		*mode = mysqldb_text(config, "ssl_mode", NULL);
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
	size_t	i;

	if (mode == NULL && (ssl == NULL || ssl->count == 0))
		return;
	if (mode == NULL)
		mode = value_get(ssl, "ca") != NULL ? "VERIFY_CA" : "REQUIRED";
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, mode) == 0)
			(void)mysql_options(conn, MYSQL_OPT_SSL_MODE,
			    &modes[i].mode);
#else
	FLAG	enforce, verify;

	enforce = mode != NULL ? strcmp(mode, "DISABLED") != 0 &&
	    strcmp(mode, "PREFERRED") != 0 : ssl != NULL && ssl->count > 0;
	verify = mode != NULL ? strncmp(mode, "VERIFY_", 7) == 0 :
	    enforce && value_get(ssl, "ca") != NULL;
	if (enforce)
		(void)mysql_options(conn, MYSQL_OPT_SSL_ENFORCE, &enforce);
	(void)mysql_options(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
#endif
}

static void
mysqldb_set(MYSQL *conn, const struct value *config, int64_t timeout)
{
	const struct value	*compress = value_get(config, "compress");
	unsigned int		 seconds = (unsigned int)((timeout +
	    999) / 1000);
	unsigned int		 connect, local = 0;

	connect = mysqldb_number_of(config, "connect_timeout", seconds);
	(void)mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
	(void)mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &seconds);
	(void)mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	/* No server may ask for files of ours. */
	(void)mysql_options(conn, MYSQL_OPT_LOCAL_INFILE, &local);
	(void)mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (compress != NULL && (compress->boolean || compress->integer != 0))
		(void)mysql_options(conn, MYSQL_OPT_COMPRESS, NULL);
	mysqldb_set_texts(conn, config);
	mysqldb_set_tls(conn, config);
}

/*
 * Each statement sees what was committed when it began, and nobody waits long
 * for a lock. What a server lacks of the last three it does without.
 */
static int
mysqldb_session(struct mysqldb *db, int64_t timeout)
{
	long long	 seconds = timeout / 2000 < 1 ? 1 :
	    (long long)timeout / 2000;
	char		*sql;
	int		 ret;

	sql = alloc_printf("SET SESSION innodb_lock_wait_timeout = %lld,"
	    " lock_wait_timeout = %lld, wait_timeout = 2147483, autocommit = 0",
	    seconds, seconds);
	ret = mysqldb_exec(db, sql);
	free(sql);
	if (ret == -1 || mysqldb_exec(db, "SET SESSION TRANSACTION ISOLATION"
	    " LEVEL"
	    " READ COMMITTED") == -1 || mysqldb_exec(db, "SET NAMES"
	    " utf8mb4") == -1)
		return -1;
	sql = alloc_printf("SET SESSION idle_transaction_timeout = %lld",
	    seconds * 4 + 1);
	(void)mysqldb_exec(db, sql);
	free(sql);
	return db->fault == MYSQLDB_FAULT_LOST ? -1 : 0;
}

struct mysqldb *
mysqldb_open(const struct value *config, int64_t timeout,
    const struct mysqldb_statement *statement, size_t nstatement, bool *away,
    char *reason, size_t size)
{
	const char	*host = mysqldb_text(config, "host", NULL);
	const char	*name = mysqldb_text(config, "db", "database");
	struct mysqldb	*db;
	char		 place[160];

	*away = true;
	db = alloc_zero(1, sizeof(*db));
	db->statement = statement;
	db->nstatement = nstatement;
	db->prepared = alloc_zero(nstatement * EXACT_MAX,
	    sizeof(db->prepared[0]));
	if ((db->conn = mysql_init(NULL)) == NULL) {
		(void)strlcpy(reason, "the database's library has no memory",
		    size);
		goto fail;
	}
	mysqldb_set(db->conn, config, timeout);
	if (mysql_real_connect(db->conn, host, mysqldb_text(config, "user",
	    NULL),
	    mysqldb_text(config, "passwd", "password"), name,
	    mysqldb_number_of(config, "port", 0),
	    mysqldb_text(config, "unix_socket", NULL),
	    CLIENT_FOUND_ROWS) == NULL) {
		(void)mysqldb_failed(db);
		(void)strlcpy(reason, db->error, size);
		goto fail;
	}
	(void)snprintf(place, sizeof(place), "%.64s on %.80s",
	    name != NULL ? name : "?", host != NULL ? host : "this host");
	str_printable(db->place, sizeof(db->place), place, strlen(place));
	if (mysqldb_session(db, timeout) == 0)
		return db;
	(void)strlcpy(reason, db->error, size);
 fail:
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
		if (db->prepared[i] != NULL)
			(void)mysql_stmt_close(db->prepared[i]);
	if (db->once != NULL)
		(void)mysql_stmt_close(db->once);
	if (db->conn != NULL)
		mysql_close(db->conn);
	free(db->prepared);
	free(db->param);
	free(db->bind);
	free(db);
}

/* --- plain SQL --- */

int
mysqldb_exec(struct mysqldb *db, const char *sql)
{
	MYSQL_RES	*result;

	db->fault = MYSQLDB_NO_FAULT;
	if (mysql_query(db->conn, sql) != 0)
		return mysqldb_failed(db);
	if ((result = mysql_store_result(db->conn)) != NULL)
		mysql_free_result(result);
	return mysql_errno(db->conn) == 0 ? 0 : mysqldb_failed(db);
}

int
mysqldb_number(struct mysqldb *db, const char *sql, int64_t *out)
{
	MYSQL_RES	*result;
	MYSQL_ROW	 row;

	*out = 0;
	db->fault = MYSQLDB_NO_FAULT;
	if (mysql_query(db->conn, sql) != 0 ||
	    (result = mysql_store_result(db->conn)) == NULL)
		return mysqldb_failed(db);
	if ((row = mysql_fetch_row(result)) != NULL && row[0] != NULL)
		(void)num_parse(row[0], strlen(row[0]), INT64_MIN, INT64_MAX,
		    out);
	mysql_free_result(result);
	return 0;
}

int
mysqldb_commit(struct mysqldb *db)
{
	db->fault = MYSQLDB_NO_FAULT;
	db->foreign = false;
	return mysql_commit(db->conn) == 0 ? 0 : mysqldb_failed(db);
}

int
mysqldb_rollback(struct mysqldb *db)
{
	db->foreign = false;
	return mysql_rollback(db->conn) == 0 ? 0 : mysqldb_failed(db);
}

/* --- statements --- */

void
mysqldb_begin(struct mysqldb *db, size_t statement)
{
	db->current = statement;
	db->nparam = 0;
	db->fault = MYSQLDB_NO_FAULT;
}

static struct mysqldb_param *
mysqldb_param(struct mysqldb *db)
{
	if (db->nparam == db->params) {
		db->params = db->params == 0 ? 64 : db->params * 2;
		db->param = alloc_resize(db->param, db->params,
		    sizeof(db->param[0]));
		db->bind = alloc_resize(db->bind, db->params,
		    sizeof(db->bind[0]));
	}
	return &db->param[db->nparam++];
}

void
mysqldb_bind(struct mysqldb *db, int64_t n)
{
	struct mysqldb_param	*p = mysqldb_param(db);

	p->text = NULL;
	p->number = n;
}

void
mysqldb_bind_text(struct mysqldb *db, const char *text, size_t len)
{
	struct mysqldb_param	*p = mysqldb_param(db);

	p->text = text;
	p->len = (unsigned long)len;
}

static MYSQL_STMT *
mysqldb_prepare(struct mysqldb *db, const struct mysqldb_statement *s,
    size_t items)
{
	MYSQL_STMT	*stmt;
	struct str	 sql;
	size_t		 i;
	int		 ret;

	str_init(&sql);
	str_adds(&sql, s->first);
	for (i = 0; i < items && s->item != NULL; i++) {
		str_adds(&sql, i > 0 ? s->between : "");
		str_adds(&sql, s->item);
	}
	str_adds(&sql, s->last != NULL ? s->last : "");
	if ((stmt = mysql_stmt_init(db->conn)) == NULL)
		(void)mysqldb_failed(db);
	else if ((ret = mysql_stmt_prepare(stmt, sql.data,
	    (unsigned long)sql.len)) != 0) {
		(void)mysqldb_failed_statement(db, stmt);
		(void)mysql_stmt_close(stmt);
		stmt = NULL;
	}
	str_clear(&sql);
	return stmt;
}

/*
 * The statement for so many items, which may be for some more, set to *items.
 */
static MYSQL_STMT *
mysqldb_find(struct mysqldb *db, const struct mysqldb_statement *s,
    size_t *items)
{
	MYSQL_STMT	**place;
	size_t		  class = 0, n = 1;

	if (db->once != NULL)
		(void)mysql_stmt_close(db->once);
	db->once = NULL;
	if (s->item == NULL)
		*items = 0;
	else if (s->exact && *items > EXACT_MAX)
		return db->once = mysqldb_prepare(db, s, *items);
	else if (s->exact)
		class = *items - 1;
	else {
		for (; n < *items && class + 1 < CLASSES; n *= 4)
			class++;
		*items = n;
	}
	place = &db->prepared[db->current * EXACT_MAX + class];
	if (*place == NULL)
		*place = mysqldb_prepare(db, s, *items);
	return *place;
}

static void
mysqldb_bind_params(struct mysqldb *db)
{
	struct mysqldb_param	*p;
	MYSQL_BIND		*b;
	size_t			 i;

	for (i = 0; i < db->nparam; i++) {
		p = &db->param[i];
		b = &db->bind[i];
		memset(b, 0, sizeof(*b));
		if (p->text != NULL) {
			/*
			 * The library only reads what is bound for a parameter.
			 */
			memcpy(&b->buffer, &p->text, sizeof(b->buffer));
			b->buffer_type = MYSQL_TYPE_STRING;
			b->buffer_length = p->len;
			b->length = &p->len;
		} else {
			b->buffer = &p->number;
			b->buffer_type = MYSQL_TYPE_LONGLONG;
		}
	}
}

/* An administrator's query may have more columns than are looked at. */
static void
mysqldb_bind_columns(struct mysqldb *db, const char *columns, size_t n)
{
	MYSQL_BIND	*b;
	size_t		 i, named = strlen(columns);

	memset(db->result, 0, sizeof(db->result));
	for (i = 0; i < n; i++) {
		b = &db->result[i];
		b->length = &db->len[i];
		b->is_null = &db->null[i];
		if (i < named && columns[i] == 'n') {
			b->buffer_type = MYSQL_TYPE_LONGLONG;
			b->buffer = &db->number[i];
		} else {
			b->buffer_type = MYSQL_TYPE_STRING;
			b->buffer = db->text[i];
			b->buffer_length = TEXT_MAX;
		}
	}
}

static int
mysqldb_execute(struct mysqldb *db, MYSQL_STMT *stmt, const char *columns)
{
	db->running = stmt;
	mysqldb_bind_params(db);
	if (mysql_stmt_param_count(stmt) != db->nparam ||
	    mysql_stmt_field_count(stmt) > COLUMNS_MAX)
		return mysqldb_fail(db, 0, "too many parameters or columns");
	if ((db->nparam > 0 && mysql_stmt_bind_param(stmt, db->bind) != 0) ||
	    mysql_stmt_execute(stmt) != 0)
		return mysqldb_failed_statement(db, stmt);
	if (columns == NULL)
		return 0;
	mysqldb_bind_columns(db, columns, mysql_stmt_field_count(stmt));
	if (mysql_stmt_bind_result(stmt, db->result) != 0 ||
	    mysql_stmt_store_result(stmt) != 0)
		return mysqldb_failed_statement(db, stmt);
	return 0;
}

int
mysqldb_run(struct mysqldb *db, size_t items)
{
	const struct mysqldb_statement	*s = &db->statement[db->current];
	MYSQL_STMT			*stmt;
	struct mysqldb_param		 copy;
	size_t				 wanted = items, i, each;

	if ((stmt = mysqldb_find(db, s, &wanted)) == NULL)
		return -1;
	/* What there is too much room for is done once more. */
	each = items > 0 ? (mysql_stmt_param_count(stmt) - db->nparam) : 0;
	if (wanted > items && items > 0) {
		each /= wanted - items;
		for (i = 0; i < each * (wanted - items); i++) {
			copy = db->param[db->nparam - each];
			*mysqldb_param(db) = copy;
		}
	}
	return mysqldb_execute(db, stmt, s->columns);
}

int
mysqldb_query(struct mysqldb *db, const struct mysqldb_statement *s,
    const struct mysqldb_text *text, size_t items)
{
	size_t	i, j, each;

	db->fault = MYSQLDB_NO_FAULT;
	db->foreign = true;
	db->nparam = 0;
	if (db->once != NULL)
		(void)mysql_stmt_close(db->once);
	if ((db->once = mysqldb_prepare(db, s, items)) == NULL)
		return -1;
	each = mysql_stmt_param_count(db->once) / items;
	for (i = 0; i < items; i++) {
		mysqldb_bind(db, (int64_t)i);
		for (j = 1; j < each; j++)
			mysqldb_bind_text(db, text[i].bytes, text[i].len);
	}
	return mysqldb_execute(db, db->once, s->columns);
}

int
mysqldb_next(struct mysqldb *db)
{
	switch (mysql_stmt_fetch(db->running)) {
	case 0:
	case MYSQL_DATA_TRUNCATED:
		return 1;
	case MYSQL_NO_DATA:
		(void)mysql_stmt_free_result(db->running);
		return 0;
	default:
		return mysqldb_failed_statement(db, db->running);
	}
}

int64_t
mysqldb_column(const struct mysqldb *db, size_t i)
{
	return db->null[i] ? 0 : (int64_t)db->number[i];
}

const char *
mysqldb_column_text(const struct mysqldb *db, size_t i, size_t *len)
{
	*len = db->len[i] > TEXT_MAX ? TEXT_MAX : (size_t)db->len[i];
	return db->null[i] ? NULL : db->text[i];
}

int64_t
mysqldb_changes(const struct mysqldb *db)
{
	return (int64_t)mysql_stmt_affected_rows(db->running);
}

int64_t
mysqldb_inserted(const struct mysqldb *db)
{
	return (int64_t)mysql_stmt_insert_id(db->running);
}
