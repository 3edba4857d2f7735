#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "outsider.h"

#define TEXT_MAX	65536

const char	outsider_row[] = "rowid";
const char	outsider_compact[] = "VACUUM";

struct outsider {
	pid_t	pid;
	int	fd;
};

static char	path[TEXT_MAX], sql[TEXT_MAX], answer[TEXT_MAX];
static sqlite3	*db;
static char	 opened[TEXT_MAX];
static ino_t	 inode;

/* The connection is kept as long as it is the same file. */
static int
outsider_open(void)
{
	struct stat	sb;

	if (db != NULL && stat(path, &sb) == 0 && sb.st_ino == inode &&
	    strcmp(path, opened) == 0)
		return SQLITE_OK;
	(void)sqlite3_close(db);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		return SQLITE_CANTOPEN;
	(void)sqlite3_busy_timeout(db, 10000);
	(void)sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL,
	    NULL);
	(void)strlcpy(opened, path, sizeof(opened));
	if (stat(path, &sb) == 0)
		inode = sb.st_ino;
	return SQLITE_OK;
}

/*
 * A statement after the other; the answer begins with '+', or '-' for a fault.
 */
static void
outsider_run(void)
{
	const unsigned char	*text;
	const char		*left = sql;
	sqlite3_stmt		*stmt;
	int			 code;

	(void)snprintf(answer, sizeof(answer), "+");
	code = outsider_open();
	while (code == SQLITE_OK && *left != '\0') {
		code = sqlite3_prepare_v2(db, left, -1, &stmt, &left);
		if (code != SQLITE_OK || stmt == NULL)
			continue;
		while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
			text = sqlite3_column_text(stmt, 0);
			(void)snprintf(answer, sizeof(answer), "+%s",
			    text == NULL ? "" : (const char *)text);
		}
		code = sqlite3_finalize(stmt);
	}
	if (code != SQLITE_OK)
		(void)snprintf(answer, sizeof(answer), "-%s",
		    sqlite3_errmsg(db));
}

/* A message is a length and so many bytes. -1 at the end of file. */
static int
get(int fd, char *text)
{
	uint32_t	len;
	size_t		at;
	ssize_t		n;

	if (read(fd, &len, sizeof(len)) != (ssize_t)sizeof(len) ||
	    len >= TEXT_MAX)
		return -1;
	for (at = 0; at < len; at += (size_t)n)
		if ((n = read(fd, text + at, len - at)) <= 0)
			return -1;
	text[len] = '\0';
	return 0;
}

static int
put(int fd, const char *text)
{
	uint32_t	len = (uint32_t)strlen(text);
	size_t		at;
	ssize_t		n;

	if (write(fd, &len, sizeof(len)) != (ssize_t)sizeof(len))
		return -1;
	for (at = 0; at < len; at += (size_t)n)
		if ((n = write(fd, text + at, len - at)) <= 0)
			return -1;
	return 0;
}

struct outsider *
outsider_new(void)
{
	struct outsider	*o;
	int		 fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	o = calloc(1, sizeof(*o));
	assert_non_null(o);
	o->fd = fd[0];
	o->pid = fork();
	assert_int_not_equal(o->pid, -1);
	if (o->pid != 0) {
		close(fd[1]);
		return o;
	}
	close(fd[0]);
	while (get(fd[1], path) == 0 && get(fd[1], sql) == 0) {
		outsider_run();
		if (put(fd[1], answer) == -1)
			break;
	}
	_exit(0);
}

void
outsider_free(struct outsider *o)
{
	close(o->fd);
	(void)waitpid(o->pid, NULL, 0);
	free(o);
}

char *
outsider_text(struct outsider *o, const char *file, const char *text)
{
	char	*copy;

	assert_int_equal(put(o->fd, file), 0);
	assert_int_equal(put(o->fd, text), 0);
	assert_int_equal(get(o->fd, answer), 0);
	if (answer[0] != '+')
		fail_msg("%s: %s", text, answer + 1);
	copy = strdup(answer + 1);
	assert_non_null(copy);
	return copy;
}

/* --- databases --- */

char *
outsider_make(struct outsider *o, const char *dir)
{
	(void)o;
	return alloc_printf("%s/db.sqlite3", dir);
}

void
outsider_drop(struct outsider *o, const char *file)
{
	(void)o;
	(void)unlink(file);
}

void
outsider_settings(const struct outsider *o, struct settings *settings,
    const char *file)
{
	(void)o;
	value_set(settings->sqlite_config, value_str("database", 8),
	    value_str(file, strlen(file)));
}

void
outsider_make_small(void)
{
	store_sizes.tail = 25;
	store_sizes.chunk = 60;
	store_sizes.load = 90;
	store_sizes.recent = 40;
}

bool
outsider_all_happened(struct outsider *o, const char *file)
{
	return outsider_sql(o, file, "SELECT max(run) FROM mail_run") > 5 &&
	    outsider_sql(o, file, "SELECT value FROM mail_state"
	    " WHERE name = 'changes'") > 20;
}
