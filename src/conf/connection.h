#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/reader.h"

/*
 * sqlite_config, mysql_config, pgsql_config: the keyword arguments of
 * sqlite3.connect, MySQLdb.connect and psycopg2.connect. Those that mean
 * something to a C client are checked here and used by the ledger; the others
 * are accepted with a warning.
 */
reader	connection_sqlite;
reader	connection_mysql;
reader	connection_pgsql;

/* The keywords, for the manual's test: NULL past the last. */
const char	*connection_keyword(const char *setting, size_t, bool *used);

#endif
