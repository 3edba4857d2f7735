#include <stdint.h>
#include <string.h>

#include "report/base64.h"

static const char	alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_add(struct str *s, const void *src, size_t len)
{
	const unsigned char	*p = src;
	unsigned long		 bits;
	size_t			 i;
	char			*out;

	out = str_extend(s, (len + 2) / 3 * 4);
	for (; len > 0; p += i, len -= i) {
		bits = 0;
		for (i = 0; i < 3; i++)
			bits = bits << 8 | (i < len ? p[i] : 0);
		if (i > len)
			i = len;
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 0x3f];
		*out++ = i > 1 ? alphabet[bits >> 6 & 0x3f] : '=';
		*out++ = i > 2 ? alphabet[bits & 0x3f] : '=';
	}
}

int
base64_decode(struct str *s, const char *src, size_t len)
{
	const char	*at;
	unsigned long	 bits;
	size_t		 i, n, pad;

	if (len % 4 != 0)
		return -1;
	for (; len > 0; src += 4, len -= 4) {
		bits = 0;
		pad = 0;
		if (len == 4 && src[3] == '=')
			pad = src[2] == '=' ? 2 : 1;
		for (i = 0; i < 4; i++) {
			bits <<= 6;
			if (i >= 4 - pad)
				continue;
			at = memchr(alphabet, src[i], sizeof(alphabet) - 1);
			if (at == NULL)
				return -1;
			bits |= (unsigned long)(at - alphabet);
		}
		/* Each value has one encoding: unused bits must be 0. */
		if ((bits & ((1UL << pad * 8) - 1)) != 0)
			return -1;
		for (n = 0; n < 3 - pad; n++)
			str_addc(s, (int)(bits >> (16 - n * 8) & 0xff));
	}
	return 0;
}
