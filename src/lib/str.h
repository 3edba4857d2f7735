#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing byte string. data[len] is NUL once something was added. */
struct str {
	char	*data;
	size_t	 len;
	size_t	 size;
};

void	 str_init(struct str *);
void	 str_clear(struct str *);		/* frees; usable again */
void	 str_wipe(struct str *);		/* explicit_bzero, then frees */

/* Append; the bytes must not be those of the str itself. */
void	 str_add(struct str *, const void *, size_t);
void	 str_adds(struct str *, const char *);
void	 str_addc(struct str *, int);

void	 str_addf(struct str *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/*
 * Copies text from outside so that it is safe in a log line or a mail header:
 * printable ASCII and printable UTF-8 sequences stay, a backslash is doubled,
 * any other byte becomes \xNN. The result is NUL-terminated, and cut (with
 * "...") to fit `size`, which must be at least 8. Returns dst.
 */
char	*str_printable(char *dst, size_t size, const void *src, size_t len);

/* Appends the text as str_printable makes it, and does not cut it. */
void	 str_add_printable(struct str *, const void *, size_t);

/*
 * Like str_printable, for text that contains printable pieces already:
 * backslashes are not doubled. The original cannot be recovered.
 */
char	*str_printable_again(char *dst, size_t size, const void *src,
	    size_t len);

/* ASCII upper case to lower case in place; other bytes are left alone. */
void	 str_fold(char *, size_t);

/*
 * Decodes the UTF-8 sequence at the start of `len` > 0 bytes: its code point,
 * and whether str_printable leaves it unchanged (apart from a backslash).
 * Returns its length in bytes. For malformed bytes it returns 1, the byte as
 * the code point, and not printable.
 */
size_t	 str_code(const void *, size_t len, uint32_t *code, bool *printable);

/* Whether the bytes are well-formed UTF-8 (RFC 3629). */
bool	 str_utf8_valid(const void *, size_t);

/*
 * The length of the longest prefix of at most `max` bytes that ends with a
 * whole character.
 */
size_t	 str_utf8_cut(const char *, size_t len, size_t max);

/* Makes room for this many more bytes and a NUL. */
void	 str_grow(struct str *, size_t);

/* Appends this many bytes for the caller to fill; returns a pointer to them. */
static inline char *
str_extend(struct str *s, size_t len)
{
	char	*p;

	if (s->size <= s->len || s->size - s->len <= len)
		str_grow(s, len);
	p = s->data + s->len;
	s->len += len;
	s->data[s->len] = '\0';
	return p;
}

#endif
