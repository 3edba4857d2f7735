#ifndef LITERAL_H
#define LITERAL_H

#include <stddef.h>

#include "conf/fault.h"
#include "conf/value.h"

/*
 * The .conf syntax (policyd-rate-limit.conf(5)): `name = literal` statements in
 * Python's form. Nothing is executed. Pure: bytes in, a tree out.
 */

/*
 * A whole file: a dict of the statements in order, a name set twice counts
 * last. All faults found go to `faults`; what could be read is returned all the
 * same, never NULL.
 */
#define LITERAL_FILE_MAX	(8 * 1024 * 1024)
struct value	*literal_file(const char *, size_t, struct faults *);

/* One literal alone (a row of limits in SQL). NULL on a fault. */
struct value	*literal_value(const char *, size_t, struct faults *);

#endif
