#include <stddef.h>
#include <stdint.h>

#include "conf/syntax/utf8.h"

size_t
utf8_decode(const char *s, size_t len, uint32_t *out)
{
	static const uint32_t	 least[UTF8_MAX + 1] = {
		0, 0, 0x80, 0x800, 0x10000
	};
	uint32_t		 c, b;
	size_t			 n, i;

	if (len == 0)
		return 0;
	c = (unsigned char)s[0];
	if (c < 0x80) {
		*out = c;
		return 1;
	}
	if ((c & 0xe0) == 0xc0)
		n = 2;
	else if ((c & 0xf0) == 0xe0)
		n = 3;
	else if ((c & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	c &= 0x7fU >> n;
	for (i = 1; i < n; i++) {
		b = (unsigned char)s[i];
		if ((b & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b & 0x3f);
	}
	/*
	 * Reject overlong forms: they would hide a character from comparisons.
	 */
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

size_t
utf8_encode(char dst[UTF8_MAX], uint32_t c)
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		if (c >= 0xd800 && c <= 0xdfff)
			return 0;
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		dst[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	if (c > 0x10ffff)
		return 0;
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t
utf8_count(const char *s, size_t len)
{
	uint32_t	c;
	size_t		n, count;

	for (count = 0; len > 0; count++) {
		if ((n = utf8_decode(s, len, &c)) == 0)
			n = 1;
		s += n;
		len -= n;
	}
	return count;
}
