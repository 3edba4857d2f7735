#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/number.h"
#include "lib/alloc.h"

static const char number_not[] = "not a number; text belongs in quotes";

/* The byte at `i`; NUL after the end. */
static int
number_byte(const char *p, size_t len, size_t i)
{
	return i < len ? (unsigned char)p[i] : '\0';
}

static bool
number_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
number_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The value of a digit in any base up to 36; -1: it is not a digit. */
static int
number_worth(int c)
{
	if (number_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return -1;
}

/* Keeps the first fault. */
static void
number_fault(struct number *n, const char *fault)
{
	if (n->fault == NULL)
		n->fault = fault;
}

static void
number_whole(struct number *n, const char *p, size_t len, unsigned int base)
{
	size_t	i;
	int	d;

	n->whole = true;
	if (len == 0)
		number_fault(n, "a number without digits");
	for (i = 0; i < len; i++) {
		/* A single underscore, if a digit follows. */
		if (p[i] == '_' && i + 1 < len && p[i + 1] != '_')
			continue;
		d = number_worth((unsigned char)p[i]);
		if (d == -1 || (unsigned int)d >= base) {
			number_fault(n, base == 8 ?
			    "not an octal number: its digits are 0 to 7" :
			    number_not);
			return;
		}
		if (n->magnitude > (UINT64_MAX - (unsigned int)d) / base) {
			number_fault(n, "the number is too large");
			return;
		}
		n->magnitude = n->magnitude * base + (unsigned int)d;
	}
}

static void
number_real(struct number *n, const char *p, size_t len)
{
	char	*digits;
	size_t	 i, count;

	digits = alloc_zero(len + 1, 1);
	for (i = count = 0; i < len; i++) {
		if (p[i] != '_')
			digits[count++] = p[i];
		else if (i == 0 || !number_digit((unsigned char)p[i - 1]) ||
		    !number_digit(number_byte(p, len, i + 1)))
			number_fault(n, "not a number");
	}
	errno = 0;
	n->real = strtod(digits, NULL);
	if (errno == ERANGE && n->real > 1)
		number_fault(n, "the number is too large");
	free(digits);
}

/* The index after the digits that begin at `i`. */
static size_t
number_digits(const char *p, size_t len, size_t i)
{
	while (number_digit(number_byte(p, len, i)) ||
	    number_byte(p, len, i) == '_')
		i++;
	return i;
}

/* Length of a decimal number; *real: it has a point or an exponent. */
static size_t
number_length(const char *p, size_t len, bool *real)
{
	size_t	n, e;

	n = number_digits(p, len, 0);
	*real = false;
	if (number_byte(p, len, n) == '.') {
		*real = true;
		n = number_digits(p, len, n + 1);
	}
	if (number_byte(p, len, n) == 'e' || number_byte(p, len, n) == 'E') {
		e = n + 1;
		if (number_byte(p, len, e) == '+' ||
		    number_byte(p, len, e) == '-')
			e++;
		if (number_digit(number_byte(p, len, e))) {
			*real = true;
			n = number_digits(p, len, e);
		}
	}
	return n;
}

static unsigned int
number_base(const char *p, size_t len)
{
	if (number_byte(p, len, 0) != '0')
		return 10;
	switch (number_byte(p, len, 1)) {
	case 'x':
	case 'X':
		return 16;
	case 'o':
	case 'O':
		return 8;
	case 'b':
	case 'B':
		return 2;
	default:
		return 10;
	}
}

/* Reads a number whose prefix has a letter for its base. */
static size_t
number_prefixed(struct number *n, const char *p, size_t len, unsigned int base)
{
	size_t	i;

	for (i = 2; number_letter(number_byte(p, len, i)) ||
	    number_digit(number_byte(p, len, i)); i++)
		continue;
	number_whole(n, p + 2, i - 2, base);
	return i;
}

static size_t
number_decimal(struct number *n, const char *p, size_t len)
{
	size_t	i;
	bool	real;

	i = number_length(p, len, &real);
	if (real)
		number_real(n, p, i);
	else if (i > 1 && p[0] == '0')	/* as Python 2: 0666 */
		number_whole(n, p + 1, i - 1, 8);
	else
		number_whole(n, p, i, 10);
	return i;
}

size_t
number_read(struct number *n, const char *p, size_t len)
{
	unsigned int	base;
	size_t		i;

	memset(n, 0, sizeof(*n));
	base = number_base(p, len);
	i = base == 10 ? number_decimal(n, p, len) :
	    number_prefixed(n, p, len, base);
	if (!number_letter(number_byte(p, len, i)) &&
	    number_byte(p, len, i) != '.' && number_byte(p, len, i) < 0x80)
		return i;
	number_fault(n, number_not);
	while (number_letter(number_byte(p, len, i)) ||
	    number_digit(number_byte(p, len, i)) ||
	    number_byte(p, len, i) == '.')
		i++;
	return i;
}
