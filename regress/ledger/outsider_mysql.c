#include <mysql.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/alloc.h"
#include "outsider_server.h"

const char	outsider_row[] = "seq";
const char	outsider_compact[] = "OPTIMIZE TABLE mail_count";
const char	outsider_first[] = "mysql";
const char	outsider_create[] = "CREATE DATABASE %s CHARACTER SET utf8mb4";
const char	outsider_changes[] =
	"SELECT value + (SELECT coalesce(sum(n), 0) FROM mail_change)"
	" FROM mail_state WHERE name = 'changes'";

struct outsider {
	MYSQL	*conn;
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

void
outsider_settings(const struct outsider *o, struct settings *settings,
    const char *path)
{
	(void)o;
	outsider_server_config(settings->mysql_config, "passwd", "db", path);
}
