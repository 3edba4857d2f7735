#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/num.h"

int
num_parse(const char *s, size_t len, int64_t min, int64_t max, int64_t *out)
{
	bool	negative = false, over = false;
	int64_t	value = 0;
	int	digit;

	if (len > 0 && *s == '-') {
		negative = true;
		s++;
		len--;
	}
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	/* Accumulates a negative number, since that range is larger by one. */
	for (; len > 0; s++, len--) {
		if (*s < '0' || *s > '9') {
			errno = EINVAL;
			return -1;
		}
		digit = *s - '0';
		if (over || value < (INT64_MIN + digit) / 10)
			over = true;
		else
			value = value * 10 - digit;
	}
	if (!negative && value == INT64_MIN)
		over = true;
	else if (!negative)
		value = -value;
	if (over || value < min || value > max) {
		errno = ERANGE;
		return -1;
	}
	*out = value;
	return 0;
}

int
num_add(int64_t a, int64_t b, int64_t *out)
{
	if ((b > 0 && a > INT64_MAX - b) || (b < 0 && a < INT64_MIN - b)) {
		errno = ERANGE;
		return -1;
	}
	*out = a + b;
	return 0;
}

int
num_sub(int64_t a, int64_t b, int64_t *out)
{
	if ((b < 0 && a > INT64_MAX + b) || (b > 0 && a < INT64_MIN + b)) {
		errno = ERANGE;
		return -1;
	}
	*out = a - b;
	return 0;
}

int
num_mul(int64_t a, int64_t b, int64_t *out)
{
	bool	over;

	if (a == 0 || b == 0)
		over = false;
	else if (a == -1)
		over = b == INT64_MIN;
	else if (b == -1)
		over = a == INT64_MIN;
	else if (b > 0)
		over = a > INT64_MAX / b || a < INT64_MIN / b;
	else
		over = a > INT64_MIN / b || a < INT64_MAX / b;
	if (over) {
		errno = ERANGE;
		return -1;
	}
	*out = a * b;
	return 0;
}

int64_t
num_add_clamp(int64_t a, int64_t b)
{
	if (b > 0 && a > INT64_MAX - b)
		return INT64_MAX;
	if (b < 0 && a < INT64_MIN - b)
		return INT64_MIN;
	return a + b;
}

int64_t
num_sub_clamp(int64_t a, int64_t b)
{
	if (b < 0 && a > INT64_MAX + b)
		return INT64_MAX;
	if (b > 0 && a < INT64_MIN + b)
		return INT64_MIN;
	return a - b;
}
