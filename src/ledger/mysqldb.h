#ifndef MYSQLDB_H
#define MYSQLDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/value.h"
#include "lib/str.h"

/*
 * One connection to a MySQL or MariaDB server: the only place that knows the
 * library, which may be MySQL's or MariaDB's. A statement that is about many
 * things is prepared for a number of them and does them in one round trip.
 * Every fault is an answer: the kind in mysqldb_fault(), the words in
 * mysqldb_error(). Between calls of mysqldb_commit and mysqldb_rollback all is
 * one transaction.
 */
struct mysqldb;

enum mysqldb_fault {
	MYSQLDB_NO_FAULT,
	MYSQLDB_FAULT_BUSY,	/* a lock, a deadlock; try again */
	MYSQLDB_FAULT_STATEMENT, /* this one does not work; others may */
	MYSQLDB_FAULT_TABLE,	/* nor can this one be altered as it must be */
	MYSQLDB_FAULT_RIGHTS,	/* it never will until somebody grants it */
	MYSQLDB_FAULT_LOST	/* the connection is of no use any more */
};

/*
 * `first`, then `item` as often as there are things, `between` them, then
 * `last`. Parameters are those of `first`, then those of each item. `columns`
 * has a letter for each column of the result: n, a number, or t, a text of up
 * to 4096 bytes, or a blob. `exact`: every item is done once; those of others
 * may be done twice.
 */
struct mysqldb_statement {
	const char	*first;
	const char	*item;
	const char	*between;
	const char	*last;
	const char	*columns;	/* NULL: no result */
	bool		 exact;
};

/*
 * Connects and sets the session up. NULL with a printable reason; *away: it may
 * be another time. `timeout` in milliseconds, of which the library takes whole
 * seconds. Unless `insecure`, a server that is not verified and not reached by
 * a UNIX socket is not shown the password.
 */
struct mysqldb	*mysqldb_open(const struct value *config, int64_t timeout,
		    bool insecure, const struct mysqldb_statement *, size_t,
		    bool *away, char *reason, size_t);
void		 mysqldb_close(struct mysqldb *);
enum mysqldb_fault mysqldb_fault(const struct mysqldb *);
const char	*mysqldb_error(const struct mysqldb *);

/* Where it is connected to, "database on host", printable. */
const char	*mysqldb_place(const struct mysqldb *);

/*
 * The descriptor, for poll(2): when nothing is asked, input may be the end. The
 * second tells whether it is.
 */
int	mysqldb_fd(const struct mysqldb *);
bool	mysqldb_ended(struct mysqldb *);

/* --- plain SQL, at the start --- */

int	mysqldb_exec(struct mysqldb *, const char *sql);

/* The first column of the first row; 0 without a row. */
int	mysqldb_number(struct mysqldb *, const char *sql, int64_t *);

/* --- statements: begin, bind, run, next … --- */

void	mysqldb_begin(struct mysqldb *, size_t statement);
void	mysqldb_bind(struct mysqldb *, int64_t);

/* The bytes must stay until the statement was run. */
void	mysqldb_bind_text(struct mysqldb *, const char *, size_t);
void	mysqldb_bind_bytes(struct mysqldb *, const void *, size_t);

/* With so many items, of which there is a most. 0 or -1. */
int	mysqldb_run(struct mysqldb *, size_t items);
size_t	mysqldb_most(const struct mysqldb *, size_t statement);

/* The next row: 1; 0: no more; -1. */
int	mysqldb_next(struct mysqldb *);
int64_t		 mysqldb_column(const struct mysqldb *, size_t);
const char	*mysqldb_column_text(const struct mysqldb *, size_t,
    size_t *len);

/* A blob of any length, in place of what the buffer holds. 0 or -1. */
int		 mysqldb_column_bytes(struct mysqldb *, size_t, struct str *);

/*
 * Rows that the last statement changed; the first number that it gave to a row.
 */
int64_t	mysqldb_changes(const struct mysqldb *);
int64_t	mysqldb_inserted(const struct mysqldb *);

/*
 * A statement that is not prepared beforehand; every one of its parameters is
 * `text` of that length, but the first of each item, which is the item's
 * number. Rows have the columns "nt".
 */
struct mysqldb_text {
	const char	*bytes;
	size_t		 len;
};
int	mysqldb_query(struct mysqldb *, const struct mysqldb_statement *,
	    const struct mysqldb_text *, size_t items);

/*
 * The same for one that is an administrator's own, word for word: prepared
 * once, then run for one text at a time. The column of a row is a text.
 */
int	mysqldb_query_prepare(struct mysqldb *, const char *, size_t len);
int	mysqldb_query_run(struct mysqldb *, const struct mysqldb_text *);

/* Takes what is left of its rows, and of any further results. */
int	mysqldb_query_over(struct mysqldb *);

/* 0, or -1; after a fault the connection is out of the transaction, or lost. */
int	mysqldb_commit(struct mysqldb *);
int	mysqldb_rollback(struct mysqldb *);

#endif
