#ifndef WRAP_H
#define WRAP_H

#include <stddef.h>

#include "lib/str.h"

/*
 * Breaks each line that has more columns than `width` at blanks, and indents
 * what follows. A word that is wider than that is left whole. Pure.
 */
void	wrap_lines(struct str *, size_t width);

#endif
