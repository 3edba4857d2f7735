#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing byte string; data[len] is always NUL once something was added. */
struct str {
	char	*data;
	size_t	 len;
	size_t	 size;
};

void	 str_init(struct str *);
void	 str_clear(struct str *);		/* frees; usable again */
void	 str_wipe(struct str *);		/* explicit_bzero, then frees */
void	 str_add(struct str *, const void *, size_t);
void	 str_adds(struct str *, const char *);
void	 str_addc(struct str *, int);

void	 str_addf(struct str *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/*
 * Writes what a stranger wrote so that it is safe in one log line or mail
 * header: printable ASCII and whole, printable UTF-8 sequences stay, a
 * backslash is doubled, anything else becomes \xNN. Always NUL-terminated; cut
 * (with "...") to fit `size`, which must be at least 8. Returns dst.
 */
char	*str_printable(char *dst, size_t size, const void *src, size_t len);

/*
 * The same for text that holds printable pieces already: a backslash stays
 * one. The result cannot be read back.
 */
char	*str_printable_again(char *dst, size_t size, const void *src,
	    size_t len);

/* ASCII upper case to lower case in place; other bytes are left alone. */
void	 str_fold(char *, size_t);

/*
 * Edit distance (insertions, deletions, substitutions, swaps), for "did you
 * mean".
 */
unsigned int	 str_distance(const char *, const char *);

/*
 * The code point at the start of `len` > 0 bytes of well-formed UTF-8, and
 * whether str_printable leaves it as it is, a backslash apart. Returns its
 * length in bytes; where the bytes are malformed, 1 with the byte as the code
 * point, which is not printable.
 */
size_t	 str_code(const void *, size_t len, uint32_t *code, bool *printable);

/* Whether the bytes are well-formed UTF-8 (RFC 3629). */
bool	 str_utf8_valid(const void *, size_t);

/* How many of `len` bytes of it fit into `max`, with every character whole. */
size_t	 str_utf8_cut(const char *, size_t len, size_t max);

/* Makes room for so many bytes more, and a NUL. */
void	 str_grow(struct str *, size_t);

/* So many bytes more, for the caller to fill. */
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
