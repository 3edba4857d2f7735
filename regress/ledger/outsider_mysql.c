#include <mysql.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ledger/sums.h"
#include "lib/alloc.h"
#include "outsider.h"

const char	outsider_row[] = "seq";
const char	outsider_compact[] = "OPTIMIZE TABLE mail_count";

struct outsider {
	MYSQL	*conn;
	int	 made;
};

struct outsider *
outsider_new(void)
{
	struct outsider	*o;
	const char	*port = getenv("RIG_PORT");

	assert_non_null(port);
	o = alloc_zero(1, sizeof(*o));
	assert_non_null(o->conn = mysql_init(NULL));
	(void)mysql_options(o->conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (mysql_real_connect(o->conn, "127.0.0.1", getenv("RIG_USER"),
	    getenv("RIG_PASSWORD"), NULL, (unsigned int)strtoul(port, NULL, 10),
	    NULL, CLIENT_MULTI_STATEMENTS) == NULL)
		fail_msg("%s", mysql_error(o->conn));
	return o;
}

void
outsider_free(struct outsider *o)
{
	mysql_close(o->conn);
	free(o);
}

/* The first column of the last row of what was asked last, or NULL. */
static char *
outsider_row_text(struct outsider *o)
{
	MYSQL_RES	*result;
	MYSQL_ROW	 row;
	char		*copy = NULL;

	if ((result = mysql_store_result(o->conn)) == NULL)
		return NULL;
	while ((row = mysql_fetch_row(result)) != NULL) {
		free(copy);
		copy = alloc_string(row[0] == NULL ? "" : row[0]);
	}
	mysql_free_result(result);
	return copy;
}

char *
outsider_text(struct outsider *o, const char *path, const char *sql)
{
	char	*text = NULL, *next;
	int	 more;

	if (path != NULL && mysql_select_db(o->conn, path) != 0)
		fail_msg("%s: %s", path, mysql_error(o->conn));
	more = mysql_query(o->conn, sql);
	while (more == 0) {
		if ((next = outsider_row_text(o)) != NULL) {
			free(text);
			text = next;
		}
		more = mysql_next_result(o->conn);
	}
	if (mysql_errno(o->conn) != 0)
		fail_msg("%s: %s", sql, mysql_error(o->conn));
	return text != NULL ? text : alloc_string("");
}

int64_t
outsider_sql(struct outsider *o, const char *path, const char *sql)
{
	char	*s;
	int64_t	 n;

	s = outsider_text(o, path, sql);
	n = strtoll(s, NULL, 10);
	free(s);
	return n;
}

/* --- databases --- */

char *
outsider_make(struct outsider *o, const char *dir)
{
	char	*path, *sql;

	(void)dir;
	path = alloc_printf("rig_%d_%d", (int)getpid(), o->made++);
	sql = alloc_printf("CREATE DATABASE %s CHARACTER SET utf8mb4", path);
	(void)outsider_sql(o, NULL, sql);
	free(sql);
	return path;
}

void
outsider_drop(struct outsider *o, const char *path)
{
	char	*sql;

	sql = alloc_printf("DROP DATABASE %s", path);
	(void)outsider_sql(o, NULL, sql);
	free(sql);
}

void
outsider_settings(const struct outsider *o, struct settings *settings,
    const char *path)
{
	const char	*text[][2] = {
		{ "host", "127.0.0.1" },
		{ "port", getenv("RIG_PORT") },
		{ "user", getenv("RIG_USER") },
		{ "passwd", getenv("RIG_PASSWORD") },
		{ "db", path }
	};
	size_t		 i;

	(void)o;
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		assert_non_null(text[i][1]);
		value_set(settings->mysql_config,
		    value_str(text[i][0], strlen(text[i][0])),
		    value_str(text[i][1], strlen(text[i][1])));
	}
}

void
outsider_make_small(void)
{
	sums_sizes.rows = 15;
	sums_sizes.part = 10;
	sums_sizes.piece = sums_sizes.least = 20;
	sums_sizes.recent = 20;
}

bool
outsider_all_happened(struct outsider *o, const char *path)
{
	return outsider_sql(o, path, "SELECT max(part) FROM mail_sums") > 0 &&
	    outsider_sql(o, path, "SELECT value FROM mail_state"
	    " WHERE name = 'changes'") > 20;
}
