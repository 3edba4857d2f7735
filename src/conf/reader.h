#ifndef READER_H
#define READER_H

#include <stddef.h>
#include <stdint.h>

#include "conf/fault.h"
#include "conf/settings.h"
#include "conf/value.h"

/*
 * Readers turn one value of a configuration into one member of a struct: the
 * settings table and the fields of rules name them. Each returns 0 with the
 * member filled (what was in it is freed), or -1 with at least one fault added
 * and the member untouched.
 */
struct reader_word {
	const char	*name;
	int		 number;
};

struct reading {
	const char	*name;		/* for faults: "rules[0].key" */
	void		*out;		/* the member */
	int64_t		 min;		/* of a number */
	int64_t		 max;
	const struct reader_word *words;	/* up to a NULL name */
	struct settings	*settings;	/* what was read of it so far */
	const struct settings_rule *rule;	/* of a field; else NULL */
	struct faults	*faults;
};

typedef int	 reader(const struct reading *, const struct value *);

reader	reader_bool;		/* bool; also 0 and 1 */
reader	reader_truth;		/* bool of 1.x; None is False, as in Python */
reader	reader_int;		/* int */
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
reader	reader_nothing;		/* anything: settings.c's own affair */

/* One network or address of a list. */
int	reader_network(const struct reading *, const struct value *,
	    struct network *);

/*
 * One place for the words of every fault: "NAME " and the text, at the value.
 */
void	reader_fault(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));
void	reader_warning(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));

void	reader_unknown(const struct reading *, const struct value *,
	    const char *, ...) __attribute__((__format__(printf, 3, 4)));

/* "NAME must be EXPECTED, not TYPE"; always -1. */
int	reader_mismatch(const struct reading *, const struct value *,
	    const char *expected);

/*
 * A whole number, a float without fraction included. 0, or -1 without a fault.
 */
int	reader_whole(const struct value *, int64_t *);

/* A string without NUL and control characters; the second: -1 and a fault. */
bool	reader_is_line(const struct value *);
int	reader_line(const struct reading *, const struct value *);

/* Puts a string in the place of the old one, a member that is a char *. */
void	reader_replace(const struct reading *, char *);

/* The name nearest to what was written, NULL when none is near. */
struct reader_nearest {
	const char	*written;
	const char	*name;
	unsigned int	 distance;
};
void	reader_nearest(struct reader_nearest *, const char *candidate);

/* As a list or tuple of anything. */
#define READER_IS_LIST(v) \
	((v)->type == VALUE_LIST || (v)->type == VALUE_TUPLE)

#endif
