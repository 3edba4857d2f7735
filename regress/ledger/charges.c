#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

/* What SPEC.md 3 says of a decision, asked of a ledger with its database. */

static int
setup(void **state)
{
	struct rig	*r;

	r = rig_new();
	rig_open(r);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void
room_for_n_takes_n(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
	assert_int_equal(rig_sum(r, "bob"), 10);
	assert_int_equal(rig_room(r, "eve", 3, 60), 3);
	/* A window ends with the second before now - seconds. */
	r->now += 60;
	assert_int_equal(rig_room(r, "bob", 10, 60), 0);
	r->now += 1;
	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
}

static void
one_batch_decides_in_order(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 i;

	for (i = 0; i < 25; i++) {
		rig_charge(&c, "bob", 2, 11, 60);
		assert_int_equal(rig_add(r, &c), i);
	}
	rig_run(r);
	for (i = 0; i < 25; i++)
		assert_int_equal(rig_answer(r, i)->verdict,
		    i < 5 ? VERDICT_ACCEPTED : VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, 5)->used, 10);
	assert_int_equal(rig_answer(r, 5)->limit.mails, 11);
	assert_int_equal(rig_answer(r, 5)->limit.seconds, 60);
	assert_int_equal(rig_answer(r, 5)->retry_after, 61);
	assert_int_equal(rig_sum(r, "bob"), 10);
}

static void
restart_keeps_counts(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_one(r, "bob", 9, 10, 60), VERDICT_ACCEPTED);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 2, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] =
	    {cmocka_unit_test_setup_teardown(room_for_n_takes_n, setup,
		 teardown),
		cmocka_unit_test_setup_teardown(one_batch_decides_in_order,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(restart_keeps_counts, setup,
		    teardown)};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_end();
	return failed;
}
