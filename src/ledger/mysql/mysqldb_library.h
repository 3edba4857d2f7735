#ifndef MYSQLDB_LIBRARY_H
#define MYSQLDB_LIBRARY_H

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/mysql/mysqldb.h"

/*
 * The differences of the two libraries. MariaDB's has two switches for TLS in
 * place of a mode, and always checks the host's name together with the
 * certificate.
 */
#ifdef LIBMARIADB
#define FLAG	my_bool
#define HAS_SSL_MODE	0
#define HAS_RESTRICTED_AUTH	1
#define SOCKET_OF(conn)	mysql_get_socket(conn)
#else
#define FLAG	bool
#define HAS_SSL_MODE	1
#define HAS_RESTRICTED_AUTH	0
#define SOCKET_OF(conn)	((conn)->net.fd)
#endif

/* An `exact` statement is prepared for each number of items up to this. */
#define EXACT_MAX	64

struct mysqldb_param {
	const char	*text;		/* NULL: it is the number */
	int64_t		 number;
	unsigned long	 len;
	bool		 binary;
};

/* The members of struct mysqldb whose types are the library's. */
struct mysqldb_library {
	MYSQL		*conn;
	MYSQL_STMT	**prepared;	/* EXACT_MAX for each statement */
	MYSQL_STMT	*once;		/* for one use */
	MYSQL_STMT	*running;
	MYSQL_BIND	*bind;		/* parameters */
	size_t		 binds;		/* room */
	MYSQL_BIND	 result[MYSQLDB_COLUMNS];
	FLAG		 null[MYSQLDB_COLUMNS];
};

/* --- mysqldb.c --- */

/* Records the library's error of the connection. Always -1. */
int	mysqldb_failed(struct mysqldb *);

#endif
