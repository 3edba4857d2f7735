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

/*
 * What is in the tables: ids of all kinds, what older programs left, what
 * others write, and what all that costs.
 */

/* The database is made by the test. */
static int
setup_closed(void **state)
{
	*state = rig_new();
	return 0;
}

static int
teardown(void **state)
{
	rig_free(*state);
	store_sizes.tail = 50000;
	store_sizes.chunk = 200000;
	store_sizes.load = 100000;
	store_sizes.recent = 20000;
	return 0;
}

/* --- ids --- */

static void
id_longer_than_40(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	char			 a[301], b[301], bytes[3] = "\xff\xfe";
	int			 i;

	memset(a, 'a', sizeof(a) - 1);
	a[300] = '\0';
	memcpy(b, a, sizeof(b));
	b[299] = 'b';
	for (i = 0; i < 2; i++) {
		assert_int_equal(rig_one(r, a, 1, 2, 60), VERDICT_ACCEPTED);
		assert_int_equal(rig_one(r, b, 1, 2, 60), VERDICT_ACCEPTED);
		assert_int_equal(rig_one(r, bytes, 1, 2, 60), VERDICT_ACCEPTED);
		a[100] = '\0';
		assert_int_equal(rig_one(r, a, 1, 2, 60), VERDICT_ACCEPTED);
		a[100] = 'a';
		rig_reopen(r);
	}
	assert_int_equal(rig_one(r, a, 1, 2, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, b, 1, 2, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, bytes, 1, 2, 60), VERDICT_REFUSED);
	/* NUL and what lies behind it are part of the id. */
	rig_charge(&c, "bob", 2, 2, 60);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	c.m.keys[0].id = "bob\0x";
	c.m.keys[0].idlen = 5;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	c.m.keys[0].id = "bob\0y";
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r,
			     "SELECT count(DISTINCT id) FROM mail_count"),
	    7);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count WHERE"
	    " id LIKE 'sha256:%%' AND length(id) = 71"), 8);
}

static void
nobody_takes_a_hashed_place(void **state)
{
	struct rig	*r = *state;
	char		 a[301], *stored;

	memset(a, 'a', sizeof(a) - 1);
	a[300] = '\0';
	assert_int_equal(rig_one(r, a, 1, 1, 60), VERDICT_ACCEPTED);
	stored = outsider_text(r->outsider, r->path,
	    "SELECT id FROM mail_count");
	assert_int_equal(strncmp(stored, "sha256:", 7), 0);
	assert_int_equal(rig_one(r, stored, 1, 1, 60), VERDICT_ACCEPTED);
	free(stored);
}

static void
empty_id_and_instance(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	assert_int_equal(rig_room(r, "", 3, 60), 3);
	rig_charge(&c, "bob", 1, 10, 60);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count WHERE"
	    " id = 'bob' AND instance = 'empty'"
	    " AND protocol_state = 'DATA'"), 1);
	rig_instance(&c, "4e1.1.2.3", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count WHERE"
	    " id = 'bob' AND instance = '4e1.1.2.3'"), 1);
}

/* --- what older programs left --- */

static const char	v051[] =
	"CREATE TABLE mail_count (id varchar(40) NOT NULL,"
	" date int(32) NOT NULL);"
	"INSERT INTO mail_count WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
	" SELECT i + 1 FROM n WHERE i < 9) SELECT 'bob', 1699999990 + i FROM n";

static const char	v10[] =
	"CREATE TABLE mail_count (id varchar(40) NOT NULL,"
	" date bigint NOT NULL, recipient_count int DEFAULT 1,"
	" instance varchar(40) NOT NULL,"
	" protocol_state varchar(10) NOT NULL);"
	"CREATE INDEX mail_count_index ON mail_count (id, date);"
	"INSERT INTO mail_count VALUES ('bob', 1699999990, 4, 'a.b.c', 'RCPT'),"
	" ('bob', 1699999995, 5, 'empty', 'DATA'),"
	" ('eve', 1699999995, 9, 'x', 'y')";

static const char	v12[] =
	"CREATE TABLE limit_report (id varchar(40) NOT NULL,"
	" delta int NOT NULL, hit int NOT NULL DEFAULT 0);"
	"CREATE UNIQUE INDEX limit_report_index ON limit_report (id, delta);"
	"INSERT INTO limit_report VALUES ('bob', 86400, 3)";

static void
take_over(struct rig *r)
{
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 2, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_REFUSED);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "bob"), 10);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM sqlite_master WHERE"
	    " name = 'mail_count_index'"), 0);
}

static void
database_of_0_5_1(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "%s", v051);
	take_over(r);
}

static void
database_of_1_0(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "%s", v10);
	take_over(r);
}

static void
database_of_1_2(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	(void)rig_sql(r, "%s", v10);
	(void)rig_sql(r, "%s", v12);
	take_over(r);
	rig_charge(&c, "bob", 1, 1, 86400);
	c.m.keys[0].report = true;
	c.m.keys[0].reported = 1;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report"), 4);
}

/* Whose schema is as it was left, but who had fewer tables. */
static void
database_of_an_earlier_one_of_ours(void **state)
{
	struct rig	*r = *state;

	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
	rig_close(r);
	(void)rig_sql(r, "DROP TABLE limit_lock; UPDATE mail_state"
	    " SET value = (SELECT schema_version FROM pragma_schema_version)"
	    " WHERE name = 'schema'");
	rig_open(r);
	assert_int_equal(rig_room(r, "bob", 10, 60), 9);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_lock"), 0);
}

static void
take_over_was_interrupted(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "%s", v051);
	(void)rig_sql(r, "ALTER TABLE mail_count ADD COLUMN recipient_count int"
	    " DEFAULT 1");
	(void)rig_sql(r, "CREATE TABLE rate_limits (id, limits)");
	take_over(r);
}

/*
 * Older programs counted each spelling of a login for itself. With fold_case
 * they are one, so their counts are too; of ASCII's letters only.
 */
static void
older_counts_of_any_case(void **state)
{
	static const char	more[] =
		"INSERT INTO mail_count VALUES"
		" ('Bob', 1699999996, 1, 'x', 'y'),"
		" ('\xc3\x89va', 1699999996, 9, 'x', 'y')";
	struct rig		*r = *state;

	(void)rig_sql(r, "%s", v10);
	(void)rig_sql(r, "%s", more);
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_REFUSED);
	/* The rows stay: the older program may go on counting them. */
	assert_int_equal(rig_sum(r, "bob"), 9);
	assert_int_equal(rig_one(r, "\xc3\x89va", 2, 10, 60),
	    VERDICT_REFUSED);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_REFUSED);
}

/* The same without the index, and rows of 0.5.1. */
static void
oldest_counts_of_any_case(void **state)
{
	struct rig	*r = *state;

	(void)rig_sql(r, "%s", v051);
	(void)rig_sql(r, "INSERT INTO mail_count VALUES ('BoB', 1699999996)");
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "bob"), 9);
}

static void
older_counts_without_fold_case(void **state)
{
	struct rig	*r = *state;

	r->settings->fold_case = false;
	(void)rig_sql(r, "%s", v10);
	(void)rig_sql(r, "INSERT INTO mail_count VALUES"
	    " ('Bob', 1699999996, 7, 'x', 'y')");
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 2, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "Bob", 4, 10, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "Bob", 3, 10, 60), VERDICT_ACCEPTED);
}

/* More rows than a start reads: with the index they count at once. */
static void
large_old_database(void **state)
{
	struct rig	*r = *state;
	int64_t		 rows = 5000, overwrites;
	uint64_t	 steps;

	store_sizes.tail = 400;
	store_sizes.chunk = 900;
	store_sizes.load = 1000;
	store_sizes.recent = 100;
	(void)rig_sql(r, "%s", v10);
	rig_fill(r, "bob", rows, 1);
	rig_open(r);
	assert_true(r->store->behind);
	/* FAST: the drop of the index must not write every freed page. */
	assert_int_equal(sqlite_number(r->store->db, "PRAGMA secure_delete",
	    &overwrites), 0);
	assert_int_equal(overwrites, 2);
	steps = r->store->db->steps;
	assert_true(steps < 600);
	assert_int_equal(rig_one(r, "eve", 1, 9, 3600), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, rows + 10, 86400),
	    VERDICT_ACCEPTED);
	assert_int_equal(rig_one(r, "bob", 1, rows + 9, 86400),
	    VERDICT_REFUSED);
	rig_idle(r);
	assert_false(r->store->behind);
	assert_int_equal(rig_one(r, "bob", 1, rows + 10, 86400),
	    VERDICT_REFUSED);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, rows + 10, 86400),
	    VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, rows + 11, 86400),
	    VERDICT_ACCEPTED);
}

/* Without the index charges wait until the rows are read. */
static void
large_old_database_without_index(void **state)
{
	struct rig	*r = *state;
	int64_t		 rows = 5000;

	store_sizes.tail = 400;
	store_sizes.chunk = 900;
	store_sizes.load = 1000;
	(void)rig_sql(r, "%s", v051);
	(void)rig_sql(r,
	    "INSERT INTO mail_count WITH RECURSIVE n (i) AS (SELECT 1"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < %lld) SELECT 'bob', %lld "
	    "- i"
	    " FROM n",
	    (long long)rows, (long long)r->now);
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, rows + 9, 86400),
	    VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, rows + 10, 86400),
	    VERDICT_ACCEPTED);
}

/*
 * A first reading of many rows is cut into pieces that others do not wait for.
 */
static void
first_reading_in_pieces(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 bob, eve;

	store_sizes.load = 1000;
	(void)rig_sql(r, "%s", v10);
	rig_fill(r, "bob", 50000, 1);
	rig_open(r);
	rig_charge(&c, "bob", 1, 50009, 86400);
	bob = rig_add(r, &c);
	(void)rig_run_once(r);
	assert_false(r->answered[bob]);
	rig_charge(&c, "eve", 1, 10, 86400);
	eve = rig_add(r, &c);
	(void)rig_run_once(r);
	assert_true(r->answered[eve]);
	/* Others write meanwhile: the reading begins anew and is exact. */
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, instance,"
	    " protocol_state) VALUES ('bob', %lld, 'empty', '')",
	    (long long)r->now);
	rig_run(r);
	assert_int_equal(rig_answer(r, bob)->verdict, VERDICT_REFUSED);
	assert_int_equal(rig_answer(r, bob)->used, 50010);
}

/* With several spellings of an id they wait as well. */
static void
large_old_database_of_any_case(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 400;
	store_sizes.chunk = 900;
	store_sizes.load = 1000;
	(void)rig_sql(r, "%s", v10);
	rig_fill(r, "bob", 5000, 1);
	(void)rig_sql(r, "UPDATE mail_count SET id = 'Bob' WHERE id = 'bob'"
	    " AND rowid %% 2");
	rig_open(r);
	assert_int_equal(rig_room(r, "bob", 5012, 86400), 3);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 5012, 86400), 0);
}

/* --- an older program beside --- */

/* As 1.2.0 does it. */
static void
insert_by_position(struct rig *r, const char *id, int64_t rows)
{
	while (rows-- > 0)
		(void)rig_sql(r, "INSERT INTO mail_count VALUES"
		    " ('%s', %lld, 1, 'x.%lld', 'RCPT')", id,
		    (long long)r->now, (long long)rows);
}

static void
older_program_writes_beside(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;

	store_sizes.tail = 7;
	rig_charge(&c, "bob", 1, 100, 3600);
	for (i = 1; i <= 5; i++) {
		insert_by_position(r, "Bob", 5);
		assert_int_equal(rig_room(r, "bob", 10 * i, 3600), 5);
		rig_idle(r);
		/* Its rows, and those of ours, have other numbers after it. */
		(void)rig_sql(r, "DELETE FROM mail_count WHERE instance ="
		    " 'x.0'; VACUUM");
		assert_int_equal(rig_room(r, "bob", 10 * i, 3600), 1);
		rig_instance(&c, "i", i);
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
		(void)rig_sql(r, "VACUUM");
		rig_reopen(r);
		/* What was charged before it is known after it. */
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
		assert_int_equal(rig_room(r, "bob", 10 * i + 1, 3600), 0);
		(void)rig_sql(r, "DELETE FROM mail_count WHERE instance = 'i'");
		assert_int_equal(rig_room(r, "bob", 10 * i, 3600), 0);
	}
	/* Nor does it see anything but its five columns. */
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM"
	    " pragma_table_info('mail_count')"), 5);
	/* Its cleaning. */
	(void)rig_sql(r, "DELETE FROM mail_count WHERE date <= %lld; VACUUM",
	    (long long)r->now);
	assert_int_equal(rig_room(r, "bob", 10, 3600), 10);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_tag WHERE row"
	    " NOT IN (SELECT rowid FROM mail_count)"), 0);
}

/* A copy by way of SQL has other rowids. */
static void
rows_with_other_numbers(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 7;
	assert_int_equal(rig_room(r, "bob", 20, 3600), 20);
	rig_idle(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) > 0 FROM mail_part"), 1);
	rig_close(r);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE rowid < 4;"
	    "CREATE TABLE copy AS SELECT * FROM mail_count;"
	    "DELETE FROM mail_count;"
	    "INSERT INTO mail_count SELECT * FROM copy; DROP TABLE copy;"
	    "UPDATE mail_vacuum SET rowid = 1");
	rig_open(r);
	assert_int_equal(rig_room(r, "bob", 20, 3600), 3);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", 20, 3600), 0);
}

static void
fold_case_is_changed(void **state)
{
	struct rig	*r = *state;
	int		 i;

	store_sizes.tail = 4;
	insert_by_position(r, "Bob", 5);
	insert_by_position(r, "bob", 5);
	for (i = 0; i < 4; i++) {
		r->settings->fold_case = i % 2 == 0;
		rig_reopen(r);
		assert_int_equal(rig_one(r, "bob", 6, 10, 3600),
		    VERDICT_REFUSED);
		assert_int_equal(rig_one(r, "bob", i % 2 == 0 ? 0 : 5, 10,
		    3600), VERDICT_ACCEPTED);
		(void)rig_sql(r, "DELETE FROM mail_count WHERE instance ="
		    " 'empty'");
		rig_idle(r);
	}
}

/* Tables of ours that had more columns. */
static void
rebuild(struct rig *r, const char *more)
{
	struct rig_charge	 c;

	(void)rig_sql(r, "CREATE TABLE mail_count (id varchar(255) NOT NULL,"
	    " date bigint NOT NULL, recipient_count int DEFAULT 1,"
	    " instance varchar(255) NOT NULL DEFAULT 'empty', protocol_state"
	    " varchar(64) NOT NULL DEFAULT '', tag bigint NOT NULL DEFAULT 0"
	    "%s);"
	    "CREATE INDEX mail_count_index ON mail_count (id, date);"
	    "CREATE VIEW seen AS SELECT id FROM mail_count;", more);
	rig_fill(r, "bob", 20, 1);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE rowid %% 4 = 0;"
	    "UPDATE mail_count SET instance = 'i', tag = 77"
	    " WHERE rowid = 18");
	rig_open(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM"
	    " pragma_table_info('mail_count')"), 5);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count"
	    " WHERE rowid %% 4 = 0"), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM seen"), 15);
	rig_charge(&c, "bob", 1, 100, 3600);
	rig_instance(&c, "i", 77);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_room(r, "bob", 20, 3600), 5);
	insert_by_position(r, "bob", 1);
	assert_int_equal(rig_room(r, "bob", 22, 3600), 1);
}

static void
six_columns_become_five(void **state)
{
	rebuild(*state, "");
}

static void
seven_columns_become_five(void **state)
{
	rebuild(*state, ", seq INTEGER PRIMARY KEY");
}

/* --- others --- */

static void
what_others_write_is_seen(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, recipient_count,"
	    " instance, protocol_state) VALUES ('bob', %lld, 8, 'x', 'RCPT')",
	    (long long)r->now);
	assert_int_equal(rig_room(r, "bob", 10, 60), 1);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE id = 'bob'");
	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
	(void)rig_sql(r, "UPDATE mail_count SET recipient_count = 0"
	    " WHERE id = 'bob' AND rowid %% 2 = 0");
	assert_int_equal(rig_room(r, "bob", 10, 60), 5);
	(void)rig_sql(r, "DELETE FROM mail_count");
	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
	(void)rig_sql(r, "DROP TABLE mail_count");
	assert_int_equal(rig_room(r, "bob", 10, 60), 10);
	assert_int_equal(rig_sum(r, "bob"), 10);
}

static void
two_daemons_both_pass(void **state)
{
	struct rig		*r = *state, *other = rig_beside(r);
	struct rig_charge	 c;
	int			 i, n = 0;

	rig_open(other);
	for (i = 0; i < 30; i++)
		n += rig_one(i % 2 == 0 ? r : other, "bob", 1, 10, 60) ==
		    VERDICT_ACCEPTED;
	assert_int_equal(n, 10);
	/* One sent the same to the other, as Postfix does after a pause. */
	rig_charge(&c, "eve", 3, 10, 60);
	rig_instance(&c, "i", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_ask(other, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "eve"), 3);
	rig_free(other);
}

/* Another process takes the run that is being written for an abandoned one. */
static void
run_is_taken_over(struct rig *r, const char *sql)
{
	int64_t	sum, unavailable = 0, i;

	store_sizes.tail = 50;
	rig_reopen(r);
	while (rig_sql(r, "SELECT count(*) FROM mail_part") == 0)
		assert_int_equal(rig_one(r, "bob", 1, 1000, 3600),
		    VERDICT_ACCEPTED);
	(void)rig_sql(r, "%s", sql);
	for (i = 0; i < 100; i++) {
		unavailable += rig_one(r, "bob", 1, 1000, 3600) ==
		    VERDICT_UNAVAILABLE;
		r->store->rest = 0;
	}
	assert_true(unavailable <= 1);
	rig_idle(r);
	assert_true(rig_sql(r, "SELECT value FROM mail_state"
	    " WHERE name = 'horizon'") > 50);
	assert_true(r->store->tail->rows < 50);
	sum = rig_sum(r, "bob");
	assert_int_equal(rig_room(r, "bob", sum, 3600), 0);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "bob", sum + 1, 3600), 1);
}

static void
run_is_made_obsolete_meanwhile(void **state)
{
	run_is_taken_over(*state, "UPDATE mail_run SET state = 2"
	    " WHERE state = 0");
}

#define PARTS_GONE	"DELETE FROM mail_part WHERE part >> 20 IN"	\
			" (SELECT run FROM mail_run WHERE state = 0);"
#define RUNS_CHANGE	"UPDATE mail_state SET value = value + 1"	\
			" WHERE name = 'runs'"

static void
run_is_deleted_meanwhile(void **state)
{
	run_is_taken_over(*state, PARTS_GONE
	    "DELETE FROM mail_run WHERE state = 0;" RUNS_CHANGE);
}

/* The other process is writing a run of the same number. */
static void
run_of_another_has_its_number(void **state)
{
	run_is_taken_over(*state, PARTS_GONE
	    "UPDATE mail_run SET began = began - 1 WHERE state = 0;"
	    RUNS_CHANGE);
}

/*
 * A merge is given up; meanwhile another process has deleted its run, and
 * completed one of the same number.
 */
static void
number_of_a_merge_is_given_out_again(void **state)
{
	struct rig	*r = *state;
	int64_t		 n;

	store_sizes.tail = 50;
	while (r->store->nrun < STORE_MERGE)
		assert_int_equal(rig_one(r, "bob", 1, 10000, 3600),
		    VERDICT_ACCEPTED);
	assert_true(store_job_choose(r->store, true));
	assert_int_equal(sqlite_step(r->store->db, DO_BEGIN), 0);
	assert_int_equal(store_job_step(r->store, 9), 0);
	assert_int_equal(store_end(r->store, true), STORE_OK);
	store_job_over(r->store, true);
	assert_null(r->store->frozen);
	n = r->store->job.run.number;
	(void)rig_sql(r, "DELETE FROM mail_part WHERE part >> 20 = %lld;"
	    "UPDATE mail_run SET state = 1, level = 3 WHERE run = %lld;"
	    RUNS_CHANGE, (long long)n, (long long)n);
	rig_idle(r);
	assert_true(rig_sql(r, "SELECT max(run) FROM mail_run") > n);
	assert_int_equal(rig_sql(r, "SELECT state FROM mail_run"
	    " WHERE run = %lld", (long long)n), RUN_WHOLE);
}

static void
damaged_part_is_made_anew(void **state)
{
	struct rig	*r = *state;

	store_sizes.tail = 50;
	rig_fill(r, "bob", 100, 1);
	assert_int_equal(rig_one(r, "bob", 1, 1000, 86400), VERDICT_ACCEPTED);
	rig_idle(r);
	assert_true(rig_sql(r, "SELECT count(*) FROM mail_part") > 0);
	rig_close(r);
	(void)rig_sql(r,
	    "UPDATE mail_part SET counts = x'ffffffffffffffffffffff'");
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 101, 86400), VERDICT_UNAVAILABLE);
	assert_int_equal(rig_one(r, "bob", 1, 101, 86400), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 102, 86400), VERDICT_ACCEPTED);
}

/* --- what it costs --- */

/* Steps of the cheapest of 100 charges: overrides are read by the clock. */
static uint64_t
steps_of(struct rig *r, const char *id)
{
	uint64_t	before, steps, least = UINT64_MAX;
	int		i;

	for (i = 0; i < 100; i++) {
		before = r->store->db->steps;
		rig_one(r, id, 1, 10000000, 86400);
		steps = r->store->db->steps - before;
		least = steps < least ? steps : least;
	}
	return least;
}

static void
cost_grows_with_window(void **state)
{
	struct rig	*r = *state;
	uint64_t	 few;

	rig_fill(r, "few", 10, 1);
	rig_fill(r, "many", 80000, 1);
	assert_int_equal(rig_one(r, "few", 1, 10000000, 86400),
	    VERDICT_ACCEPTED);
	rig_idle(r);
	few = steps_of(r, "few");
	assert_int_equal(steps_of(r, "many"), few);
	assert_true(few <= 6);
}

static void
start_loads_whole_table(void **state)
{
	struct rig	*r = *state;
	uint64_t	 steps;

	store_sizes.tail = 500;
	store_sizes.load = 2000;
	store_sizes.recent = 200;
	rig_fill(r, "bob", 50000, 1);
	rig_fill(r, "eve", 5, 1);
	assert_int_equal(rig_one(r, "eve", 1, 10, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "eve", 1, 6, 60), VERDICT_REFUSED);
	steps = r->store->db->steps;
	assert_true(steps < 1500);
	/* Nor does an id with all these mails read them one by one. */
	assert_int_equal(rig_one(r, "bob", 1, 50000, 86400), VERDICT_REFUSED);
	assert_true(r->store->db->steps - steps < 200);
}

static void
rows_become_runs_under_load(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	char			*id;
	int64_t			 i, j;

	store_sizes.tail = 300;
	for (i = 0; i < 40; i++) {
		for (j = 0; j < 50; j++) {
			id = alloc_printf("user%lld", (long long)(i * j % 97));
			rig_charge(&c, id, 1, 1000, 86400);
			(void)rig_add(r, &c);
			free(id);
		}
		rig_run(r);
	}
	assert_true(rig_sql(r, "SELECT max(run) FROM mail_run") >= 4);
	assert_true(r->store->tail->rows < 900);
	i = rig_sum(r, "user7");
	rig_reopen(r);
	assert_int_equal(rig_one(r, "user7", 1, i, 86400), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "user7", 1, i + 1, 86400),
	    VERDICT_ACCEPTED);
}

/*
 * The sources of a merge have more parts than the new run needs: their counts
 * were invalid when they were merged themselves.
 */
static void
runs_with_few_of_their_ids_are_merged(void **state)
{
	struct rig	*r = *state;
	int		 i;

	store_sizes.tail = 5000;
	for (i = 0; i < STORE_MERGE; i++) {
		(void)rig_sql(r, "INSERT INTO mail_count (id, date)"
		    " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
		    " SELECT i + 1 FROM n WHERE i < 5000)"
		    " SELECT 'user' || i, %lld FROM n", (long long)r->now);
		while (r->store->nrun <= (size_t)i)
			assert_int_equal(rig_one(r, "bob", 1, 100000, 3600),
			    VERDICT_ACCEPTED);
	}
	(void)rig_sql(r, "UPDATE mail_run SET ids = 1; UPDATE mail_state"
	    " SET value = value + 1 WHERE name = 'runs'");
	assert_int_equal(rig_room(r, "user4711", 10, 3600), 2);
	rig_idle(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_run"), 1);
	rig_reopen(r);
	assert_int_equal(rig_room(r, "user4711", 12, 3600), 2);
	assert_int_equal(rig_room(r, "user1", 10, 3600), 2);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, rig_setup, teardown)
#define TEST_CLOSED(name)						\
	cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(id_longer_than_40),
		TEST(nobody_takes_a_hashed_place),
		TEST(empty_id_and_instance),
		TEST_CLOSED(database_of_0_5_1),
		TEST_CLOSED(database_of_1_0),
		TEST_CLOSED(database_of_1_2),
		TEST_CLOSED(database_of_an_earlier_one_of_ours),
		TEST_CLOSED(take_over_was_interrupted),
		TEST_CLOSED(older_counts_of_any_case),
		TEST_CLOSED(oldest_counts_of_any_case),
		TEST_CLOSED(older_counts_without_fold_case),
		TEST_CLOSED(large_old_database),
		TEST_CLOSED(large_old_database_without_index),
		TEST_CLOSED(large_old_database_of_any_case),
		TEST(older_program_writes_beside),
		TEST(rows_with_other_numbers),
		TEST(fold_case_is_changed),
		TEST_CLOSED(six_columns_become_five),
		TEST_CLOSED(seven_columns_become_five),
		TEST_CLOSED(first_reading_in_pieces),
		TEST(what_others_write_is_seen),
		TEST(two_daemons_both_pass),
		TEST(run_is_made_obsolete_meanwhile),
		TEST(run_is_deleted_meanwhile),
		TEST(run_of_another_has_its_number),
		TEST(number_of_a_merge_is_given_out_again),
		TEST(damaged_part_is_made_anew),
		TEST(cost_grows_with_window),
		TEST(start_loads_whole_table),
		TEST(rows_become_runs_under_load),
		TEST(runs_with_few_of_their_ids_are_merged)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("sqlite_tables", tests, NULL,
	    NULL);
	rig_end();
	return failed;
}
