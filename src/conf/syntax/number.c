#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/number.h"
#include "lib/alloc.h"

static const char number_not[] = "not a number; text belongs in quotes";

unsigned int
number_digit(int c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned int)(c - 'A') + 10;
	return 36;
}

const char *
number_whole(uint64_t *n, const char *p, size_t len, unsigned int base)
{
	unsigned int	d;
	size_t		i;

	*n = 0;
	if (len == 0)
		return "a number without digits";
	for (i = 0; i < len; i++) {
		/* A single underscore, if a digit follows. */
		if (p[i] == '_' && i + 1 < len && p[i + 1] != '_')
			continue;
		if ((d = number_digit((unsigned char)p[i])) >= base)
			return base == 8 ?
			    "not an octal number: its digits are 0 to 7" :
			    number_not;
		if (*n > (UINT64_MAX - d) / base)
			return NUMBER_TOO_LARGE;
		*n = *n * base + d;
	}
	return NULL;
}

int
number_signed(int64_t *n, uint64_t magnitude, bool negative)
{
	if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -1;
	if (magnitude > INT64_MAX)
		*n = INT64_MIN;
	else
		*n = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return 0;
}

static const char *
parse_real(double *real, const char *p, size_t len)
{
	const char	*fault = NULL;
	char		*digits, *end;
	size_t		 i, count;

	digits = alloc_zero(len + 1, 1);
	for (i = count = 0; i < len; i++) {
		if (p[i] != '_')
			digits[count++] = p[i];
		else if (i == 0 || i + 1 == len ||
		    number_digit((unsigned char)p[i - 1]) > 9 ||
		    number_digit((unsigned char)p[i + 1]) > 9)
			fault = number_not;
	}
	errno = 0;
	*real = strtod(digits, &end);
	if (*end != '\0')
		fault = number_not;
	else if (errno == ERANGE && *real > 1)
		fault = NUMBER_TOO_LARGE;
	free(digits);
	return fault;
}

/* The base that a prefix of two characters has; 10: there is no prefix. */
static unsigned int
base_of(const char *p, size_t len)
{
	if (len < 2 || p[0] != '0')
		return 10;
	switch (p[1]) {
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

size_t
number_read(struct number *n, const char *p, size_t len)
{
	unsigned int	base = base_of(p, len);
	size_t		i;
	bool		exponent = false;

	memset(n, 0, sizeof(*n));
	n->whole = true;
	for (i = 0; i < len; i++) {
		if ((p[i] == '+' || p[i] == '-') && exponent)
			exponent = false;
		else if (number_digit((unsigned char)p[i]) < 36 ||
		    p[i] == '_' || p[i] == '.')
			exponent = p[i] == 'e' || p[i] == 'E';
		else
			break;
		if (base == 10 && (exponent || p[i] == '.'))
			n->whole = false;
		exponent = exponent && base == 10;
	}
	if (base != 10)
		n->fault = number_whole(&n->magnitude, p + 2, i - 2, base);
	else if (!n->whole)
		n->fault = parse_real(&n->real, p, i);
	else if (i > 1 && p[0] == '0')	/* as Python 2: 0666 */
		n->fault = number_whole(&n->magnitude, p + 1, i - 1, 8);
	else
		n->fault = number_whole(&n->magnitude, p, i, 10);
	return i;
}
