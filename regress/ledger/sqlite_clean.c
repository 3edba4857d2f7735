#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "rig.h"

/* What cleaning deletes, by a right clock and by a wrong one. */

static int
teardown(void **state)
{
	rig_free(*state);
	store_sizes.tail = 50000;
	return 0;
}

static void
clean_twice_the_longest_window(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 50;
	/* The default's longest window is a day. */
	rig_fill(r, "bob", 100, 3600);
	assert_int_equal(rig_one(r, "bob", 1, 1000, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	assert_int_equal(rig_clean(r), 51);
	assert_int_equal(rig_sum(r, "bob"), 50);
	assert_int_equal(rig_clean(r), 0);
	assert_int_equal(rig_one(r, "bob", 1, 25, 86400), VERDICT_REFUSED);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, 25, 86400), VERDICT_REFUSED);
	/* A longer window shows what there is, in the runs as in the rows. */
	assert_int_equal(rig_one(r, "bob", 1, 50, 1000000), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 51, 1000000), VERDICT_ACCEPTED);
}

static int64_t
tails_of(const struct rig *r)
{
	const struct store	*s = r->store;

	return s->tails;
}

/* A daemon reads nothing again, and writes no deleted count into a run. */
static void
clean_beside_a_daemon(void **state)
{
	struct rig	*r = *state, *cleaner = rig_beside(r);
	int64_t		 tails;

	rig_open(cleaner);
	rig_fill(r, "bob", 100, 3600);
	rig_fill(r, "eve", 5, 400000);
	assert_int_equal(rig_one(r, "bob", 1, 1000, 60), VERDICT_ACCEPTED);
	tails = tails_of(r);
	assert_int_equal(rig_clean(cleaner), 51 + 4);
	assert_int_equal(rig_one(r, "bob", 1, 25, 86400), VERDICT_REFUSED);
	assert_int_equal(tails_of(r), tails);
	store_sizes.tail = 1;
	rig_idle(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_run"), 1);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, 50, 1000000), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 51, 1000000), VERDICT_ACCEPTED);
	assert_int_equal(rig_one(r, "eve", 1, 1, 10000000), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "eve", 1, 2, 10000000), VERDICT_ACCEPTED);
	rig_free(cleaner);
}

/* The rowid of the newest row is given out again: no daemon misses that row. */
static void
clean_deletes_the_newest_row(void **state)
{
	struct rig	*r = *state, *other = rig_beside(r);

	rig_open(other);
	assert_int_equal(rig_room(r, "bob", 3, 60), 3);
	assert_int_equal(rig_one(other, "eve", 1, 1, 60), VERDICT_ACCEPTED);
	r->now += 400000;
	other->now = r->now;
	assert_int_equal(rig_clean(r), 4);
	assert_int_equal(rig_one(r, "bob", 1, 1, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_one(other, "bob", 1, 1, 60), VERDICT_REFUSED);
	rig_free(other);
}

static void
clean_shortens_custom_window(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	free(r->settings->sql_limits_by_id);
	r->settings->sql_limits_by_id =
	    alloc_string("SELECT limits FROM rate_limits WHERE id = ?");
	rig_reopen(r);
	(void)rig_sql(r, "INSERT INTO rate_limits VALUES"
	    " ('bob', '[[20, 1000000]]')");
	rig_fill(r, "bob", 20, 50000);
	rig_charge(&c, "bob", 1, 10, 60);
	c.m.keys[0].sql = true;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_clean(r), 0);
	/*
	 * Also when another process cleans at once, which asked for no limits.
	 */
	rig_reopen(r);
	assert_int_equal(rig_clean(r), 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	/* Not for ever: nothing of it is left after twice the window. */
	r->now += 2000001;
	rig_reopen(r);
	assert_int_equal(rig_clean(r), 20);
}

static void
clean_values_and_runs(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	char			*value;
	int			 i;

	store_sizes.tail = 100;
	for (i = 0; i < 5000; i++) {
		value = alloc_printf("v%d", i);
		rig_charge(&c, "places:bob", 1, 100000, 86400);
		c.m.keys[0].kind = CHARGE_DISTINCT;
		c.m.keys[0].value = value;
		c.m.keys[0].valuelen = strlen(value);
		(void)rig_add(r, &c);
		if (i % 50 == 49)
			rig_run(r);
		free(value);
	}
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_distinct"),
	    5000);
	rig_idle(r);
	r->now += 200000;
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_clean(r), 5000);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_distinct"), 0);
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_run"), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_part"), 0);
}

static void
space_is_given_back(void **state)
{
	struct rig	*r = *state;
	int64_t		 pages;

	rig_fill(r, "somebody.with.a.long.name@subdomain.example.org", 200000,
	    0);
	pages = rig_sql(r, "PRAGMA page_count");
	r->now += 200000;
	assert_int_equal(rig_clean(r), 200000);
	assert_true(rig_sql(r, "PRAGMA page_count") < pages / 2);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count"), 0);
}

static void
charges_between_the_steps(void **state)
{
	struct rig	*r = *state;
	struct store_kept kept;
	int64_t		 position = 0, deleted, sum = 0, n = 0;

	store_sizes.tail = 50;
	rig_fill(r, "old", 1000, 0);
	assert_int_equal(rig_one(r, "eve", 1, 7, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	r->now += 200000;
	kept.first = r->now - 172800;
	kept.last = INT64_MAX;
	while (position != -1) {
		assert_int_equal(store_clean(r->store, &kept, 100, &position,
		    &deleted), STORE_OK);
		sum += deleted;
		n += rig_one(r, "bob", 1, 7, 60) == VERDICT_ACCEPTED;
	}
	assert_int_equal(sum, 1001);
	assert_int_equal(n, 7);
	assert_int_equal(rig_sum(r, "bob"), 7);
}

/* --- the clock --- */

#define DAY	INT64_C(86400)

/* As many as the limit permits, however often the ledger is restarted. */
static void
limit_holds(struct rig *r, const char *id)
{
	assert_int_equal(rig_room(r, id, 3, 3600), 3);
	rig_reopen(r);
	assert_int_equal(rig_room(r, id, 3, 3600), 0);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_room(r, id, 3, 3600), 0);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE id = '%s'", id);
	assert_int_equal(rig_room(r, id, 3, 3600), 3);
	(void)rig_sql(r, "UPDATE mail_count SET recipient_count = 2"
	    " WHERE id = '%s' AND recipient_count = 1", id);
	assert_int_equal(rig_room(r, id, 7, 3600), 1);
}

static void
clean_by_a_clock_that_is_ahead(void **state)
{
	struct rig	*r = *state, *other = rig_beside(r);

	rig_open(other);
	store_sizes.tail = 4;
	assert_int_equal(rig_room(r, "bob", 10, 3600), 10);
	rig_idle(r);
	assert_int_equal(rig_room(other, "bob", 10, 3600), 0);
	r->now += 30 * DAY;
	assert_int_equal(rig_one(r, "eve", 1, 3, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_clean(r), 10);
	r->now -= 30 * DAY;
	/* What was deleted is gone, for every daemon. */
	assert_int_equal(rig_room(other, "bob", 3, 3600), 3);
	rig_free(other);
	assert_int_equal(rig_room(r, "bob", 3, 3600), 0);
	assert_int_equal(rig_room(r, "eve", 3, 60), 3);
	limit_holds(r, "ann");
}

static void
clean_by_a_clock_that_is_behind(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 4;
	assert_int_equal(rig_room(r, "bob", 10, 3600), 10);
	rig_idle(r);
	r->now -= 30 * DAY;
	assert_int_equal(rig_room(r, "bob", 3, 3600), 3);
	/* Ten of them are far in the future by this clock. */
	assert_int_equal(rig_clean(r), 10);
	r->now += 30 * DAY;
	rig_idle(r);
	assert_int_equal(rig_room(r, "bob", 3, 3600), 3);
	limit_holds(r, "ann");
	assert_int_equal(rig_clean(r), 3);
	assert_int_equal(rig_room(r, "bob", 3, 3600), 0);
}

/* It has deleted some rows, and was killed; by the right clock all count. */
static void
clean_by_a_wrong_clock_that_was_interrupted(void **state)
{
	const struct store_kept	 kept = { RIG_NOW + 28 * DAY, RIG_NOW +
				    31 * DAY };
	struct rig		*r = *state;
	int64_t			 position = 0, deleted;

	store_sizes.tail = 4;
	assert_int_equal(rig_room(r, "bob", 10, 3600), 10);
	rig_idle(r);
	assert_int_equal(store_clean(r->store, &kept, 4, &position, &deleted),
	    STORE_OK);
	assert_int_equal(deleted, 4);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 10, 3600), 4);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 10, 3600), 0);
	limit_holds(r, "ann");
}

/* The next one goes on, also if it is later, and the runs stay. */
static void
clean_that_was_interrupted(void **state)
{
	struct store_kept	 kept = { RIG_NOW - 2 * DAY, RIG_NOW + DAY };
	struct rig		*r = *state;
	int64_t			 position = 0, deleted;

	store_sizes.tail = 4;
	rig_fill(r, "bob", 100, 3600);
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_run"), 1);
	assert_int_equal(store_clean(r->store, &kept, 4, &position, &deleted),
	    STORE_OK);
	assert_int_equal(deleted, 4);
	r->now += 3600;
	assert_int_equal(rig_clean(r), 100 - 4 - 48);
	assert_int_equal(rig_sql(r, "SELECT state FROM mail_run"), 1);
	assert_int_equal(rig_one(r, "bob", 1, 24, 86400), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 25, 86400), VERDICT_ACCEPTED);
}

/* Its runs do not have rows of the future that a later one keeps. */
static void
clean_that_was_interrupted_before_the_future(void **state)
{
	struct store_kept	 kept = { RIG_NOW - 2 * DAY, RIG_NOW + DAY };
	struct rig		*r = *state;
	int64_t			 position = 0, deleted;

	store_sizes.tail = 4;
	rig_fill(r, "eve", 100, 3600);
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, recipient_count)"
	    " VALUES ('bob', %lld, 7)", (long long)(r->now + DAY + 60));
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	assert_int_equal(store_clean(r->store, &kept, 4, &position, &deleted),
	    STORE_OK);
	r->now += 3600;
	(void)rig_clean(r);
	r->now += DAY - 3600;
	assert_int_equal(rig_room(r, "bob", 10, 3600), 3);
}

static void
rows_far_in_the_future_never_count(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 50;
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, recipient_count)"
	    " VALUES ('bob', %lld, 7), ('bob', %lld, 1)",
	    (long long)(r->now + 365 * DAY), (long long)(r->now + DAY));
	rig_fill(r, "eve", 100, 1);
	assert_int_equal(rig_room(r, "bob", 3, 3600), 2);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 3, 3600), 0);
	assert_int_equal(rig_clean(r), 1);
	assert_int_equal(rig_sum(r, "bob"), 3);
	/* The run that held it must not tell of it once its time has come. */
	r->now += 365 * DAY;
	assert_int_equal(rig_room(r, "bob", 3, 3600), 3);
}

/* A run that another process writes is not taken for one left behind. */
static void
run_that_began_by_another_clock(void **state)
{
	struct rig	*r = *state, *other = rig_beside(r);
	int64_t		 i;

	rig_open(other);
	store_sizes.tail = 100;
	for (i = 0; i < 400; i++) {
		assert_int_equal(rig_one(r, "bob", 1, 1000, 3600),
		    VERDICT_ACCEPTED);
		(void)rig_sql(r, "UPDATE mail_run SET began = %d WHERE"
		    " state = 0", i % 2 == 0 ? 0 : 2000000000);
		(void)rig_sql(r, "UPDATE mail_state SET value = value + 1"
		    " WHERE name = 'runs'");
		assert_int_equal(rig_one(other, "eve", 1, 1000, 3600),
		    VERDICT_ACCEPTED);
		(void)store_idle(other->store);
		r->next = other->next = 0;
	}
	rig_free(other);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 401, 3600), 1);
	assert_int_equal(rig_room(r, "eve", 401, 3600), 1);
}
#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, rig_setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(clean_twice_the_longest_window),
		TEST(clean_beside_a_daemon),
		TEST(clean_deletes_the_newest_row),
		TEST(clean_shortens_custom_window),
		TEST(clean_values_and_runs),
		TEST(space_is_given_back),
		TEST(charges_between_the_steps),
		TEST(clean_by_a_clock_that_is_ahead),
		TEST(clean_by_a_clock_that_is_behind),
		TEST(clean_by_a_wrong_clock_that_was_interrupted),
		TEST(clean_that_was_interrupted),
		TEST(clean_that_was_interrupted_before_the_future),
		TEST(rows_far_in_the_future_never_count),
		TEST(run_that_began_by_another_clock)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("sqlite_clean", tests, NULL,
	    NULL);
	rig_end();
	return failed;
}
