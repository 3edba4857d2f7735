#ifndef PGSQL_H
#define PGSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "lib/clock.h"
#include "lib/str.h"

enum pgsql_fault {
	PGSQL_NO_FAULT,
	PGSQL_FAULT_BUSY,	/* lock, deadlock or conflict; retry */
	PGSQL_FAULT_STATEMENT,	/* the statement failed; others may work */
	PGSQL_FAULT_RIGHTS,	/* a privilege is missing */
	PGSQL_FAULT_LOST	/* the connection is unusable */
};

/*
 * One connection to a PostgreSQL server: the only code that calls libpq.
 * Statements are sent in pipelines, so that any number of them takes one round
 * trip. Every wait but those of the functions for the start has a deadline.
 * Every fault is returned. Others may read the members up to `fd`; the rest
 * is for pgsql.c and pgsql_connect.c alone.
 */
struct pgsql {
	enum pgsql_fault	 fault;		/* the last */
	char			 error[256];	/* its text, printable */
	bool			 timed_out;	/* it did not answer in time */
	/* A table, or what depends on it, does not permit the statement. */
	bool			 unfit;
	bool			 exposed;	/* this libpq would show a
						   server the password */
	char			 place[160];	/* "database on host" */
	char			 usual[48];	/* SQL: the statement_timeout */
	/* For poll(2). Between calls, input means that it was closed. */
	int			 fd;

	struct pg_conn		*conn;
	struct pg_result	*result;	/* of the last pgsql_take */
	int64_t			 timeout;	/* ms */
	struct mono		 deadline;
	/* --- the pipeline --- */
	size_t			 put;		/* statements */
	size_t			 taken;		/* results */
	bool			 synced;	/* its sync is sent */
	bool			 each;		/* a sync after each statement,
						   so that a fault aborts no
						   other */
	bool			 failed;	/* a statement of it failed */

	int64_t			 process;	/* of the server */
	int			 beside;	/* pgsql_watch's fd, or -1 */
	void			(*input)(void *);
	void			*arg;
};

/*
 * Connects to the first host that takes writes, or to the server of `first`
 * unless that is NULL, and sets up the session. A pooler in transaction mode is
 * refused; beside `first` it is not looked for again. NULL with a printable
 * reason; *away: a later attempt may succeed. db_timeout is for each host here
 * and for each pipeline later. Unless db_insecure_auth, the password is not
 * shown to a server that is neither verified nor reached by a UNIX socket.
 */
struct pgsql	*pgsql_open(const struct settings *, const struct pgsql *first,
		    bool *away, char *reason, size_t);
void		 pgsql_close(struct pgsql *);

/* Whether the server has closed the connection. Call it only between calls. */
bool		 pgsql_ended(struct pgsql *);

/* In SQL: whether the server is of this version, 140000 for 14, or later. */
#define PGSQL_SINCE(version)						\
	"current_setting('server_version_num')::int >= " #version

/* --- at the start: no deadline but the server's lock_timeout --- */

int	pgsql_exec(struct pgsql *, const char *sql);

/* The first column of the first row; 0 without a row. */
int	pgsql_number(struct pgsql *, const char *sql, int64_t *);
int	pgsql_prepare(struct pgsql *, const char *const *statements, size_t);

/* --- parameters --- */

/* A column of values, as int8[], text[] or bytea[]. The caller owns `bytes`. */
struct pgsql_array {
	struct str	bytes;
	uint32_t	count;
};

void	pgsql_array_empty(struct pgsql_array *);
void	pgsql_array_number(struct pgsql_array *, int64_t);
void	pgsql_array_text(struct pgsql_array *, const char *, size_t);
void	pgsql_array_bytes(struct pgsql_array *, const void *, size_t);

#define PGSQL_PARAMS	20

struct pgsql_params {
	int		 count;
	const char	*value[PGSQL_PARAMS];
	int		 length[PGSQL_PARAMS];
	int		 format[PGSQL_PARAMS];
	char		 digits[PGSQL_PARAMS][24];
};

/* What they point to must stay valid until pgsql_put. */
void	pgsql_add_array(struct pgsql_params *, const struct pgsql_array *);
void	pgsql_add_number(struct pgsql_params *, int64_t);
void	pgsql_add_text(struct pgsql_params *, const char *, size_t);

/* A value of any type, as the server reads it in SQL. */
void	pgsql_add_literal(struct pgsql_params *, const char *);

/*
 * --- a pipeline: begin, put …, then as many takes, end ---
 *
 * Without parameters a statement is put with NULL.
 */

void	pgsql_begin(struct pgsql *);
void	pgsql_put(struct pgsql *, size_t statement,
    const struct pgsql_params *);

/*
 * Queues a query that is not prepared; a fault in it does not abort the
 * statements after it.
 */
void	pgsql_put_query(struct pgsql *, const char *sql,
    const struct pgsql_params *);

/* The result of the next statement: its number of rows, or -1. */
int	pgsql_take(struct pgsql *);

/* A column of the rows taken last. NULL is read as 0, or returned as NULL. */
int64_t		 pgsql_column(const struct pgsql *, int row, int column);
const char	*pgsql_column_text(const struct pgsql *, int row, int column,
		    size_t *len);

/* A bytea; replaces the content of the buffer. */
void		 pgsql_column_bytes(const struct pgsql *, int row, int column,
		    struct str *);

/* The number of rows that the statement taken last changed. */
int64_t	pgsql_changes(const struct pgsql *);

/*
 * Takes the remaining results. 0, or -1 if any statement of the pipeline
 * failed.
 */
int	pgsql_end(struct pgsql *);

/* --- one statement that nobody waits for, without parameters or rows --- */

int	pgsql_ask(struct pgsql *, size_t statement);

/*
 * 1: it is done; 0: not yet; -1: a fault. With `wait`, waits until it is done.
 */
int	pgsql_answered(struct pgsql *, bool wait);

/*
 * If the other connection waits for a synchronous standby, ends that wait,
 * which otherwise outlives the connection. 1: it did; 0: it does not wait for
 * one; -1: unknown.
 */
int	pgsql_end_wait(struct pgsql *, const struct pgsql *other);

/*
 * Calls `input` when there is input at `fd` while this connection waits for an
 * answer. -1 in place of `fd` ends that.
 */
void	pgsql_watch(struct pgsql *, int fd, void (*input)(void *), void *arg);

#endif
