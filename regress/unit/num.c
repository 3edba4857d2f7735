#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/num.h"

static int64_t
parse(const char *s, int64_t min, int64_t max)
{
	int64_t	value = -99;

	errno = 0;
	if (num_parse(s, strlen(s), min, max, &value) == -1)
		assert_int_equal(value, -99);
	else
		assert_int_equal(errno, 0);
	return value;
}

static void
refused(const char *s, size_t len, int64_t min, int64_t max, int why)
{
	int64_t	value = -99;

	errno = 0;
	assert_int_equal(num_parse(s, len, min, max, &value), -1);
	assert_int_equal(errno, why);
	assert_int_equal(value, -99);
}

static void
numbers_are_parsed(void **state)
{
	int64_t	value;

	(void)state;
	assert_int_equal(parse("0", 0, 10), 0);
	assert_int_equal(parse("10", 0, 10), 10);
	assert_int_equal(parse("-10", -10, 10), -10);
	assert_int_equal(parse("007", 0, 10), 7);
	assert_int_equal(parse("9223372036854775807", INT64_MIN, INT64_MAX),
	    INT64_MAX);
	assert_int_equal(parse("-9223372036854775808", INT64_MIN, INT64_MAX),
	    INT64_MIN);
	/* Only `len` bytes count. */
	assert_int_equal(num_parse("123", 2, 0, 100, &value), 0);
	assert_int_equal(value, 12);
}

static void
other_texts_are_no_numbers(void **state)
{
	static const char *const	bad[] = {
		"", "-", "+1", " 1", "1 ", "1x", "x", "0x10", "1.0", "--1",
		"1-", "/", ":", "99999999999999999999x"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], strlen(bad[i]), INT64_MIN, INT64_MAX, EINVAL);
	refused("1\0" "2", 3, 0, 100, EINVAL);
}

static void
numbers_out_of_range_are_refused(void **state)
{
	static const char *const	far[] = {
		"9223372036854775808", "-9223372036854775809",
		"18446744073709551617", "99999999999999999999999999999999"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		refused(far[i], strlen(far[i]), INT64_MIN, INT64_MAX, ERANGE);
	refused("11", 2, 0, 10, ERANGE);
	refused("-1", 2, 0, 10, ERANGE);
}

/* Told without a sum that could overflow. */
static bool
sum_fits(int64_t a, int64_t b)
{
	if (a > 0 && b > 0)
		return (uint64_t)a + (uint64_t)b <= INT64_MAX;
	if (a < 0 && b < 0)
		return (uint64_t)-(a + 1) + (uint64_t)-(b + 1) <
		    (uint64_t)INT64_MAX;
	return true;
}

/* The ends of int64_t and what is next to them, each with each. */
static const int64_t	edges[] = {
	INT64_MIN, INT64_MIN + 1, INT64_MIN / 2, INT64_C(-3037000500), -2, -1,
	0, 1, 2, 3, INT64_C(3037000499), INT64_C(3037000500), INT64_MAX / 2,
	INT64_MAX / 2 + 1, INT64_MAX - 1, INT64_MAX
};
#define EDGES	(sizeof(edges) / sizeof(edges[0]))

static void
sums_that_overflow_are_refused(void **state)
{
	size_t	i, j;
	int64_t	a, b, out;
	bool	fits;
	int	r;

	(void)state;
	for (i = 0; i < EDGES; i++)
		for (j = 0; j < EDGES; j++) {
			a = edges[i];
			b = edges[j];
			fits = sum_fits(a, b);
			out = -99;
			errno = 0;
			r = num_add(a, b, &out);
			assert_int_equal(r, fits ? 0 : -1);
			if (fits) {
				assert_int_equal(out, (int64_t)((uint64_t)a +
				    (uint64_t)b));
				assert_int_equal(num_add_clamp(a, b), out);
				assert_int_equal(num_sub(out, b, &out), 0);
				assert_int_equal(out, a);
			} else {
				assert_int_equal(out, -99);
				assert_int_equal(errno, ERANGE);
				assert_int_equal(num_add_clamp(a, b),
				    a > 0 ? INT64_MAX : INT64_MIN);
			}
		}
}

static void
differences_that_overflow_are_refused(void **state)
{
	int64_t	out;

	(void)state;
	assert_int_equal(num_sub_clamp(0, INT64_MIN), INT64_MAX);
	assert_int_equal(num_sub_clamp(-2, INT64_MAX), INT64_MIN);
	assert_int_equal(num_sub_clamp(-1, INT64_MIN), INT64_MAX);
	assert_int_equal(num_sub_clamp(5, 7), -2);
	assert_int_equal(num_sub(0, INT64_MIN, &out), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(num_sub(-1, INT64_MIN, &out), 0);
	assert_int_equal(out, INT64_MAX);
	assert_int_equal(num_sub(INT64_MIN, 1, &out), -1);
	assert_int_equal(num_sub(INT64_MAX, -1, &out), -1);
	assert_int_equal(num_sub(INT64_MIN, INT64_MIN, &out), 0);
	assert_int_equal(out, 0);
}

static void
products_that_overflow_are_refused(void **state)
{
	size_t	i, j;
	int64_t	a, b, out;

	(void)state;
	for (i = 0; i < EDGES; i++)
		for (j = 0; j < EDGES; j++) {
			a = edges[i];
			b = edges[j];
			out = -99;
			if (num_mul(a, b, &out) == 0) {
				assert_int_equal(out, (int64_t)((uint64_t)a *
				    (uint64_t)b));
				if (a != 0 && !(a == -1 && out == INT64_MIN)) {
					assert_int_equal(out / a, b);
					assert_int_equal(out % a, 0);
				}
				continue;
			}
			assert_int_equal(errno, ERANGE);
			assert_int_equal(out, -99);
			/*
			 * What was refused is at least 2^63 without its sign.
			 */
			assert_true((a < 0 ? -(double)a : (double)a) *
			    (b < 0 ? -(double)b : (double)b) >=
			    9.2233720368547e18);
		}
	assert_int_equal(num_mul(INT64_MIN, -1, &out), -1);
	assert_int_equal(num_mul(-1, INT64_MIN, &out), -1);
	assert_int_equal(num_mul(INT64_MIN, 1, &out), 0);
	assert_int_equal(num_mul(INT64_C(3037000499), INT64_C(3037000499),
	    &out), 0);
	assert_int_equal(num_mul(INT64_C(3037000500), INT64_C(3037000500),
	    &out), -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(numbers_are_parsed),
		cmocka_unit_test(other_texts_are_no_numbers),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(sums_that_overflow_are_refused),
		cmocka_unit_test(differences_that_overflow_are_refused),
		cmocka_unit_test(products_that_overflow_are_refused)
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
