#ifndef MYSQLDB_H
#define MYSQLDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "lib/str.h"

enum mysqldb_fault {
	MYSQLDB_NO_FAULT,
	MYSQLDB_FAULT_BUSY,	/* lock wait or deadlock; retry */
	MYSQLDB_FAULT_STATEMENT, /* the statement failed; others may work */
	MYSQLDB_FAULT_EXISTS,	/* another daemon made or dropped it */
	MYSQLDB_FAULT_TABLE,	/* the table cannot be altered as needed */
	MYSQLDB_FAULT_RIGHTS,	/* a privilege is missing */
	MYSQLDB_FAULT_LOST	/* the connection is unusable */
};

/*
 * The SQL is `first`, then `item` once for each item, with `between` in
 * between, then `last`. The parameters are those of `first`, then those of each
 * item, however many there are: the statement is executed as often as needed,
 * and not at all without an item. If `item` is NULL, it is `first` alone and is
 * executed once. `columns` has a letter for each column of the result: n, a
 * number; t, a text of up to 4096 bytes, or a blob. `exact`: each item is
 * handled exactly once; other statements may handle an item twice.
 */
struct mysqldb_statement {
	const char	*first;
	const char	*item;
	const char	*between;
	const char	*last;
	const char	*columns;	/* NULL: no result */
	bool		 exact;
};

/* A list of parameters. It begins as zeros; its owner frees `param`. */
struct mysqldb_params {
	struct mysqldb_param	*param;
	size_t			 count;
	size_t			 room;
};

#define MYSQLDB_COLUMNS	20
#define MYSQLDB_TEXT	4096

/*
 * One connection to a MySQL or MariaDB server: the only code that calls the
 * client library, MySQL's or MariaDB's. A statement about many items is
 * prepared for a number of items and handles them in one round trip. Every
 * fault is returned, and told by the first two members. Everything between two
 * calls of mysqldb_commit or mysqldb_rollback is one transaction.
 */
struct mysqldb {
	enum mysqldb_fault	 fault;		/* the last */
	char			 error[256];	/* its text, printable */
	char			 place[160];	/* "database on host" */
	int			 fd;		/* for poll(2) */
	int64_t			 changes;	/* rows, last statement */
	/* How many prepared statements without a result have run. */
	int64_t			 writes;
	/*
	 * A node of a Galera cluster may roll a transaction back in favour of
	 * another node's. If it does so while it prepares a statement, it
	 * reports no error, and the next statement begins a new transaction,
	 * without the locks. So statements are to be prepared outside of
	 * transactions there: with `outside`, one that had to be prepared
	 * within a transaction fails with MYSQLDB_FAULT_BUSY and sets `inside`.
	 * It is prepared then, and the transaction has to begin again.
	 */
	bool			 outside;
	bool			 inside;

	/* All others are for mysqldb.c and mysqldb_connect.c alone. */
	struct mysqldb_library	*lib;
	int64_t			 timeout;	/* ms */
	const struct mysqldb_statement	*statement;
	size_t			 nstatement;
	size_t			 current;
	struct mysqldb_params	*params;	/* the statement's */
	struct mysqldb_params	 bound;		/* by mysqldb_bind */
	bool			 ran;		/* once, since begin */
	size_t			 done;		/* of params */
	size_t			 items;		/* last executed */
	long long		 number[MYSQLDB_COLUMNS];
	char			 text[MYSQLDB_COLUMNS][MYSQLDB_TEXT];
	unsigned long		 len[MYSQLDB_COLUMNS];
	bool			 foreign;	/* an administrator's query */
	bool			 milliseconds;	/* mysqldb_query_bound uses
						   MySQL's variable */
	const struct mysqldb	*beside;	/* mysqldb_watch */
	void			(*input)(void *);
	void			*arg;
	size_t			 host;	/* which of the configured list, counted
					   from its end */
};

/*
 * Connects and sets up the session: with the host of `first`, unless that is
 * NULL. NULL with a printable reason; *away: a later attempt may succeed.
 * `timeout` is in milliseconds; the library uses whole seconds. Unless
 * db_insecure_auth, the password is not shown to a server that is neither
 * verified nor reached by a UNIX socket.
 */
struct mysqldb	*mysqldb_open(const struct settings *, int64_t timeout,
		    const struct mysqldb *first,
		    const struct mysqldb_statement *, size_t, bool *away,
		    char *reason, size_t);
void		 mysqldb_close(struct mysqldb *);

/*
 * Between calls, input may mean that the server closed the connection: tells
 * whether it did.
 */
bool		 mysqldb_ended(struct mysqldb *);

/* --- plain SQL, at the start --- */

int	mysqldb_exec(struct mysqldb *, const char *sql);

/* Runs the statement: the first column of the first row; 0 without a row. */
int	mysqldb_number(struct mysqldb *, const char *sql, int64_t *);

/* --- parameters --- */

/*
 * The bytes must stay valid until the statement has run, or its rows are
 * fetched.
 */
void	mysqldb_add(struct mysqldb_params *, int64_t);
void	mysqldb_add_text(struct mysqldb_params *, const char *, size_t);

/* Runs a statement without a result, with these parameters. 0 or -1. */
int	mysqldb_run_with(struct mysqldb *, size_t statement,
	    struct mysqldb_params *);

/* --- statements: begin, bind …, then run, or next … for a result --- */

void	mysqldb_begin(struct mysqldb *, size_t statement);
void	mysqldb_bind(struct mysqldb *, int64_t);
void	mysqldb_bind_text(struct mysqldb *, const char *, size_t);
void	mysqldb_bind_bytes(struct mysqldb *, const void *, size_t);

/* Runs a statement without a result. 0 or -1. */
int	mysqldb_run(struct mysqldb *);

/*
 * Fetches the next row; runs the statement when that is needed. 1; 0: no more;
 * -1: a fault.
 */
int	mysqldb_next(struct mysqldb *);
int64_t		 mysqldb_column(const struct mysqldb *, size_t);
const char	*mysqldb_column_text(const struct mysqldb *, size_t,
    size_t *len);

/* A blob of any length; replaces the content of the buffer. 0 or -1. */
int		 mysqldb_column_bytes(struct mysqldb *, size_t, struct str *);

/*
 * The last AUTO_INCREMENT number that the statement gave out, if these are
 * `step` apart.
 */
int64_t	mysqldb_inserted(const struct mysqldb *, int64_t step);

/*
 * Ends each administrator's query after so many milliseconds, with
 * MYSQLDB_FAULT_BUSY; 0: no longer. 0 or -1.
 */
int	mysqldb_query_bound(struct mysqldb *, int64_t ms);

/*
 * Prepares an administrator's query, and runs it, perhaps several times, with
 * the parameters that were bound since. *params: how many it has.
 */
int	mysqldb_query_prepare(struct mysqldb *, const char *, size_t len,
	    size_t *params);
int	mysqldb_query_run(struct mysqldb *, const char *columns);

/* Ends a query that ran: discards its other rows and results. 0 or -1. */
int	mysqldb_query_over(struct mysqldb *);

/* 0, or -1. After a fault the transaction is over, or the connection lost. */
int	mysqldb_commit(struct mysqldb *);
int	mysqldb_rollback(struct mysqldb *);

/*
 * A commit in two steps. mysqldb_commit_begin sends it. mysqldb_committed: 1,
 * it succeeded; -1, it failed; 0, without `wait`: it is not answered yet. Call
 * no other function of this connection in between.
 */
int	mysqldb_commit_begin(struct mysqldb *);
int	mysqldb_committed(struct mysqldb *, bool wait);

/* Whether there is input from the server. */
bool	mysqldb_input(const struct mysqldb *);

/*
 * After each prepared statement calls the function if there is input of another
 * connection; NULL: of none.
 */
void	mysqldb_watch(struct mysqldb *, const struct mysqldb *,
	    void (*input)(void *), void *);

#endif
