#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * What a configuration file says, whatever its syntax: a tree of Python's plain
 * values. Both parsers make it, the settings table reads it, --get-config
 * prints it.
 */
enum value_type {
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_STR,
	VALUE_LIST,
	VALUE_TUPLE,
	VALUE_DICT
};

struct value {
	enum value_type	 type;
	unsigned int	 line;		/* where it begins; 0: in no file */
	unsigned int	 column;	/* in characters, from 1 */
	bool		 boolean;
	int64_t		 integer;
	double		 real;
	char		*bytes;		/* VALUE_STR; a NUL behind it */
	size_t		 len;
	/* list, tuple: items; dict: key, value, key, value, as written */
	struct value	**items;
	size_t		 count;		/* of items: twice those of a dict */
	/* value.c's own: finds keys of large dicts */
	size_t		*index;
	size_t		 nindex;
	size_t		 indexed;
};

/* How many containers may be inside each other, a file's dict counted. */
#define VALUE_DEPTH_MAX	32

/* How many values parsers make of one file, what aliases repeat included. */
#define VALUE_COUNT_MAX	1000000

struct value	*value_new(enum value_type);
struct value	*value_bool(bool);
struct value	*value_int(int64_t);
struct value	*value_float(double);
struct value	*value_str(const void *, size_t);
struct value	*value_copy(const struct value *);

/* Wipes strings: they may be passwords. */
void		 value_free(struct value *);

/* Takes the item. */
void		 value_append(struct value *, struct value *);

/* Every string in it is wiped and becomes empty; the keys of a dict stay. */
void		 value_blank(struct value *);

/* Same type, same content; places do not matter, the order of a dict does. */
bool		 value_equal(const struct value *, const struct value *);

/* As Python says: "int", "str". */
const char	*value_type_name(enum value_type);

/* The value of a string key, NULL when absent or not a dict. */
const struct value	*value_get(const struct value *dict, const char *key);

/* Sets or replaces; takes both. The key must be hashable. */
void		 value_set(struct value *dict, struct value *key,
		    struct value *);

/* The value of any key, NULL when absent. As in Python 1 and True are one. */
const struct value	*value_get_key(const struct value *dict,
			    const struct value *key);

/* Whether it can be a key: no list, no dict, not inside a tuple either. */
bool		 value_hashable(const struct value *);

/*
 * repr: as Python's repr() prints it. print: the same, but a string at the top
 * is printed bare (--get-config). Floats have the shortest digits that read
 * back the same.
 */
void		 value_print(struct str *, const struct value *);
void		 value_repr(struct str *, const struct value *);

/* For channels: the whole tree with its places. get: NULL on a fault. */
void		 value_put(struct str *, const struct value *);
struct value	*value_take(const void *, size_t);

#endif
