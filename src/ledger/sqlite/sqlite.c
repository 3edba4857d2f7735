#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ledger/sqlite/sqlite.h"
#include "ledger/sqlite/sqlite_directory.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define SHORT_WAITS	100
#define PROGRESS_STEPS	1000	/* between looks at the clock */

#define LOG_AT		1	/* the log and its index */

static const char *const	suffix[SQLITE_FILES] = { "", "-wal", "-shm" };

/* --- faults --- */

static int
failed(struct sqlite *s, int code)
{
	const char	*text;

	if (code == SQLITE_NOMEM)
		log_fatal("out of memory");
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		s->fault = SQLITE_FAULT_BUSY;
		break;
	case SQLITE_READONLY:
		/* The file was moved or replaced: reading it is useless too. */
		s->fault = code == SQLITE_READONLY_DBMOVED ?
		    SQLITE_FAULT_FILE : SQLITE_FAULT_READONLY;
		break;
	case SQLITE_FULL:
		s->fault = SQLITE_FAULT_FULL;
		break;
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
		s->fault = SQLITE_FAULT_SCHEMA;
		break;
	default:
		/*
		 * SQLITE_PROTOCOL too: a lock that stays held after many tries
		 * may be our own, which is released with the descriptor.
		 */
		s->fault = SQLITE_FAULT_FILE;
	}
	text = s->db != NULL && sqlite3_errcode(s->db) != SQLITE_OK ?
	    sqlite3_errmsg(s->db) : sqlite3_errstr(code);
	str_printable(s->error, sizeof(s->error), text, strlen(text));
	return -1;
}

/* --- the connection --- */

static int
on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite	*s = arg;

	(void)db;
	(void)name;
	s->log_pages = pages;
	return SQLITE_OK;
}

/*
 * The library's own handler sleeps for milliseconds; another daemon's commit or
 * cleaning step holds the lock for less.
 */
static int
on_busy(void *arg, int count)
{
	struct sqlite	*s = arg;
	struct timespec	 pause = { 0, count < SHORT_WAITS ? 100000 : 1000000 };
	int64_t		 now = clock_mono().ns;

	if (count == 0)
		s->busy_since = now;
	if ((now - s->busy_since) / 1000000 >= s->busy_ms)
		return 0;
	(void)nanosleep(&pause, NULL);
	return 1;
}

/* SQLite's result of the first read of the file. */
static int
set_up(struct sqlite *s)
{
	sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_busy_handler(s->db, on_busy, s);
	/*
	 * The triggers are for writes of other programs, so they are off for
	 * ours.
	 */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
	    NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_wal_hook(s->db, on_commit, s);
	return sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_master", NULL,
	    NULL, NULL);
}

struct sqlite *
sqlite_open(int directory, const char *name, int busy_ms,
    const char *const *list, size_t count, enum sqlite_fault *fault,
    char *reason, size_t size)
{
	struct sqlite			*s;
	char				*path;
	size_t				 i;
	int				 code;

	s = alloc_zero(1, sizeof(*s));
	for (i = 0; i < SQLITE_FILES; i++)
		s->file[i].name = alloc_printf("%s%s", name, suffix[i]);
	s->directory = directory;
	s->busy_ms = busy_ms;
	s->list = list;
	s->count = count;
	s->statement = alloc_zero(count, sizeof(s->statement[0]));
	/* One thread: no mutexes and no memory statistics. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite_directory_use(directory) == -1) {
		s->fault = SQLITE_FAULT_FILE;
		(void)strlcpy(reason, "this SQLite has no unix VFS", size);
		goto fail;
	}
	/* Not ":memory:" or a URI, whatever the name is. */
	path = alloc_printf("./%s", name);
	code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
	    "unix");
	free(path);
	if (code == SQLITE_OK)
		code = set_up(s);
	if (code != SQLITE_OK || sqlite_look(s) != SQLITE_FILES_OURS ||
	    !s->file[0].known) {
		if (code == SQLITE_OK)
			code = SQLITE_CANTOPEN;
		(void)failed(s, code);
		(void)strlcpy(reason, s->error, size);
		goto fail;
	}
	return s;
 fail:
	*fault = s->fault;
	sqlite_close(s);
	return NULL;
}

void
sqlite_close(struct sqlite *s)
{
	size_t	i;

	if (s == NULL)
		return;
	for (i = 0; i < s->count; i++)
		(void)sqlite3_finalize(s->statement[i]);
	(void)sqlite3_finalize(s->query);
	(void)sqlite3_close(s->db);
	for (i = 0; i < SQLITE_FILES; i++)
		free(s->file[i].name);
	free(s->statement);
	free(s->query_text);
	free(s);
}

/* --- the files --- */

static bool
is_ours(const struct sqlite *s, size_t i)
{
	struct stat	sb;

	return fstatat(s->directory, s->file[i].name, &sb, 0) == 0 &&
	    sb.st_dev == s->file[i].dev && sb.st_ino == s->file[i].ino;
}

enum sqlite_files
sqlite_look(struct sqlite *s)
{
	struct stat	sb;
	size_t		i;

	for (i = 0; i < SQLITE_FILES; i++) {
		if (s->file[i].known && !is_ours(s, i))
			return i < LOG_AT ? SQLITE_FILES_OTHER :
			    SQLITE_FILES_OTHER_LOG;
		if (s->file[i].known ||
		    fstatat(s->directory, s->file[i].name, &sb, 0) == -1)
			continue;
		s->file[i].dev = sb.st_dev;
		s->file[i].ino = sb.st_ino;
		s->file[i].known = true;
	}
	return SQLITE_FILES_OURS;
}

void
sqlite_unlink_log(struct sqlite *s)
{
	size_t	i;

	for (i = LOG_AT; i < SQLITE_FILES; i++)
		if (s->file[i].known && is_ours(s, i))
			(void)unlinkat(s->directory, s->file[i].name, 0);
}

void
sqlite_distrust(struct sqlite *s)
{
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
	    NULL);
}

int
sqlite_denied(int directory, const char *name, char *which, size_t size)
{
	size_t	i;

	for (i = 0; i <= SQLITE_FILES; i++) {
		/* A missing file can be created, if the directory permits. */
		if (i == SQLITE_FILES)
			(void)strlcpy(which, ".", size);
		else
			(void)snprintf(which, size, "%s%s", name, suffix[i]);
		if (faccessat(directory, which, R_OK | W_OK, 0) == -1 &&
		    (errno == EACCES || errno == EROFS || errno == EPERM))
			return errno;
	}
	return 0;
}

bool
sqlite_is_readonly(struct sqlite *s)
{
	if (sqlite3_db_readonly(s->db, "main") != 1)
		return false;
	(void)failed(s, SQLITE_READONLY);
	return true;
}

/* --- statements that run once --- */

int
sqlite_exec(struct sqlite *s, const char *sql)
{
	int	code;

	code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : failed(s, code);
}

int
sqlite_number(struct sqlite *s, const char *sql, int64_t *out)
{
	sqlite3_stmt	*stmt;
	int		 code;

	if ((code = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL)) !=
	    SQLITE_OK)
		return failed(s, code);
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	else
		(void)failed(s, code == SQLITE_DONE ? SQLITE_ERROR : code);
	(void)sqlite3_finalize(stmt);
	return code == SQLITE_ROW ? 0 : -1;
}

/* --- prepared statements --- */

static sqlite3_stmt *
prepared(struct sqlite *s, size_t n)
{
	int	code;

	if (s->statement[n] != NULL)
		return s->statement[n];
	code = sqlite3_prepare_v3(s->db, s->list[n], -1,
	    SQLITE_PREPARE_PERSISTENT, &s->statement[n], NULL);
	if (code != SQLITE_OK)
		(void)failed(s, code);
	return s->statement[n];
}

/* If the statement cannot be prepared, sqlite_step reports it. */
void
sqlite_bind(struct sqlite *s, size_t n, int at, int64_t value)
{
	(void)sqlite3_bind_int64(prepared(s, n), at, value);
}

void
sqlite_bind_text(struct sqlite *s, size_t n, int at, const char *text,
    size_t len)
{
	(void)sqlite3_bind_text64(prepared(s, n), at, text != NULL ? text : "",
	    len, SQLITE_STATIC, SQLITE_UTF8);
}

void
sqlite_bind_blob(struct sqlite *s, size_t n, int at, const void *bytes,
    size_t len)
{
	(void)sqlite3_bind_blob64(prepared(s, n), at, bytes, len,
	    SQLITE_STATIC);
}

void
sqlite_bind_list(struct sqlite *s, size_t n, const struct store_param *list,
    size_t count)
{
	sqlite3_stmt	*stmt = prepared(s, n);
	size_t		 i;

	for (i = 0; i < count; i++)
		if (list[i].text != NULL)
			(void)sqlite3_bind_text64(stmt, (int)i + 1,
			    list[i].text, list[i].len, SQLITE_STATIC,
			    SQLITE_UTF8);
		else
			(void)sqlite3_bind_int64(stmt, (int)i + 1,
			    list[i].number);
}

int
sqlite_step(struct sqlite *s, size_t n)
{
	sqlite3_stmt	*stmt;
	int		 code;

	if ((stmt = prepared(s, n)) == NULL)
		return -1;
	s->steps++;
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		(void)failed(s, code);
	(void)sqlite3_reset(stmt);
	return code == SQLITE_DONE ? 0 : -1;
}

void
sqlite_reset(struct sqlite *s, size_t n)
{
	(void)sqlite3_reset(s->statement[n]);
}

int64_t
sqlite_column(struct sqlite *s, size_t n, int at)
{
	return sqlite3_column_int64(s->statement[n], at);
}

const char *
sqlite_column_text(struct sqlite *s, size_t n, int at, size_t *len)
{
	const unsigned char	*text;

	text = sqlite3_column_text(s->statement[n], at);
	*len = (size_t)sqlite3_column_bytes(s->statement[n], at);
	return text == NULL ? "" : (const char *)text;
}

const void *
sqlite_column_blob(struct sqlite *s, size_t n, int at, size_t *len)
{
	const void	*bytes;

	bytes = sqlite3_column_blob(s->statement[n], at);
	*len = (size_t)sqlite3_column_bytes(s->statement[n], at);
	return bytes == NULL ? "" : bytes;
}

bool
sqlite_in_transaction(struct sqlite *s)
{
	return sqlite3_get_autocommit(s->db) == 0;
}

int64_t
sqlite_changes(struct sqlite *s)
{
	return sqlite3_changes(s->db);
}

/* The library calls it while a query runs; not 0 ends the query. */
static int
on_progress(void *arg)
{
	return clock_mono().ns >= ((const struct sqlite *)arg)->query_until;
}

int
sqlite_query(struct sqlite *s, const char *sql, int64_t until,
    const char *text, size_t len, char **result)
{
	int	code, i, n;

	*result = NULL;
	if (s->query == NULL || strcmp(s->query_text, sql) != 0) {
		(void)sqlite3_finalize(s->query);
		s->query = NULL;
		free(s->query_text);
		s->query_text = alloc_string(sql);
		code = sqlite3_prepare_v2(s->db, sql, -1, &s->query, NULL);
		if (code != SQLITE_OK)
			return failed(s, code);
		/* Only white space or a comment. */
		if (s->query == NULL)
			return failed(s, SQLITE_ERROR);
	}
	n = sqlite3_bind_parameter_count(s->query);
	for (i = 1; i <= n; i++)
		(void)sqlite3_bind_text64(s->query, i, text, len, SQLITE_STATIC,
		    SQLITE_UTF8);
	s->query_until = until;
	sqlite3_progress_handler(s->db, PROGRESS_STEPS, on_progress, s);
	code = sqlite3_step(s->query);
	sqlite3_progress_handler(s->db, 0, NULL, NULL);
	if (code == SQLITE_ROW && sqlite3_column_text(s->query, 0) != NULL)
		*result = alloc_copy(sqlite3_column_text(s->query, 0),
		    (size_t)sqlite3_column_bytes(s->query, 0));
	else if (code != SQLITE_ROW && code != SQLITE_DONE)
		(void)failed(s, code);
	(void)sqlite3_reset(s->query);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

/* --- the write-ahead log --- */

int
sqlite_checkpoint(struct sqlite *s, bool truncate)
{
	int	code;

	code = sqlite3_wal_checkpoint_v2(s->db, NULL, truncate ?
	    SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK)
		return failed(s, code);
	if (truncate)
		s->log_pages = 0;
	return 0;
}
