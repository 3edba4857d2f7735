#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * The content of a configuration file, whatever its syntax: a tree of Python's
 * plain values. Both parsers make it, the settings table reads it, --get-config
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
	unsigned int	 line;		/* where it begins; 0: not in a file */
	unsigned int	 column;	/* in characters, from 1 */
	bool		 boolean;
	int64_t		 integer;
	double		 real;
	char		*bytes;		/* VALUE_STR; NUL-terminated */
	size_t		 len;
	/* list, tuple: items; dict: key, value, key, value, as written */
	struct value	**items;
	size_t		 count;		/* of items; two per entry of a dict */
	/* For value.c: hash index of the keys of a large dict. */
	size_t		*index;
	size_t		 nindex;
	size_t		 indexed;
};

/* Most containers inside each other, including the file's dict. */
#define VALUE_DEPTH_MAX	32

/*
 * Most values that a parser makes of one file, including what aliases repeat.
 */
#define VALUE_COUNT_MAX	1000000

struct value	*value_new(enum value_type);
struct value	*value_bool(bool);
struct value	*value_int(int64_t);
struct value	*value_float(double);
struct value	*value_str(const void *, size_t);
struct value	*value_copy(const struct value *);

/* Frees the tree and wipes its strings, which may be passwords. */
void		 value_free(struct value *);

/* Appends the item, and takes ownership of it. */
void		 value_append(struct value *, struct value *);

/* Wipes and empties every string in the tree, except the keys of dicts. */
void		 value_blank(struct value *);

/*
 * Whether type and content are equal; places do not matter, the order of a dict
 * does.
 */
bool		 value_equal(const struct value *, const struct value *);

/* Python's name of the type: "int", "str". */
const char	*value_type_name(enum value_type);

/* Whether it is a whole number: an int, a bool, a float without fraction. */
bool		 value_whole(const struct value *, int64_t *);

/* The value of a string key; NULL if absent or not a dict. */
const struct value	*value_get(const struct value *dict, const char *key);

/*
 * Sets or replaces an entry, and takes ownership of both. The key must be
 * hashable.
 */
void		 value_set(struct value *dict, struct value *key,
		    struct value *);

/* The value of any key; NULL if absent. 1 and True are equal, as in Python. */
const struct value	*value_get_key(const struct value *dict,
			    const struct value *key);

/*
 * Whether it can be a key: not a list or a dict, nor a tuple that contains one.
 */
bool		 value_hashable(const struct value *);

/*
 * value_repr: as Python's repr() prints it. value_print: the same, but a string
 * at the top is printed without quotes (--get-config). Floats have the fewest
 * digits that read back as the same number.
 */
void		 value_print(struct str *, const struct value *);
void		 value_repr(struct str *, const struct value *);

/*
 * For channels: writes and reads the whole tree with its places. value_take:
 * NULL if malformed.
 */
void		 value_put(struct str *, const struct value *);
struct value	*value_take(const void *, size_t);

#endif
