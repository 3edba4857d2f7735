#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/alloc.h"
#include "outsider_server.h"

const char	outsider_row[] = "seq";
const char	outsider_compact[] = "VACUUM mail_count";
const char	outsider_first[] = "postgres";
const char	outsider_create[] = "CREATE DATABASE %s";
const char	outsider_changes[] =
	"SELECT value + (SELECT count(*) FROM mail_change) FROM mail_state"
	" WHERE name = 'changes'";

struct outsider {
	PGconn	*conn;
	char	*database;	/* it is connected to */
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

void
outsider_settings(const struct outsider *o, struct settings *settings,
    const char *path)
{
	(void)o;
	outsider_server_config(settings->pgsql_config, "password", "database",
	    path);
}
