#include <string.h>

#include "lib/str.h"

/*
 * Length of the well-formed UTF-8 sequence (RFC 3629) at the start of `len`
 * bytes, and its code point; 0 if there is none.
 */
static size_t
utf8_sequence(const unsigned char *p, size_t len, uint32_t *code)
{
	size_t		i, n;
	uint32_t	c, least;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	} else if ((p[0] & 0xe0) == 0xc0) {
		n = 2;
		c = p[0] & 0x1f;
		least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		c = p[0] & 0x0f;
		least = 0x800;
	} else if ((p[0] & 0xf8) == 0xf0) {
		n = 4;
		c = p[0] & 0x07;
		least = 0x10000;
	} else
		return 0;
	if (n > len)
		return 0;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* Overlong, surrogate, beyond Unicode. */
	if (c < least || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*code = c;
	return n;
}

bool
str_utf8_valid(const void *src, size_t len)
{
	const unsigned char	*p = src;
	uint32_t		 code;
	size_t			 n;

	for (; len > 0; p += n, len -= n) {
		n = 1;
		if (*p >= 0x80 && (n = utf8_sequence(p, len, &code)) == 0)
			return false;
	}
	return true;
}

/*
 * False for characters that a terminal acts on or that a reader does not see:
 * controls, invisible and direction-changing characters, line separators,
 * private use, non-characters.
 */
static bool
code_printable(uint32_t code)
{
	static const struct {
		uint32_t	first, last;
	} hidden[] = {
		{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },
		{ 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
		{ 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xe000, 0xf8ff },
		{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb }, { 0xe0000, 0x10ffff }
	};
	size_t	i;

	if ((code & 0xfffe) == 0xfffe)
		return false;
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	return true;
}

size_t
str_code(const void *src, size_t len, uint32_t *code, bool *printable)
{
	size_t	n;

	if ((n = utf8_sequence(src, len, code)) == 0) {
		*code = *(const unsigned char *)src;
		*printable = false;
		return 1;
	}
	*printable = code_printable(*code);
	return n;
}

static char *
printable(char *dst, size_t size, const void *src, size_t len, bool again)
{
	static const char	 hex[] = "0123456789abcdef";
	const unsigned char	*p = src;
	char			 piece[4];
	size_t			 at = 0, cut = 0, n, used;
	uint32_t		 code;

	for (; len > 0; p += used, len -= used) {
		used = utf8_sequence(p, len, &code);
		if (used > 0 && code_printable(code) &&
		    (again || code != '\\')) {
			n = used;
			memcpy(piece, p, n);
		} else if (*p == '\\') {
			n = 2;
			piece[0] = piece[1] = '\\';
		} else {
			used = 1;
			n = 4;
			piece[0] = '\\';
			piece[1] = 'x';
			piece[2] = hex[*p >> 4];
			piece[3] = hex[*p & 0x0f];
		}
		if (at + n >= size) {
			memcpy(dst + cut, "...", 4);
			return dst;
		}
		memcpy(dst + at, piece, n);
		at += n;
		/* The last position at which the dots still fit. */
		if (at + sizeof("...") <= size)
			cut = at;
	}
	dst[at] = '\0';
	return dst;
}

char *
str_printable(char *dst, size_t size, const void *src, size_t len)
{
	return printable(dst, size, src, len, false);
}

char *
str_printable_again(char *dst, size_t size, const void *src, size_t len)
{
	return printable(dst, size, src, len, true);
}

void
str_fold(char *s, size_t len)
{
	for (; len > 0; s++, len--)
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
}

size_t
str_utf8_cut(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}
