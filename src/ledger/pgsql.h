#ifndef PGSQL_H
#define PGSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/value.h"
#include "lib/str.h"

/*
 * One connection to a PostgreSQL server: the only place that knows libpq.
 * Statements go out in pipelines, so that any number of them costs one round
 * trip. Every wait has a deadline; every fault is an answer: the kind in
 * pgsql_fault(), the words in pgsql_error().
 */
struct pgsql;

enum pgsql_fault {
	PGSQL_NO_FAULT,
	PGSQL_FAULT_BUSY,	/* a lock, a deadlock, a conflict; try again */
	PGSQL_FAULT_STATEMENT,	/* this one does not work; others may */
	PGSQL_FAULT_RIGHTS,	/* it never will until somebody grants it */
	PGSQL_FAULT_LOST	/* the connection is of no use any more */
};

/*
 * Connects to the first of the hosts that takes writes, and sets the session
 * up. NULL with a printable reason; *away: it may be another time. `timeout` in
 * milliseconds, for each host here and for each pipeline later. Unless
 * `insecure`, a server that is not verified and not reached by a UNIX socket is
 * not shown the password.
 */
struct pgsql	*pgsql_open(const struct value *config, int64_t timeout,
		    bool insecure, bool *away, char *reason, size_t);
void		 pgsql_close(struct pgsql *);
enum pgsql_fault pgsql_fault(const struct pgsql *);
const char	*pgsql_error(const struct pgsql *);

/* Where it is connected to, "database on host", printable. */
const char	*pgsql_place(const struct pgsql *);

/* Whether this libpq would show the password to a server that asks for it. */
bool		 pgsql_exposed(const struct pgsql *);

/* The descriptor, for poll(2): when nothing is asked, input is the end. */
int		 pgsql_fd(const struct pgsql *);

/*
 * Whether the server has closed the connection. Not while something is asked.
 */
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

/* A column of values, as int8[], text[] or bytea[]. */
struct pgsql_array {
	struct str	bytes;
	uint32_t	count;
};

void	pgsql_array_init(struct pgsql_array *);
void	pgsql_array_clear(struct pgsql_array *);	/* frees */
void	pgsql_array_empty(struct pgsql_array *);
void	pgsql_array_number(struct pgsql_array *, int64_t);
void	pgsql_array_text(struct pgsql_array *, const char *, size_t);
void	pgsql_array_bytes(struct pgsql_array *, const void *, size_t);

#define PGSQL_PARAMS	8

struct pgsql_params {
	int		 count;
	const char	*value[PGSQL_PARAMS];
	int		 length[PGSQL_PARAMS];
	int		 format[PGSQL_PARAMS];
	char		 digits[PGSQL_PARAMS][24];
};

/* What they point to must stay until the statement is put. */
void	pgsql_add_array(struct pgsql_params *, const struct pgsql_array *);
void	pgsql_add_number(struct pgsql_params *, int64_t);
void	pgsql_add_text(struct pgsql_params *, const char *);

/* --- a pipeline: begin, put …, then as many takes, end --- */

void	pgsql_begin(struct pgsql *);
void	pgsql_put(struct pgsql *, size_t statement,
    const struct pgsql_params *);

/*
 * A query that is not prepared; what goes wrong in it stops nothing behind it.
 */
void	pgsql_put_query(struct pgsql *, const char *sql,
    const struct pgsql_params *);

/* The answer to the next statement: its rows, or -1. */
int	pgsql_take(struct pgsql *);

/* Of the rows that were taken last. NULL is 0, or NULL. */
int64_t		 pgsql_column(const struct pgsql *, int row, int column);
const char	*pgsql_column_text(const struct pgsql *, int row, int column,
		    size_t *len);

/* A bytea, in place of what the buffer holds. */
void		 pgsql_column_bytes(const struct pgsql *, int row, int column,
		    struct str *);

/* Rows that the statement taken last changed. */
int64_t	pgsql_changes(const struct pgsql *);

/* Takes what is left. 0, or -1 when something in this pipeline did not work. */
int	pgsql_end(struct pgsql *);

/* --- one statement that nobody waits for, without parameters or rows --- */

int	pgsql_ask(struct pgsql *, size_t statement);

/* Whether it is done: 1, not yet: 0, or -1. `wait`: until it is. */
int	pgsql_asked(struct pgsql *, bool wait);

/*
 * While an answer of this connection is waited for, `input` is called whenever
 * there is some at `fd`. -1: no more.
 */
void	pgsql_watch(struct pgsql *, int fd, void (*input)(void *), void *arg);

#endif
