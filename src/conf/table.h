#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/reader.h"
#include "conf/value.h"

/*
 * The one place where a setting is named, typed, given its default, its
 * bounds, its reader and the roles that get it. settings.c works on it; nobody
 * else does.
 */

/* A default in one line of the table; what needs more is made by a function. */
struct table_preset {
	enum value_type	 type;
	int64_t		 number;	/* of a float: thousandths */
	const char	*text;
	struct value	*(*make)(void);
};

#define TABLE_SECRET	0x01	/* never in a log */
#define TABLE_LATE	0x02	/* its reader needs what the others said */
#define TABLE_PLAIN	0x04	/* must not stand beside `rules` */
#define TABLE_INSTALLED	0x08	/* its default: table_set_directories */
#define TABLE_HANDED	0x10	/* the member is the value itself */

struct table_row {
	const char		*name;
	const char		*alias;		/* another name of it */
	const char		*type;		/* in words, for the manual */
	struct table_preset	 preset;
	reader			*read;
	size_t			 at;		/* member; 0: whole struct */
	int64_t			 min;
	int64_t			 max;
	const struct reader_word *words;
	unsigned int		 roles;		/* bits 1 << enum role */
	unsigned int		 flags;
};

size_t			 table_count(void);
const struct table_row	*table_row(size_t);

/*
 * The row of this name, or that of which it is another spelling; SIZE_MAX:
 * none.
 */
size_t			 table_find(const char *name);

/* The caller's. */
struct value		*table_default(const struct table_row *);

/* settings.h tells what these are. */
void			 table_set_directories(const char *rundir,
			    const char *statedir);
struct value		*table_database(void);

#endif
