#include <libpq-fe.h>
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

#define FIRST	"postgres"	/* the database that is there */

const char	outsider_row[] = "seq";
const char	outsider_compact[] = "VACUUM mail_count";

struct outsider {
	PGconn	*conn;
	char	*database;	/* it is connected to */
	int	 made;
};

/* A connection knows one database. */
static void
outsider_connect(struct outsider *o, const char *database)
{
	const char	*name[] = {
		"host", "port", "user", "password", "dbname", NULL
	};
	const char	*value[] = {
		"127.0.0.1", getenv("RIG_PORT"), getenv("RIG_USER"),
		getenv("RIG_PASSWORD"), database, NULL
	};

	if (o->database != NULL && strcmp(o->database, database) == 0)
		return;
	PQfinish(o->conn);
	free(o->database);
	o->conn = PQconnectdbParams(name, value, 0);
	o->database = alloc_string(database);
	if (PQstatus(o->conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(o->conn));
	PQclear(PQexec(o->conn, "SET client_min_messages = error"));
}

struct outsider *
outsider_new(void)
{
	return alloc_zero(1, sizeof(struct outsider));
}

void
outsider_free(struct outsider *o)
{
	PQfinish(o->conn);
	free(o->database);
	free(o);
}

char *
outsider_text(struct outsider *o, const char *path, const char *sql)
{
	PGresult	*result;
	char		*copy;
	int		 rows = 0;

	outsider_connect(o, path);
	result = PQexec(o->conn, sql);
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
		rows = PQntuples(result);
		break;
	case PGRES_COMMAND_OK:
		break;
	default:
		fail_msg("%s: %s", sql, PQerrorMessage(o->conn));
	}
	copy = alloc_string(rows == 0 ? "" : PQgetvalue(result, rows - 1, 0));
	PQclear(result);
	return copy;
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
	sql = alloc_printf("CREATE DATABASE %s", path);
	(void)outsider_sql(o, FIRST, sql);
	free(sql);
	return path;
}

void
outsider_drop(struct outsider *o, const char *path)
{
	char	*sql;

	sql = alloc_printf("DROP DATABASE %s", path);
	(void)outsider_sql(o, FIRST, sql);
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
		{ "password", getenv("RIG_PASSWORD") },
		{ "database", path }
	};
	size_t		 i;

	(void)o;
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		assert_non_null(text[i][1]);
		value_set(settings->pgsql_config,
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
	sums_sizes.news = 25;
}

bool
outsider_all_happened(struct outsider *o, const char *path)
{
	return outsider_sql(o, path, "SELECT max(part) FROM mail_sums") > 0 &&
	    outsider_sql(o, path, "SELECT value FROM mail_state"
	    " WHERE name = 'changes'") > 20;
}
