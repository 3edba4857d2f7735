#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>

#include "lib/str.h"

/*
 * Base64 (RFC 4648), without line breaks. base64_add allocates once, before it
 * writes, so that no copy of a password stays in freed memory.
 */
void	base64_add(struct str *, const void *, size_t);

/*
 * Appends the decoded bytes; -1 if the text is not Base64, and the str then has
 * undefined contents.
 */
int	base64_decode(struct str *, const char *, size_t);

#endif
