#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>

#include "lib/str.h"

/*
 * Base64 (RFC 4648), in one piece without line breaks. base64_add makes room
 * once, before it writes anything: what it encodes may be a password.
 */
void	base64_add(struct str *, const void *, size_t);

/*
 * Adds what the bytes stand for; -1 when they are not Base64, and what is in
 * the str then is of no use.
 */
int	base64_decode(struct str *, const char *, size_t);

#endif
