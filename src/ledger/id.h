#ifndef ID_H
#define ID_H

#include <stddef.h>

/*
 * How ids are stored: unchanged if they are well-formed UTF-8 without NUL, do
 * not end in a blank (MySQL ignores blanks at the end in comparisons) and are
 * not longer than ID_STORED_MAX bytes; any other id becomes "sha256:" and the
 * hexadecimal SHA-256 of its bytes. An id that begins like such a hash is
 * hashed too, so that no id can be stored under the hash of another.
 */
#define ID_STORED_MAX	255

/* Bytes that the stored form of an id of `len` bytes may need. */
size_t		 id_stored_room(size_t len);

/*
 * Returns the stored form: `id` itself with *len unchanged, or `buf`,
 * NUL-terminated, with its length in *len.
 */
const char	*id_stored(const char *id, size_t *len,
			    char buf[ID_STORED_MAX + 1]);

#endif
