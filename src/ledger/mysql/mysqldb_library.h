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

#define COLUMNS_MAX	20
#define TEXT_MAX	4096
/* An `exact` statement is prepared for each number of items up to this. */
#define EXACT_MAX	64

struct mysqldb_param {
	const char	*text;		/* NULL: it is the number */
	int64_t		 number;
	unsigned long	 len;
	bool		 binary;
};

struct mysqldb {
	MYSQL				*conn;
	const struct mysqldb_statement	*statement;
	size_t				 nstatement;
	MYSQL_STMT			**prepared;	/* EXACT_MAX for each */
	MYSQL_STMT			*once;		/* for one use */
	MYSQL_STMT			*running;
	size_t				 current;
	struct mysqldb_params		*params;	/* the statement's */
	struct mysqldb_params		 bound;		/* by mysqldb_bind */
	MYSQL_BIND			*bind;
	size_t				 binds;		/* room */
	bool				 ran;		/* once, since begin */
	size_t				 done;		/* of params */
	size_t				 items;		/* last executed */
	int64_t				 changes;
	MYSQL_BIND			 result[COLUMNS_MAX];
	long long			 number[COLUMNS_MAX];
	char				 text[COLUMNS_MAX][TEXT_MAX];
	unsigned long			 len[COLUMNS_MAX];
	FLAG				 null[COLUMNS_MAX];
	/* the running statement is an administrator's query */
	bool				 foreign;
	bool				 milliseconds;	/* MySQL's bound */
	/* mysqldb_prepare_outside was called; a statement broke it. */
	bool				 outside;
	bool				 inside;
	int64_t				 writes;	/* without a result */
	const struct mysqldb		*beside;	/* mysqldb_watch */
	void				(*input)(void *);
	void				*arg;
	enum mysqldb_fault		 fault;
	char				 error[256];
	char				 place[160];
	/* The host to use, counted from the end of the list; 0: any. */
	size_t				 host;
};

/* --- mysqldb.c --- */

/* Records the library's error of the connection. Always -1. */
int	mysqldb_failed(struct mysqldb *);

#endif
