#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/reader.h"
#include "conf/value.h"

/*
 * The table of settings: each one's name, type, default, bounds, reader and the
 * roles that receive it. Only settings.c, and the tests, use it directly.
 */

/* A default value; `make` makes one that needs more than these members. */
struct table_preset {
	enum value_type	 type;
	int64_t		 number;	/* of a float, in thousandths */
	const char	*text;
	struct value	*(*make)(void);
};

#define TABLE_SECRET	0x01	/* never in a log */
#define TABLE_LAST	0x02	/* read after all other settings */
#define TABLE_PLAIN	0x04	/* excluded by `rules` */
#define TABLE_INSTALLED	0x08	/* default by table_set_directories */
#define TABLE_HANDED	0x10	/* the member is the value itself */

struct table_row {
	const char		*name;
	const char		*alias;		/* other spelling, or NULL */
	const char		*type;		/* as the manual says it */
	struct table_preset	 preset;
	reader			*read;
	size_t			 at;		/* offset; 0: whole struct */
	int64_t			 min;
	int64_t			 max;
	const struct reader_word *words;
	unsigned int		 roles;		/* bits 1 << enum role */
	unsigned int		 flags;
};

size_t			 table_count(void);
const struct table_row	*table_row(size_t);

/* The row with this name or alias; SIZE_MAX: none. */
size_t			 table_find(const char *name);

/* The caller owns the value. */
struct value		*table_default(const struct table_row *);

/*
 * See settings_set_directories. table_database: the default database of SQLite.
 */
void			 table_set_directories(const char *rundir,
			    const char *statedir);
struct value		*table_database(void);

#endif
