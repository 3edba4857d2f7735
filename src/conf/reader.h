#ifndef READER_H
#define READER_H

#include <stddef.h>
#include <stdint.h>

#include "conf/fault.h"
#include "conf/settings.h"
#include "conf/value.h"

/*
 * A reader converts one value of a configuration to one member of a struct; the
 * settings table and the fields of rules name readers. It returns 0 after it
 * has filled in the member and freed the old content; a value that stands for
 * nothing, such as None for `only`, may leave the member as it is. Or it
 * returns -1 with at least one error added: the member may then be incomplete,
 * and the whole struct is not used.
 */
struct reader_word {
	const char	*name;
	int		 number;
};

/* A default value; `make` makes one that needs more than these members. */
struct reader_preset {
	enum value_type	 type;
	int64_t		 number;	/* of a float, in thousandths */
	const char	*text;
	const char	**directory;	/* of the file `text`; or NULL */
	const char *const *pairs;	/* of a dict of strings */
	struct value	*(*make)(void);
};

struct reading {
	const char	*name;		/* for faults: "rules[0].key" */
	void		*out;		/* the member */
	int64_t		 min;		/* bounds of a number */
	int64_t		 max;
	const struct reader_word *words;	/* up to a NULL name */
	struct settings	*settings;	/* as far as they were read */
	const struct settings_rule *rule;	/* of a field; else NULL */
	struct faults	*faults;
};

typedef int	 reader(const struct reading *, const struct value *);

/* How one setting, or one field of a rule or of its lock, is read. */
struct reader_row {
	const char		*name;
	const char		*type;		/* as the manual says it */
	reader			*read;
	void			(*clear)(void *); /* of the member; or NULL */
	size_t			 at;		/* offset; 0: whole struct */
	int64_t			 min;
	int64_t			 max;
	const struct reader_word *words;
	/* For settings only, see table.h. */
	const char		*alias;		/* other spelling, or NULL */
	struct reader_preset	 preset;
	unsigned int		 roles;		/* bits 1 << enum role */
	unsigned int		 flags;
};

#define READER_NAME_MAX	96	/* "rules[31].except.ccert_fingerprint" */

/* Reads a value into the row's member of `object`; r->faults has the errors. */
void	reader_row(const struct reading *, const struct reader_row *,
	    void *object, const struct value *);

/*
 * Reads one field of a dictionary by the row of its name; an unknown name is a
 * fault.
 */
void	reader_field(const struct reading *, const struct reader_row *,
	    size_t rows, void *object, const struct value *key,
	    const struct value *);

/* Frees all members of `object`. */
void	reader_clear_rows(const struct reader_row *, size_t rows,
	    void *object);
void	reader_clear_text(void *);		/* char ** */
void	reader_clear_strings(void *);		/* struct settings_strings * */
void	reader_clear_networks(void *);		/* struct settings_networks * */

reader	reader_bool;		/* bool; also 0 and 1 */
reader	reader_truth;		/* bool of 1.x; None is False, as in Python */
reader	reader_unsigned;	/* unsigned int */
reader	reader_int64;		/* int64_t */
reader	reader_mebibytes;	/* int64_t bytes, of a number of MiB */
reader	reader_milliseconds;	/* int64_t, of seconds; bounds in ms */
reader	reader_mode;		/* unsigned int; an int or "0660" */
reader	reader_word;		/* an enum, by a word or its number */
reader	reader_string;		/* char *; one line, not empty */
reader	reader_query;		/* char *; may have many lines; None is "" */
reader	reader_delimiter;	/* char *; a set of characters; None is "" */
reader	reader_domain;		/* char *; a domain or "" */
reader	reader_string_or_none;	/* char *; None and "" are NULL */
reader	reader_networks;	/* struct settings_networks; None is empty */
reader	reader_nothing;		/* anything; settings.c handles it */

/* Reads one network or address of a list. */
int	reader_network(const struct reading *, const struct value *,
	    struct network *);

/*
 * Add a fault at the value; its text begins with the name and a blank.
 * reader_fault returns -1.
 */
int	reader_fault(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));
void	reader_warning(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));


/* The same for a name that this version does not know: FAULT_UNKNOWN. */
void	reader_unknown(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));

/* "NAME must be EXPECTED, not TYPE"; always -1. */
int	reader_mismatch(const struct reading *, const struct value *,
	    const char *expected);

/*
 * Converts a whole number, or a float without fraction. 0, or -1 without a
 * fault.
 */
int	reader_whole(const struct value *, int64_t *);

/*
 * reader_is_line: false for a string with a NUL or a control character.
 * reader_line: 0, or -1 with a fault for such a string and for other types.
 */
bool	reader_is_line(const struct value *);
int	reader_line(const struct reading *, const struct value *);

/* Replaces the string in a member that is a char *, and takes over this one. */
void	reader_replace(const struct reading *, char *);

/* Takes over the string. */
void	reader_strings_add(struct settings_strings *, char *);

/*
 * The name most similar to `written`, after reader_nearest was called for each
 * candidate. All other members are 0 at first.
 */
struct reader_nearest {
	const char	*written;
	const char	*name;		/* NULL: no name is similar enough */
	unsigned int	 distance;
	char		 hint[80];	/* "; did you mean …?", or "" */
};
void	reader_nearest(struct reader_nearest *, const char *candidate);

/* A list of strings that ends with NULL, in a table. */
#define READER_NAMES(...)	(const char *const []){ __VA_ARGS__, NULL }

/* Whether the value is a list or a tuple. */
#define READER_IS_LIST(v) \
	((v)->type == VALUE_LIST || (v)->type == VALUE_TUPLE)

#endif
