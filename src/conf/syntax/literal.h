#ifndef LITERAL_H
#define LITERAL_H

#include <stddef.h>

#include "conf/fault.h"
#include "conf/value.h"

/*
 * The .conf syntax (policyd-rate-limit.conf(5)): `name = literal` statements in
 * Python's form. Nothing is executed. Pure: bytes to a tree of values.
 */

/*
 * Reads a whole file: a dict of its statements in order; if a name is set
 * twice, the last value counts. Adds all faults to `faults` and returns what it
 * could read, never NULL.
 */
#define LITERAL_FILE_MAX	(8 * 1024 * 1024)
struct value	*literal_file(const char *, size_t, struct faults *);

/* Reads a single literal, such as a row of limits in SQL. NULL on a fault. */
struct value	*literal_value(const char *, size_t, struct faults *);

#endif
