#ifndef PGSQL_LIBRARY_H
#define PGSQL_LIBRARY_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/pgsql/pgsql.h"
#include "lib/clock.h"

struct pgsql {
	PGconn			*conn;
	int64_t			 timeout;	/* ms */
	struct mono		 deadline;
	PGresult		*result;	/* of the last pgsql_take */
	size_t			 put;		/* put in this pipeline */
	size_t			 taken;
	bool			 synced;	/* the sync is sent */
	bool			 each;		/* sync after every one */
	bool			 failed;	/* a statement of it failed */
	bool			 exposed;	/* pgsql_exposed */
	bool			 timed_out;	/* pgsql_timed_out */
	bool			 unfit;		/* pgsql_unfit */
	int64_t			 process;	/* of the server */
	int			 beside;	/* pgsql_watch's fd, or -1 */
	void			(*input)(void *);
	void			*arg;
	enum pgsql_fault	 fault;
	char			 error[256];
	char			 place[160];
};

/* --- pgsql.c --- */

/* The first line of an error, without libpq's severity in front. */
void	pgsql_words(char *, size_t, const char *text);

#endif
