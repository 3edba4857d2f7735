#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/ids.h"
#include "lib/alloc.h"
#include "rig.h"

/* id_sql. */

enum backend_of { SQLITE, PGSQL, MYSQL };

static enum backend_of
backend(void)
{
	return strcmp(store_placeholder, "?1") == 0 ? SQLITE :
	    strcmp(store_placeholder, "$1") == 0 ? PGSQL : MYSQL;
}

static void
set_query(struct rig *r, const char *query)
{
	free(r->settings->rules[0].id_sql);
	r->settings->rules[0].id_sql = alloc_string(query);
	rig_reopen(r);
}

static int
setup(void **state)
{
	struct rig		*r;
	struct settings_rule	*rule;

	(void)rig_setup(state);
	r = *state;
	rule = alloc_zero(2, sizeof(*rule));
	rule[0].name = alloc_string("box");
	rule[1].name = alloc_string("other");
	rule[0].unless = rule[1].unless = -1;
	rule[0].limits.list = alloc_zero(1, sizeof(struct limit));
	rule[0].limits.list[0] = (struct limit){ 3, 60 };
	rule[0].limits.count = 1;
	r->settings->rules = rule;
	r->settings->nrules = 2;
	(void)rig_sql(r, "CREATE TABLE box (login varchar(60),"
	    " mailbox varchar(400))");
	(void)rig_sql(r, "INSERT INTO box VALUES ('bob', 'bob@example.org'),"
	    " ('bob@alias.example', 'bob@example.org'), ('nil', NULL),"
	    " ('empty', ''), ('blank', '   '), ('loud', 'Bob@Example.ORG  ')");
	set_query(r, "SELECT mailbox FROM box WHERE login = %s");
	return 0;
}

/* The charge of a login under the rule's limits, [[3, 60]]. */
static void
charge(struct rig_charge *c, const char *id)
{
	rig_charge(c, id, 1, 3, 60);
	c->m.keys[0].map = true;
}

static int
ask(struct rig *r, const char *id)
{
	struct rig_charge	c;

	charge(&c, id);
	return rig_ask(r, &c);
}

static int
room(struct rig *r, const char *id)
{
	int	n = 0;

	while (ask(r, id) == VERDICT_ACCEPTED && n < 100)
		n++;
	return n;
}

static void
later(struct rig *r, int seconds)
{
	r->mono += seconds * INT64_C(1000000000) + 100000000;
}

static void
one_count_for_all_of_them(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(ask(r, "box:bob"), VERDICT_ACCEPTED);
	assert_int_equal(ask(r, "box:bob@alias.example"), VERDICT_ACCEPTED);
	assert_int_equal(ask(r, "box:bob@example.org"), VERDICT_ACCEPTED);
	assert_int_equal(room(r, "box:bob"), 0);
	assert_int_equal(room(r, "box:bob@alias.example"), 0);
	assert_int_equal(room(r, "box:bob@example.org"), 0);
	assert_int_equal(rig_sum(r, "box:bob@example.org"), 3);
	assert_int_equal(rig_sum(r, "box:bob"), 0);
}

static void
no_row_is_the_value_itself(void **state)
{
	static const char *const	ids[] = {
		"box:eve", "box:nil", "box:empty", "box:blank"
	};
	struct rig			*r = *state;
	size_t				 i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(room(r, ids[i]), 3);
		assert_int_equal(rig_sum(r, ids[i]), 3);
	}
}

static void
verdict_has_the_id(void **state)
{
	struct rig			*r = *state;
	const struct msg_verdict	*v;
	struct rig_charge		 c;

	r->settings->fold_case = true;
	charge(&c, "box:loud");
	c.m.keys[0].amount = 2;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "box:bob@example.org"), 2);
	charge(&c, "box:eve");
	c.m.keys[0].amount = 4;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, r->next - 1)->mapped, 0);
	charge(&c, "box:bob");
	c.m.keys[0].amount = 2;
	(void)rig_add(r, &c);
	while (r->batch->count > 0)
		(void)rig_run_once(r);
	v = rig_answer(r, r->next - 1);
	assert_int_equal(v->verdict, VERDICT_REFUSED);
	assert_int_equal(v->used, 2);
	assert_int_equal(v->mapped, 1);
	assert_string_equal(r->mapped, "box:bob@example.org");
}

static void
change_is_followed_within_a_minute(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(room(r, "box:bob"), 3);
	(void)rig_sql(r, "UPDATE box SET mailbox = 'new@example.org'"
	    " WHERE login = 'bob'");
	later(r, 58);
	assert_int_equal(room(r, "box:bob"), 0);
	later(r, 2);
	assert_int_equal(room(r, "box:bob"), 3);
	assert_int_equal(rig_sum(r, "box:new@example.org"), 3);
	(void)rig_sql(r, "DELETE FROM box WHERE login = 'bob'");
	later(r, 60);
	assert_int_equal(room(r, "box:bob"), 3);
	assert_int_equal(rig_sum(r, "box:bob"), 3);
}

static void
last_id_stays_while_the_query_fails(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(ask(r, "box:bob"), VERDICT_ACCEPTED);
	(void)rig_sql(r, "ALTER TABLE box RENAME TO gone");
	later(r, 60);
	assert_int_equal(ask(r, "box:bob"), VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "box:bob@example.org"), 2);
	/* Nobody knows this one. */
	assert_int_equal(ask(r, "box:eve"), VERDICT_UNAVAILABLE);
	rig_reopen(r);
	assert_int_equal(ask(r, "box:bob"), VERDICT_UNAVAILABLE);
	assert_int_equal(rig_one(r, "other:bob", 1, 1, 60), VERDICT_ACCEPTED);
	(void)rig_sql(r, "ALTER TABLE gone RENAME TO box");
	later(r, 1);
	assert_int_equal(room(r, "box:bob"), 1);
	assert_int_equal(room(r, "box:eve"), 3);
}

static void
fails_for_one_and_not_for_others(void **state)
{
	static const char *const	query[] = {
		[SQLITE] = "SELECT CASE WHEN %s = 'bad' THEN"
		    " abs(-9223372036854775807 - 1) ELSE 'x' END",
		[PGSQL] = "SELECT CASE WHEN $1 = 'bad' THEN"
		    " (SELECT login FROM box) ELSE 'x' END",
		[MYSQL] = "SELECT CASE WHEN ? = 'bad' THEN"
		    " (SELECT login FROM box) ELSE 'x' END"
	};
	struct rig			*r = *state;
	struct rig_charge		 good, bad;
	uint64_t			 one, two;

	set_query(r, query[backend()]);
	charge(&bad, "box:bad");
	charge(&good, "box:good");
	one = rig_add(r, &bad);
	two = rig_add(r, &good);
	rig_run(r);
	assert_int_equal(rig_answer(r, one)->verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(rig_answer(r, two)->verdict, VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "box:x"), 1);
}

/* It is given up after a quarter of the time that a request waits. */
static void
slow_query_takes_a_quarter(void **state)
{
	static const char *const	query[] = {
		[SQLITE] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
		    " SELECT i + 1 FROM n WHERE i < 1000000000)"
		    " SELECT max(i) FROM n WHERE %s <> ''",
		[PGSQL] = "SELECT $1 FROM pg_sleep(60)",
		[MYSQL] = "SELECT concat(?, sleep(60)) FROM box"
	};
	struct rig			*r = *state;
	struct rig_charge		 c;
	uint64_t			 first, n = 20, i;
	int64_t				 began, took;
	char				 id[20];

	set_query(r, query[backend()]);
	r->settings->db_timeout = 2000;
	r->timeout = 60000;
	first = r->next;
	for (i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "box:u%d", (int)i);
		charge(&c, id);
		(void)rig_add(r, &c);
	}
	rig_charge(&c, "other:bob", 1, 1, 60);
	(void)rig_add(r, &c);
	began = clock_mono().ns;
	rig_run(r);
	took = (clock_mono().ns - began) / 1000000;
	for (i = 0; i < n; i++)
		assert_int_equal(rig_answer(r, first + i)->verdict,
		    VERDICT_UNAVAILABLE);
	assert_int_equal(rig_answer(r, first + n)->verdict, VERDICT_ACCEPTED);
	/* All of them together: 20 quarters would be ten seconds. */
	assert_in_range(took, 400, 8000);
	/* And nothing of it stays in the session. */
	(void)rig_sql(r, "UPDATE box SET login = 'u0' WHERE login = 'bob'");
	assert_int_equal(rig_one(r, "other:eve", 1, 1, 60), VERDICT_ACCEPTED);
}

static void
limits_are_those_of_the_id(void **state)
{
	struct rig		*r = *state;
	struct ids_entry	*e;
	struct rig_charge	 c;
	bool			 fresh;
	int			 n;

	r->settings->rules[0].limits_by_id = ids_new(r->settings);
	e = ids_add(r->settings->rules[0].limits_by_id, "bob@example.org",
	    strlen("bob@example.org"), &fresh);
	e->limits.list = alloc_zero(1, sizeof(struct limit));
	e->limits.list[0] = (struct limit){ 5, 60 };
	e->limits.count = 1;
	assert_int_equal(room(r, "box:bob"), 5);
	assert_int_equal(room(r, "box:eve"), 3);
	(void)rig_sql(r,
	    "INSERT INTO rate_limits VALUES ('bob@example.org', '[[7, 60]]')");
	r->settings->rules[0].sql_limits_by_id =
	    alloc_string("SELECT limits FROM rate_limits WHERE id = ?");
	rig_reopen(r);
	charge(&c, "box:bob");
	c.m.keys[0].sql = true;
	for (n = 0; rig_ask(r, &c) == VERDICT_ACCEPTED; n++)
		continue;
	assert_int_equal(n, 2);
}

static void
id_that_cannot_be_stored_is_ignored(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "INSERT INTO box VALUES ('long', '%0300d')", 1);
	assert_int_equal(room(r, "box:long"), 3);
	assert_int_equal(rig_sum(r, "box:long"), 3);
}

/* While the rows of the id are read, the charge waits for further batches. */
static void
charge_that_waits_is_asked_again(void **state)
{
	struct rig	*r = *state;
	struct rig_charge	c;
	int		 i;

	for (i = 0; i < 3; i++)
		assert_int_equal(ask(r, "box:bob"), VERDICT_ACCEPTED);
	rig_reopen(r);
	charge(&c, "box:bob@alias.example");
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
}

static void
grant_goes_to_the_id(void **state)
{
	struct rig	*r = *state;
	const char	*id = "box:bob";
	size_t		 len = strlen(id);
	bool		 unknown;

	assert_int_equal(charge_batch_map(r->batch, clock_mono(),
	    &r->settings->rules[0], &id, &len, &unknown), STORE_OK);
	assert_false(unknown);
	assert_int_equal(len, strlen("box:bob@example.org"));
	assert_memory_equal(id, "box:bob@example.org", len);
	id = "other:bob";
	len = strlen(id);
	assert_int_equal(charge_batch_map(r->batch, clock_mono(),
	    &r->settings->rules[1], &id, &len, &unknown), STORE_OK);
	assert_string_equal(id, "other:bob");
}

/* An id that is stored as a hash has no rule's name in front. */
static void
long_id_has_counts_under_an_earlier_name(void **state)
{
	struct rig		*r = *state;
	struct settings_rule	*rule = &r->settings->rules[1];
	struct rig_charge	 c;
	char			 id[400];

	(void)snprintf(id, sizeof(id), "old:%0300d", 1);
	assert_int_equal(room(r, id), 3);
	rule->was[rule->nwas++] = alloc_string("old");
	(void)snprintf(id, sizeof(id), "other:%0300d", 1);
	rig_charge(&c, id, 1, 3, 60);
	c.m.keys[0].rule = 1;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(one_count_for_all_of_them),
		TEST(no_row_is_the_value_itself),
		TEST(verdict_has_the_id),
		TEST(change_is_followed_within_a_minute),
		TEST(last_id_stays_while_the_query_fails),
		TEST(fails_for_one_and_not_for_others),
		TEST(slow_query_takes_a_quarter),
		TEST(limits_are_those_of_the_id),
		TEST(id_that_cannot_be_stored_is_ignored),
		TEST(charge_that_waits_is_asked_again),
		TEST(grant_goes_to_the_id),
		TEST(long_id_has_counts_under_an_earlier_name)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("ids", tests, NULL, NULL);
	rig_end();
	return failed;
}
