#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/repr.h"
#include "conf/syntax/utf8.h"
#include "lib/str.h"

/* Enough digits to distinguish any two doubles. */
#define REPR_DIGITS_MAX	17

/*
 * Characters beyond ASCII that Python escapes: control and format characters,
 * blanks other than the space, surrogates, private use, noncharacters.
 * Characters that are not assigned yet are printed, since these change with the
 * version of Unicode.
 */
static const struct {
	uint32_t	first;
	uint32_t	last;
} repr_escaped[] = {
	{ 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c },
	{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 },
	{ 0x8e2, 0x8e2 }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
	{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
	{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfdd0, 0xfdef },
	{ 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xfffe, 0xffff },
	{ 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x13438 },
	{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe00ff },
	{ 0xe01f0, 0x10ffff }
};

/* Reduces "d.ddde+xx" to its digits and returns the exponent. */
static int
repr_split(char *text)
{
	char	*e;
	int	 exponent;

	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	*e = '\0';
	if (text[1] == '.')
		memmove(text + 1, text + 2, strlen(text + 2) + 1);
	return exponent;
}

static void
repr_zeros(struct str *s, int count)
{
	while (count-- > 0)
		str_addc(s, '0');
}

/* Without an exponent from 0.0001 up to 16 digits before the point. */
static void
repr_layout(struct str *s, const char *digits, int exponent)
{
	int	len, whole;

	len = (int)strlen(digits);
	whole = exponent + 1;
	if (exponent < -4 || exponent >= 16) {
		str_addc(s, digits[0]);
		if (len > 1)
			str_addf(s, ".%s", digits + 1);
		str_addf(s, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
	} else if (whole <= 0) {
		str_adds(s, "0.");
		repr_zeros(s, -whole);
		str_adds(s, digits);
	} else if (len <= whole) {
		str_adds(s, digits);
		repr_zeros(s, whole - len);
		str_adds(s, ".0");
	} else
		str_addf(s, "%.*s.%s", whole, digits, digits + whole);
}

/*
 * Below a power of two doubles are twice as dense as above it, so the nearest
 * decimal of so many digits may not read back as the double while the next
 * larger one does. Adds one to the last digit of "d.ddde+xx"; false if all
 * digits are nines.
 */
static bool
repr_next(char *text)
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
	char	text[64];
	int	digits, exponent;

	if (isnan(d)) {
		str_adds(s, "nan");
		return;
	}
	if (signbit(d)) {
		str_addc(s, '-');
		d = -d;
	}
	if (isinf(d)) {
		str_adds(s, "inf");
		return;
	}
	for (digits = 1; digits <= REPR_DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, d);
		if (strtod(text, NULL) == d ||
		    (repr_next(text) && strtod(text, NULL) == d))
			break;
	}
	exponent = repr_split(text);
	repr_layout(s, text, exponent);
}

static bool
repr_printable(uint32_t c)
{
	size_t	i;

	if (c < 0x20)
		return false;
	for (i = 0; i < sizeof(repr_escaped) / sizeof(repr_escaped[0]); i++)
		if (c >= repr_escaped[i].first && c <= repr_escaped[i].last)
			return false;
	return true;
}

static void
repr_escape(struct str *s, uint32_t c)
{
	if (c == '\n')
		str_adds(s, "\\n");
	else if (c == '\r')
		str_adds(s, "\\r");
	else if (c == '\t')
		str_adds(s, "\\t");
	else if (c < 0x100)
		str_addf(s, "\\x%02x", (unsigned int)c);
	else if (c < 0x10000)
		str_addf(s, "\\u%04x", (unsigned int)c);
	else
		str_addf(s, "\\U%08x", (unsigned int)c);
}

void
repr_string(struct str *s, const char *p, size_t len)
{
	uint32_t	c;
	size_t		n;
	char		quote;

	/*
	 * Single quotes, unless they would need escapes and double quotes would
	 * not.
	 */
	quote = memchr(p, '\'', len) != NULL && memchr(p, '"', len) == NULL ?
	    '"' : '\'';
	str_addc(s, quote);
	for (; len > 0; p += n, len -= n) {
		if ((n = utf8_decode(p, len, &c)) == 0) {
			n = 1;
			c = 0xdc00 + (unsigned char)*p;
		}
		if (c == (unsigned char)quote || c == '\\') {
			str_addc(s, '\\');
			str_addc(s, (int)c);
		} else if (repr_printable(c))
			str_add(s, p, n);
		else
			repr_escape(s, c);
	}
	str_addc(s, quote);
}
