#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX	4	/* bytes of the longest sequence */

/*
 * Decodes the character at `s` and returns its length in bytes; 0 if the `len`
 * bytes do not begin with a well-formed sequence (RFC 3629).
 */
size_t	utf8_decode(const char *s, size_t len, uint32_t *out);

/*
 * Encodes the character, without a NUL; 0 for a surrogate or beyond U+10FFFF.
 */
size_t	utf8_encode(char dst[UTF8_MAX], uint32_t);

/* The number of characters; a byte that is not part of one counts as one. */
size_t	utf8_count(const char *, size_t);

#endif
