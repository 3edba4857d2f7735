#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/alloc.h"
#include "rig.h"

/* sql_limits_by_id. */

static void
set_query(struct rig *r, const char *query)
{
	free(r->settings->sql_limits_by_id);
	r->settings->sql_limits_by_id = alloc_string(query);
	rig_reopen(r);
}

static int
setup(void **state)
{
	struct rig	*r;

	(void)rig_setup(state);
	r = *state;
	(void)rig_sql(r, "INSERT INTO rate_limits VALUES ('bob', '[[2, 60]]')");
	set_query(r, "SELECT limits FROM rate_limits WHERE id = %s");
	return 0;
}

/* Under [[5, 60]] unless the table says otherwise. */
static int
ask(struct rig *r, const char *id)
{
	struct rig_charge	c;

	rig_charge(&c, id, 1, 5, 60);
	c.m.keys[0].sql = true;
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

/* Charges are asked again when the answer is a second old. */
static void
second_later(struct rig *r)
{
	r->mono += INT64_C(1100000000);
}

static void
row_replaces_limits(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(room(r, "bob"), 2);
	assert_int_equal(room(r, "eve"), 5);
}

static void
sql_limits_cached_for_ever(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(room(r, "bob"), 2);
	(void)rig_sql(r, "UPDATE rate_limits SET limits = '[[4, 60]]'");
	second_later(r);
	assert_int_equal(room(r, "bob"), 2);
	(void)rig_sql(r, "DELETE FROM rate_limits");
	second_later(r);
	assert_int_equal(room(r, "bob"), 1);
	(void)rig_sql(r,
	    "INSERT INTO rate_limits VALUES ('bob', '((6, 60),)')");
	second_later(r);
	assert_int_equal(room(r, "bob"), 1);
}

static void
not_asked_for_each_request(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(room(r, "bob"), 2);
	/* Within the second nobody looks. */
	(void)rig_sql(r, "UPDATE rate_limits SET limits = '[[4, 60]]'");
	assert_int_equal(room(r, "bob"), 0);
}

static void
longer_window_than_any(void **state)
{
	struct rig	*r = *state;

	r->now -= 200000;
	assert_int_equal(rig_one(r, "bob", 3, 5, 60), VERDICT_ACCEPTED);
	r->now += 200000;
	assert_int_equal(room(r, "bob"), 2);
	/* Older counts than were in memory are asked for now. */
	(void)rig_sql(r, "UPDATE rate_limits SET limits = '[[6, 300000]]'");
	second_later(r);
	assert_int_equal(room(r, "bob"), 1);
}

static void
empty_list_is_no_limit_and_is_recorded(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "UPDATE rate_limits SET limits = '[]'");
	assert_int_equal(room(r, "bob"), 100);
	assert_int_equal(rig_sum(r, "bob"), 101);
}

static void
broken_row_is_no_row(void **state)
{
	static const char *const	broken[] = {
		"", "[[10, 60]", "10", "[[10, -60]]", "[[1, 2, 3]]", "None",
		"__import__(\"os\")", "[[10, 60]] + 1", "[(0, \"a\")]"
	};
	struct rig			*r = *state;
	size_t				i;
	char				*id;

	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		id = alloc_printf("user%zu", i);
		(void)rig_sql(r, "INSERT INTO rate_limits VALUES ('%s', '%s')",
		    id, broken[i]);
		assert_int_equal(room(r, id), 5);
		free(id);
	}
	(void)rig_sql(r, "DROP TABLE rate_limits; CREATE TABLE rate_limits"
	    " (id varchar(40), limits varchar(40));"
	    "INSERT INTO rate_limits VALUES ('zoe', NULL)");
	assert_int_equal(room(r, "zoe"), 5);
}

static void
query_that_fails_opens_no_door(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(room(r, "bob"), 2);
	(void)rig_sql(r, "ALTER TABLE rate_limits RENAME COLUMN limits TO l");
	second_later(r);
	assert_int_equal(room(r, "bob"), 0);
	assert_int_equal(room(r, "eve"), 5);
	(void)rig_sql(r, "ALTER TABLE rate_limits RENAME COLUMN l TO limits");
	(void)rig_sql(r, "UPDATE rate_limits SET limits = '[[3, 60]]'");
	second_later(r);
	assert_int_equal(room(r, "bob"), 1);
}

static void
placeholder_in_any_style(void **state)
{
	static const char *const	query[] = {
		"SELECT limits FROM rate_limits WHERE id = ?",
		"SELECT limits FROM rate_limits WHERE id = $1",
		"SELECT limits FROM rate_limits WHERE id = %s"
		    " OR id LIKE '%%no %%s'",
		"SELECT limits FROM rate_limits -- %s ?\n WHERE id = ?"
		    " AND '?' <> '%'"
	};
	struct rig			*r = *state;
	size_t				i;

	for (i = 0; i < sizeof(query) / sizeof(query[0]); i++) {
		set_query(r, query[i]);
		r->now += 100;
		assert_int_equal(room(r, "bob"), 2);
		assert_int_equal(room(r, "eve"), 5);
	}
}

/* Also such as do not fit into another query. */
static void
query_of_any_shape(void **state)
{
	static const char *const	query[] = {
		"SELECT limits, limits FROM rate_limits WHERE id = %s",
		"SELECT limits, id, id FROM rate_limits WHERE id = ? ;",
		"SELECT limits FROM rate_limits WHERE id = ? ORDER BY limits"
		    " LIMIT 1",
		"SELECT limits FROM rate_limits WHERE id = $1 UNION ALL"
		    " SELECT limits FROM rate_limits WHERE id = $1 -- so"
	};
	struct rig			*r = *state;
	struct rig_charge		 c;
	size_t				 i;

	for (i = 0; i < sizeof(query) / sizeof(query[0]); i++) {
		set_query(r, query[i]);
		r->now += 100;
		/* Several in one batch. */
		rig_charge(&c, "zoe", 1, 5, 60);
		c.m.keys[0].sql = true;
		(void)rig_add(r, &c);
		assert_int_equal(room(r, "bob"), 2);
		assert_int_equal(room(r, "eve"), 5);
		second_later(r);
		assert_int_equal(room(r, "bob"), 0);
	}
}

static void
how_a_query_is_read(void **state)
{
	static const struct {
		const char	*query;
		const char	*wanted;	/* NULL: has no placeholder */
	} list[] = {{"a = %s", "a = <>"}, {"a = ?", "a = <>"},
	    {"a = $1", "a = <>"}, {"a = $12", NULL}, {"a = '%s'", NULL},
	    {"a = \"?\"", NULL}, {"a /* ? */ -- $1", NULL},
	    {"a % 2 = %s", "a % 2 = <>"}, {"a %% 2 = %s", "a % 2 = <>"},
	    {"a %% 2 = ?", "a %% 2 = <>"},
	    {"a LIKE '%%x' AND b = %s", "a LIKE '%x' AND b = <>"},
	    {"a = ? AND b = '?' AND c = ?", "a = <> AND b = '?' AND c = <>"},
	    {"a = 'it''s ?' AND b = ?", "a = 'it''s ?' AND b = <>"},
	    {"a = ? -- '\nAND b = ?", "a = <> -- '\nAND b = <>"},
	    {"a = ? /* '?' */ '", "a = <> /* '?' */ '"}, {"", NULL}};
	struct str	out;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		str_init(&out);
		assert_int_equal(lookup_query(&out, list[i].query, "<>"),
		    list[i].wanted == NULL ? -1 : 0);
		if (list[i].wanted != NULL)
			assert_string_equal(out.data, list[i].wanted);
		str_clear(&out);
	}
}

static void
rules_ask_without_their_name(void **state)
{
	struct rig		*r = *state;
	struct settings_rule	*rule;
	struct rig_charge	 c;
	int			 i;

	rule = alloc_zero(2, sizeof(*rule));
	rule[0].name = alloc_string("first");
	rule[1].name = alloc_string("second");
	rule[1].sql_limits_by_id =
	    alloc_string("SELECT limits FROM rate_limits WHERE id = ?");
	rule[0].unless = rule[1].unless = -1;
	r->settings->rules = rule;
	r->settings->nrules = 2;
	rig_reopen(r);
	rig_charge(&c, "second:bob", 1, 5, 60);
	c.m.keys[0].sql = true;
	c.m.keys[0].rule = 1;
	for (i = 0; i < 3; i++)
		assert_int_equal(rig_ask(r, &c), i < 2 ? VERDICT_ACCEPTED :
		    VERDICT_REFUSED);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(row_replaces_limits),
		TEST(sql_limits_cached_for_ever),
		TEST(not_asked_for_each_request),
		TEST(longer_window_than_any),
		TEST(empty_list_is_no_limit_and_is_recorded),
		TEST(broken_row_is_no_row),
		TEST(query_that_fails_opens_no_door),
		TEST(placeholder_in_any_style),
		TEST(query_of_any_shape),
		cmocka_unit_test(how_a_query_is_read),
		TEST(rules_ask_without_their_name)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("limits", tests, NULL, NULL);
	rig_end();
	return failed;
}
