#ifndef WIDTH_H
#define WIDTH_H

#include <stddef.h>

/*
 * Columns of the UTF-8 text in a fixed-width font: two for wide East Asian
 * characters and emoji, none for combining characters. wcwidth(3) would need a
 * locale, which a process in a chroot cannot load.
 */
size_t	width_of(const char *);

/* Length of the character that begins here, before the text's NUL: 1 to 4. */
size_t	width_bytes(const char *);

#endif
