#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <time.h>
#include <cmocka.h>

#include "lib/clock.h"

static void
deadlines_pass(void **state)
{
	struct mono	t = { 5000000000 }, d;

	(void)state;
	d = clock_after(t, 1500);
	assert_int_equal(d.ns, 6500000000);
	assert_false(clock_passed(d, t));
	assert_true(clock_passed(d, d));
	assert_true(clock_passed(t, d));
	assert_int_equal(clock_left(d, t), 1500);
	assert_int_equal(clock_left(t, d), 0);
	assert_int_equal(clock_left(d, d), 0);
	assert_int_equal(clock_between(t, d), 1500000000);
	assert_int_equal(clock_between(d, t), -1500000000);
}

/* A wait that is rounded down would end before the deadline and spin. */
static void
left_is_rounded_up(void **state)
{
	struct mono	t = { 0 }, d = { 1 };

	(void)state;
	assert_int_equal(clock_left(d, t), 1);
	d.ns = 1000000;
	assert_int_equal(clock_left(d, t), 1);
	d.ns = 1000001;
	assert_int_equal(clock_left(d, t), 2);
}

static void
for_ever_never_passes(void **state)
{
	struct mono	t = { 5 }, d;

	(void)state;
	d = clock_after(t, INT64_MAX);
	assert_true(d.ns == INT64_MAX);
	assert_int_equal(clock_left(d, t), INT_MAX);
	d = clock_after(t, INT64_MIN);
	assert_true(d.ns < 0);
	assert_int_equal(clock_left(d, t), 0);
	t.ns = INT64_MAX;
	assert_true(clock_between(d, t) == INT64_MAX);
	assert_true(clock_between(t, d) == INT64_MIN);
}

static void
both_clocks_run(void **state)
{
	struct mono	a, b;
	int64_t		before, wall;

	(void)state;
	a = clock_mono();
	b = clock_mono();
	assert_true(a.ns > 0);
	assert_true(clock_between(a, b) >= 0);
	before = time(NULL);
	wall = clock_wall();
	/* time(3) may be some milliseconds behind. */
	assert_true(wall >= before && wall <= time(NULL) + 1);
}

static void
the_sooner_of_two_waits_is_chosen(void **state)
{
	(void)state;
	assert_int_equal(clock_sooner(-1, -1), -1);
	assert_int_equal(clock_sooner(-1, 5), 5);
	assert_int_equal(clock_sooner(5, -1), 5);
	assert_int_equal(clock_sooner(5, 0), 0);
	assert_int_equal(clock_sooner(3, 5), 3);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_sooner_of_two_waits_is_chosen),
		cmocka_unit_test(deadlines_pass),
		cmocka_unit_test(left_is_rounded_up),
		cmocka_unit_test(for_ever_never_passes),
		cmocka_unit_test(both_clocks_run)
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
