#ifndef ID_H
#define ID_H

#include <stddef.h>

/*
 * How ids are stored: as they are, when they are well-formed UTF-8 without NUL,
 * do not end in a blank (which MySQL does not tell from none) and are no longer
 * than ID_STORED_MAX bytes; any other is "sha256:" and the hexadecimal SHA-256
 * of its bytes. An id that looks like the latter is hashed too, so that nobody
 * can take another's place.
 */
#define ID_STORED_MAX	255

/* Bytes that the stored form of so many may take. */
size_t		 id_stored_room(size_t len);

/*
 * The stored form: `id` itself with *len untouched, or `buf` with its length in
 * *len. The bytes in `buf` are NUL-terminated.
 */
const char	*id_stored(const char *id, size_t *len,
			    char buf[ID_STORED_MAX + 1]);

#endif
