#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/reader.h"
#include "conf/value.h"

/*
 * The table of settings: each one's name, type, default, bounds, reader and the
 * roles that receive it.
 */

#define TABLE_SECRET	0x01	/* never in a log */
#define TABLE_LAST	0x02	/* read after all other settings */
#define TABLE_PLAIN	0x04	/* excluded by `rules` */
#define TABLE_INSTALLED	0x08	/* default by table_set_directories */
#define TABLE_HANDED	0x10	/* the member is the struct value itself, which
				   the reader only checks */
#define TABLE_TRIED	0x20	/* `policyctl try` takes it */

size_t			 table_count(void);
const struct reader_row	*table_row(size_t);

/* The row with this name or alias; SIZE_MAX: none. */
size_t			 table_find(const char *name);

/* The caller owns the value. */
struct value		*table_default(const struct reader_row *);

/*
 * Sets the directories in the defaults of pidfile, control_socket and
 * sqlite_config, in place of /var/run/policyd-rate-limit and
 * /var/lib/policyd-rate-limit. Keeps the pointers. The parent calls it before
 * any other function; its children do not, since they receive these settings.
 * table_database: the default database of SQLite; the caller owns the value.
 */
void			 table_set_directories(const char *rundir,
			    const char *statedir);
struct value		*table_database(void);

#endif
