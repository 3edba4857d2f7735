#ifndef OUTSIDER_H
#define OUTSIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"

/*
 * Somebody else with the same database: an administrator with a client, an
 * older program, a script. Fails the test when the SQL fails. One of
 * outsider_sqlite.c, outsider_pgsql.c, outsider_mysql.c is linked; the last two
 * find their server by the environment: RIG_PORT, on 127.0.0.1, RIG_USER,
 * RIG_PASSWORD.
 */
struct outsider;

/* Before this process uses the database's library. */
struct outsider	*outsider_new(void);
void		 outsider_free(struct outsider *);

/* An empty database: SQLite's in the directory. Its name is the caller's. */
char		*outsider_make(struct outsider *, const char *dir);
void		 outsider_drop(struct outsider *, const char *path);

/* What the settings say of it. */
void		 outsider_settings(const struct outsider *, struct settings *,
		    const char *path);

/*
 * Each statement of `sql` is run; the first column of the last row, 0 without
 * one.
 */
int64_t		 outsider_sql(struct outsider *, const char *path,
		    const char *sql);

/* The same as text; the caller's. */
char		*outsider_text(struct outsider *, const char *path,
		    const char *sql);

/* --- what the model needs to know of the store --- */

/* The column that numbers rows; the statement that packs the file. */
extern const char	outsider_row[];
extern const char	outsider_compact[];

/* Sizes so small that all that the store does happens all the time. */
void		 outsider_make_small(void);

/* Whether all of it did, and others changed rows often. */
bool		 outsider_all_happened(struct outsider *, const char *path);

#endif
