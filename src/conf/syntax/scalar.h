#ifndef SCALAR_H
#define SCALAR_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/value.h"

/*
 * Scalars of YAML 1.1 as PyYAML's SafeLoader resolves and constructs them:
 * exactly by the regular expressions of its resolver (`1e3` and `0o17` are
 * strings, `1:30` is ninety). Pure.
 */

/*
 * Reads a plain scalar. NULL with a sentence in *fault if its value is not
 * possible.
 */
struct value	*scalar_plain(const char *, size_t, const char **fault);

/*
 * Reads a scalar with a tag, such as "tag:yaml.org,2002:int". NULL with a
 * sentence in *fault if the tag is unknown or the text does not fit it.
 */
struct value	*scalar_tagged(const char *tag, const char *, size_t,
		    const char **fault);

#define SCALAR_TAG	"tag:yaml.org,2002:"

#endif
