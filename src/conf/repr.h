#ifndef REPR_H
#define REPR_H

#include <stddef.h>

#include "lib/str.h"

/* How Python's repr() writes a float and a string. */
void	repr_float(struct str *, double);

/*
 * The bytes are UTF-8; one that belongs to no character is written as Python
 * writes what it could not decode (surrogateescape).
 */
void	repr_string(struct str *, const char *, size_t);

#endif
