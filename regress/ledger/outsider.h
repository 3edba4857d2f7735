#ifndef OUTSIDER_H
#define OUTSIDER_H

#include <stdint.h>

/*
 * Another process with the same database: an administrator with a client, an
 * older program, a script. Fails the test when the SQL fails.
 */
struct outsider;

/* Before this process uses the database's library. */
struct outsider	*outsider_new(void);
void		 outsider_free(struct outsider *);

/*
 * Each statement of `sql` is run; the first column of the last row, 0 without
 * one.
 */
int64_t		 outsider_sql(struct outsider *, const char *path,
		    const char *sql);

/* The same as text; the caller's. */
char		*outsider_text(struct outsider *, const char *path,
		    const char *sql);

#endif
