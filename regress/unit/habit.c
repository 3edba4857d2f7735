#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decision/habit.h"
#include "ipc/message.h"

#define DAY	INT64_C(86400)
#define NOON	(INT64_C(20000) * DAY + DAY / 2)	/* of some day */

static const struct habit_terms	terms = { 7 * DAY, 90 * DAY };
static const struct habit_terms	backstop = { 0, 90 * DAY };
static const struct habit_pair	never = { -1, 0 };

static void
a_network_becomes_familiar(void **state)
{
	struct habit_pair	p = never;

	(void)state;
	assert_false(habit_familiar(NULL, &terms, NOON));
	assert_false(habit_familiar(&p, &terms, NOON));
	assert_true(habit_learn(&p, &terms, NOON));
	assert_int_equal(p.first, NOON);
	assert_false(habit_familiar(&p, &terms, NOON));
	assert_false(habit_familiar(&p, &terms, NOON + 7 * DAY - 1));
	assert_true(habit_familiar(&p, &terms, NOON + 7 * DAY));
	/* Without `unfamiliar` no network is familiar. */
	assert_false(habit_familiar(&p, &backstop, NOON + 7 * DAY));
	/* Its last mail is `learn` ago, by days. */
	assert_true(habit_familiar(&p, &terms, NOON + 90 * DAY));
	assert_false(habit_familiar(&p, &terms, NOON + 91 * DAY));
	assert_true(habit_learn(&p, &terms, NOON + 91 * DAY));
	assert_int_equal(p.first, NOON + 91 * DAY);
}

static void
a_refusal_restarts_the_wait(void **state)
{
	struct habit_pair	p = never;

	(void)state;
	/* The time of an unknown network starts with its first mail. */
	assert_false(habit_refuse(&p, &terms, NOON));
	assert_int_equal(p.first, -1);
	assert_true(habit_learn(&p, &terms, NOON));
	assert_true(habit_refuse(&p, &terms, NOON + 6 * DAY));
	assert_false(habit_familiar(&p, &terms, NOON + 7 * DAY));
	/* Once a day. */
	assert_false(habit_refuse(&p, &terms, NOON + 6 * DAY + 10));
	/* Never earlier than `unfamiliar` after the last refusal. */
	assert_false(habit_familiar(&p, &terms, NOON + 13 * DAY));
	assert_true(habit_familiar(&p, &terms, NOON + 13 * DAY + DAY / 2));
}

static void
a_date_is_written_once_a_day(void **state)
{
	struct habit_pair	p = never;

	(void)state;
	assert_true(habit_learn(&p, &terms, NOON));
	assert_false(habit_learn(&p, &terms, NOON + DAY / 2 - 1));
	assert_int_equal(p.last, NOON);
	assert_true(habit_learn(&p, &terms, NOON + DAY / 2));
	assert_int_equal(p.first, NOON);
	assert_int_equal(p.last, NOON + DAY / 2);
}

static void
new_recipients_count_from_unfamiliar_networks(void **state)
{
	const struct habit_pair	old = { NOON - 30 * DAY, NOON - DAY };
	const struct habit_pair	young = { NOON - DAY, NOON - DAY };
	const struct habit_pair	gone = { NOON - 200 * DAY, NOON - 91 * DAY };

	(void)state;
	assert_int_equal(habit_amount(&old, &never, 1, &terms, NOON), 0);
	assert_int_equal(habit_amount(&old, NULL, 9, &terms, NOON), 0);
	assert_int_equal(habit_amount(&young, &never, 1, &terms, NOON), 1);
	assert_int_equal(habit_amount(&young, &gone, 1, &terms, NOON), 1);
	assert_int_equal(habit_amount(&young, &young, 1, &terms, NOON), 0);
	assert_int_equal(habit_amount(NULL, &never, 1, &terms, NOON), 1);
	assert_int_equal(habit_amount(NULL, NULL, 9, &terms, NOON), 9);
	assert_int_equal(habit_amount(&old, &never, 1, &backstop, NOON), 1);
	assert_int_equal(habit_amount(&old, &old, 1, &backstop, NOON), 0);
}

/* What was recorded while the clock was wrong. */
static void
a_clock_that_steps_back_is_harmless(void **state)
{
	struct habit_pair	ahead = { NOON - 30 * DAY, NOON + 900 * DAY };
	struct habit_pair	born = { NOON + 900 * DAY, NOON + 900 * DAY };

	(void)state;
	/* The network was familiar before. */
	assert_true(habit_familiar(&ahead, &terms, NOON));
	assert_true(habit_learn(&ahead, &terms, NOON));
	assert_int_equal(ahead.first, NOON - 30 * DAY);
	assert_int_equal(ahead.last, NOON);
	/* This one was not, and does not wait for 900 days. */
	assert_false(habit_known(&born, &terms, NOON));
	assert_true(habit_learn(&born, &terms, NOON));
	assert_int_equal(born.first, NOON);
	/* A rule does not learn for ever. */
	assert_true(habit_learning(NOON, NOON));
	assert_true(habit_learning(NOON, NOON + CHARGE_LEARNING - 1));
	assert_false(habit_learning(NOON, NOON + CHARGE_LEARNING));
	assert_true(habit_learning(NOON + 5, NOON));
	assert_false(habit_learning(NOON + 900 * DAY, NOON));
	/* Values that another program wrote. */
	born.first = born.last = INT64_MAX;
	assert_false(habit_known(&born, &terms, NOON));
	born.first = born.last = INT64_MIN;
	assert_false(habit_known(&born, &terms, NOON));
}

static void
the_oldest_are_evicted(void **state)
{
	struct habit_entry	list[300];
	size_t			i, n;

	(void)state;
	for (i = 0; i < 300; i++) {
		list[i].hash = i;
		list[i].pair.first = NOON - 50 * DAY;
		list[i].pair.last = NOON - (int64_t)(i * 7 % 300) * 100;
	}
	assert_int_equal(habit_evict(list, 256, 256, false, &terms, NOON), 0);
	n = habit_evict(list, 300, 256, false, &terms, NOON);
	assert_int_equal(n, 300 - 256 + 16);
	for (i = 0; i < n; i++)
		assert_int_equal(list[i].pair.last,
		    NOON - (int64_t)(299 - i) * 100);
	/* A familiar network stays, however long it was not used. */
	for (i = 0; i < 300; i++)
		if (list[i].pair.last > NOON - 20000)
			list[i].pair.first = NOON - DAY;
	n = habit_evict(list, 300, 256, true, &terms, NOON);
	for (i = 0; i < n; i++)
		assert_int_equal(list[i].pair.last,
		    NOON - (int64_t)(199 - i) * 100);
	for (i = n; i < 300; i++)
		assert_true(list[i].pair.last > NOON - 20000 ||
		    list[i].pair.first < NOON - 7 * DAY);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_network_becomes_familiar),
		cmocka_unit_test(a_refusal_restarts_the_wait),
		cmocka_unit_test(a_date_is_written_once_a_day),
		cmocka_unit_test(new_recipients_count_from_unfamiliar_networks),
		cmocka_unit_test(a_clock_that_steps_back_is_harmless),
		cmocka_unit_test(the_oldest_are_evicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
