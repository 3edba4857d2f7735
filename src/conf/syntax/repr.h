#ifndef REPR_H
#define REPR_H

#include <stddef.h>

#include "lib/str.h"

/* How Python's repr() writes a float and a string. */
void	repr_float(struct str *, double);

/*
 * Bytes in UTF-8; a byte that is not part of a character is written as Python's
 * surrogateescape does.
 */
void	repr_string(struct str *, const char *, size_t);

#endif
