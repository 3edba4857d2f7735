#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/reader.h"

/*
 * Readers of sqlite_config, mysql_config and pgsql_config: the keyword
 * arguments of sqlite3.connect, MySQLdb.connect and psycopg2.connect. Keywords
 * that mean something to a C client are checked here and used by the ledger;
 * all others are accepted with a warning.
 */
reader	connection_sqlite;
reader	connection_mysql;
reader	connection_pgsql;

/* The keywords, for the manual's test; NULL after the last. */
const char	*connection_keyword(const char *setting, size_t, bool *used);

#endif
