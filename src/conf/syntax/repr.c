#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/repr.h"
#include "lib/str.h"

/* Enough digits to distinguish any two doubles. */
#define REPR_DIGITS_MAX	17

/*
 * Below a power of two doubles are twice as dense as above it, so the nearest
 * decimal of so many digits may not read back as the double while the next
 * larger one does. Adds one to the last digit of "d.ddde+xx"; false if all
 * digits are nines.
 */
static bool
increment_digits(char *text)
{
	char	*p;

	for (p = strchr(text, 'e') - 1; p >= text; p--) {
		if (*p == '.')
			continue;
		if (*p != '9') {
			(*p)++;
			return true;
		}
		*p = '0';
	}
	return false;
}

void
repr_float(struct str *s, double d)
{
	char	text[64], *e;
	int	digits, exponent, len;

	if (isnan(d)) {
		str_adds(s, "nan");
		return;
	}
	if (signbit(d))
		str_addc(s, '-');
	d = fabs(d);
	if (isinf(d)) {
		str_adds(s, "inf");
		return;
	}
	for (digits = 1; digits <= REPR_DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, d);
		if (strtod(text, NULL) == d ||
		    (increment_digits(text) && strtod(text, NULL) == d))
			break;
	}
	/* Reduces "d.ddde+xx" to its digits. */
	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	*e = '\0';
	if (text[1] == '.')
		memmove(text + 1, text + 2, strlen(text + 2) + 1);
	len = (int)strlen(text);
	/* Python has an exponent below 0.0001 and from 17 digits on. */
	if (exponent < -4 || exponent >= 16)
		str_addf(s, "%c%s%se%c%02d", text[0], len > 1 ? "." : "",
		    text + 1, exponent < 0 ? '-' : '+', abs(exponent));
	else if (exponent < 0)
		str_addf(s, "0.%.*s%s", -exponent - 1, "000", text);
	else if (len <= exponent + 1)
		str_addf(s, "%s%.*s.0", text, exponent + 1 - len,
		    "0000000000000000");
	else
		str_addf(s, "%.*s.%s", exponent + 1, text,
		    text + exponent + 1);
}

void
repr_string(struct str *s, const char *p, size_t len)
{
	uint32_t	c;
	size_t		n;
	bool		printable;
	char		quote;

	/*
	 * Single quotes, unless they would need escapes and double quotes would
	 * not.
	 */
	quote = memchr(p, '\'', len) != NULL && memchr(p, '"', len) == NULL ?
	    '"' : '\'';
	str_addc(s, quote);
	for (; len > 0; p += n, len -= n) {
		n = str_code(p, len, &c, &printable);
		if (n == 1 && c >= 0x80)
			c += 0xdc00;
		if (c == (unsigned char)quote || c == '\\') {
			str_addc(s, '\\');
			str_addc(s, (int)c);
		} else if (printable && c != 0xa0)
			str_add(s, p, n);
		else if (c == '\n')
			str_adds(s, "\\n");
		else if (c == '\r')
			str_adds(s, "\\r");
		else if (c == '\t')
			str_adds(s, "\\t");
		else
			str_addf(s, c < 0x100 ? "\\x%02x" : c < 0x10000 ?
			    "\\u%04x" : "\\U%08x", (unsigned int)c);
	}
	str_addc(s, quote);
}
