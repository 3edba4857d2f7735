#ifndef SCALAR_H
#define SCALAR_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/value.h"

/*
 * Scalars of YAML 1.1 as PyYAML's SafeLoader resolves and constructs them, by
 * the regular expressions of its resolver (`1e3` and `0o17` are strings, `1:30`
 * is ninety). Texts end with a NUL beyond their length. Pure.
 */
enum scalar_pattern {
	SCALAR_BOOL,
	SCALAR_INT,
	SCALAR_FLOAT,
	SCALAR_DATE,
	SCALAR_PYTHON_FLOAT,
	SCALAR__MAX
};

struct scalars {
	regex_t	 patterns[SCALAR__MAX];
};

/* -1: not enough memory. */
int	 scalar_init(struct scalars *);
void	 scalar_clear(struct scalars *);

/*
 * Reads a plain scalar. NULL with a sentence in *fault if its value is not
 * possible.
 */
struct value	*scalar_plain(const struct scalars *, const char *, size_t,
		    const char **fault);

/*
 * Reads a scalar with a tag, such as "tag:yaml.org,2002:int". NULL with a
 * sentence in *fault if the tag is unknown or the text does not fit it.
 */
struct value	*scalar_tagged(const struct scalars *, const char *tag,
		    const char *, size_t, const char **fault);

#define SCALAR_TAG	"tag:yaml.org,2002:"
#define SCALAR_TAG_FAULT \
	"this tag is not known here, or does not fit: leave it out"

#endif
