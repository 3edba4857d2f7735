#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX	4	/* bytes of the longest sequence */

/*
 * The character that `s` begins with and how many bytes it takes; 0 when the
 * first of the `len` bytes do not begin a well-formed sequence (RFC 3629).
 */
size_t	utf8_decode(const char *s, size_t len, uint32_t *out);

/* Writes the character without a NUL; 0 for a surrogate or beyond U+10FFFF. */
size_t	utf8_encode(char dst[UTF8_MAX], uint32_t);

/* How many characters; a byte that belongs to none counts as one. */
size_t	utf8_count(const char *, size_t);

#endif
