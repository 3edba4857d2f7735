#ifndef WIDTH_H
#define WIDTH_H

#include <stddef.h>

/*
 * Columns that the UTF-8 text takes in a fixed font: two for the wide
 * characters of East Asia and emoji, none for combining ones. wcwidth(3) would
 * need a locale, which a jailed process has not.
 */
size_t	width_of(const char *);

/*
 * Length of the character that begins here, 1 to 4 bytes, never beyond the
 * text's end.
 */
size_t	width_bytes(const char *);

#endif
