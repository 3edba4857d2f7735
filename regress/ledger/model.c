#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../unit/random.h"
#include "rig.h"

/*
 * Whatever happens to the database, in whatever order, a decision is what the
 * sum over the rows says: two daemons, other programs that insert, delete and
 * change rows, restarts, sums that are written and found again, cleaning. The
 * sizes are made so small that all of it happens all the time.
 */
#define STEPS		2500
#define IDS		7
#define SHORT		INT64_C(50)
#define LONG		INT64_C(40000)

static const char *const	id[IDS] = {
	"bob", "Bob", "bob@example.org", "eve", "a very long name of somebody",
	"\xc3\xa9milie", ""
};

struct model {
	struct rig	*rig[2];
	struct random	 random;
	uint64_t	 seed;
	int64_t		 wrong;		/* the clocks are, by so much */
	int		 step;
};

static int64_t
below(struct model *m, int64_t n)
{
	return (int64_t)random_below(&m->random, (uint64_t)n);
}

static int64_t
used(struct model *m, const char *who, int64_t seconds)
{
	return rig_sql(m->rig[0], "SELECT coalesce(sum(recipient_count), 0)"
	    " FROM mail_count WHERE id = '%s' AND date >= %lld"
	    " AND date <= %lld", who, (long long)(m->rig[0]->now - seconds),
	    (long long)(m->rig[0]->now + WINDOW_SKEW));
}

static void
charge(struct model *m)
{
	struct rig		*r = m->rig[below(m, 2)];
	struct rig_charge	 c;
	const char		*who = id[below(m, IDS)];
	int64_t			 amount, few, many, before[2];
	int			 verdict, wanted;

	amount = 1 + below(m, 3);
	few = below(m, 12);
	many = below(m, 60);
	before[0] = used(m, who, SHORT);
	before[1] = used(m, who, LONG);
	wanted = before[0] + amount > few || before[1] + amount > many ?
	    VERDICT_REFUSED : VERDICT_ACCEPTED;
	rig_charge(&c, who, amount, few, SHORT);
	rig_window(&c, many, LONG);
	verdict = rig_ask(r, &c);
	if (verdict != wanted)
		fail_msg("seed %llu step %d: verdict %d for %s, %lld of %lld "
			 "and"
			 " %lld of %lld, %lld more",
		    (unsigned long long)m->seed, m->step, verdict, who,
		    (long long)before[0], (long long)few, (long long)before[1],
		    (long long)many, (long long)amount);
	if (verdict == VERDICT_ACCEPTED)
		assert_int_equal(used(m, who, LONG), before[1] + amount);
}

static void
batch(struct model *m)
{
	struct rig		*r = m->rig[below(m, 2)];
	struct rig_charge	 c;
	int64_t			 n = below(m, 40);

	for (; n > 0; n--) {
		rig_charge(&c, id[below(m, IDS)], 1, 1000, LONG);
		(void)rig_add(r, &c);
	}
	rig_run(r);
}

static void
insert(struct model *m)
{
	int64_t	n = below(m, 4) == 0 ? below(m, 100) : 1;

	(void)rig_sql(m->rig[0], "INSERT INTO mail_count (id, date,"
	    " recipient_count, instance, protocol_state)"
	    " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
	    " SELECT i + 1 FROM n WHERE i < %lld)"
	    " SELECT '%s', %lld - i * %lld, %lld, 'i', 'RCPT' FROM n",
	    (long long)n, id[below(m, IDS)], (long long)m->rig[0]->now,
	    (long long)below(m, 500), (long long)below(m, 3));
}

static void
delete(struct model *m)
{
	switch (below(m, 5)) {
	case 0:
		(void)rig_sql(m->rig[0],
		    "DELETE FROM mail_count WHERE id = '%s'",
		    id[below(m, IDS)]);
		break;
	case 1:
		/* The newest rows, so that their numbers could come again. */
		(void)rig_sql(m->rig[0], "DELETE FROM mail_count WHERE"
		    " %s > %lld", outsider_row, (long long)(rig_sql(m->rig[0],
		    "SELECT max(%s) FROM mail_count", outsider_row) -
		    below(m, 30)));
		break;
	case 2:
		(void)rig_sql(m->rig[0], "DELETE FROM mail_count WHERE"
		    " %s %% 7 = %lld", outsider_row, (long long)below(m, 7));
		break;
	case 3:
		(void)rig_sql(m->rig[0],
		    "DELETE FROM mail_count WHERE date < %lld",
		    (long long)(m->rig[0]->now - below(m, LONG)));
		break;
	default:
		if (below(m, 4) == 0)
			(void)rig_sql(m->rig[0], "DELETE FROM mail_count");
	}
}

static void
update(struct model *m)
{
	switch (below(m, 3)) {
	case 0:
		(void)rig_sql(m->rig[0],
		    "UPDATE mail_count SET recipient_count ="
		    " recipient_count + %lld WHERE %s %% 11 = %lld",
		    (long long)below(m, 4) - 2, outsider_row,
		    (long long)below(m, 11));
		break;
	case 1:
		(void)rig_sql(m->rig[0],
		    "UPDATE mail_count SET date = date - %lld"
		    " WHERE id = '%s'",
		    (long long)below(m, 1000), id[below(m, IDS)]);
		break;
	default:
		(void)rig_sql(m->rig[0], "UPDATE mail_count SET id = '%s' WHERE"
		    " id = '%s' AND %s %% 2 = 0", id[below(m, IDS)],
		    id[below(m, IDS)], outsider_row);
	}
}

static void
quiet(struct model *m)
{
	struct rig	*r = m->rig[below(m, 2)];
	int64_t		 n = below(m, 30);

	while (n-- > 0 && store_idle(r->store) == 0)
		;
}

static void
clean(struct model *m)
{
	struct rig	*r = m->rig[below(m, 2)];
	struct store_kept kept;
	int64_t		 position = 0, deleted, steps;

	kept.first = r->now - 2 * LONG;
	kept.last = r->now + WINDOW_SKEW;
	/* Some come to no end. */
	steps = below(m, 3) == 0 ? below(m, 8) : INT64_MAX;
	do {
		if (store_clean(r->store, &kept, (size_t)(1 + below(m, 50)),
		    &position, &deleted) != STORE_OK)
			fail_msg("%s", store_error(r->store));
	} while (position != -1 && steps-- > 0);
	if (position == -1)
		assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_count"
		    " WHERE date < %lld OR date > %lld",
		    (long long)kept.first, (long long)kept.last), 0);
}

static void
later(struct model *m)
{
	int64_t	by = below(m, 30) == 0 ? below(m, LONG) : below(m, 40);

	/* A clock may also be set back. */
	if (below(m, 50) == 0)
		by = -below(m, 200);
	m->rig[0]->now += by;
	m->rig[1]->now += by;
}

/* The clocks are far from right for a while, and cleaning looks at them. */
static void
wrong_clock(struct model *m)
{
	int64_t	by = -m->wrong;

	if (m->wrong == 0)
		by = (below(m, 2) == 0 ? 1 : -1) *
		    (LONG + below(m, 8 * LONG));
	m->wrong += by;
	m->rig[0]->now += by;
	m->rig[1]->now += by;
	if (below(m, 2) == 0)
		clean(m);
}

static void
restart(struct model *m)
{
	rig_reopen(m->rig[below(m, 2)]);
}

static void
compact(struct model *m)
{
	(void)rig_sql(m->rig[0], "%s", outsider_compact);
}

static void
step(struct model *m)
{
	static void (*const what[])(struct model *) = {charge, charge, charge,
	    charge, charge, charge, charge, charge, batch, batch, insert,
	    insert, delete, update, quiet, quiet, later, later, later};

	if (below(m, 60) == 0)
		restart(m);
	else if (below(m, 80) == 0)
		clean(m);
	else if (below(m, 150) == 0)
		compact(m);
	else if (below(m, m->wrong == 0 ? 200 : 40) == 0)
		wrong_clock(m);
	else
		what[below(m, (int64_t)(sizeof(what) / sizeof(what[0])))](m);
}

/* As 1.x left it: no column of ours, its index. */
static const char	old[] =
	"CREATE TABLE mail_count (id varchar(40) NOT NULL,"
	" date bigint NOT NULL, recipient_count int DEFAULT 1,"
	" instance varchar(40) NOT NULL,"
	" protocol_state varchar(10) NOT NULL);"
	"CREATE INDEX mail_count_index ON mail_count (id, date);"
	"INSERT INTO mail_count WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
	" SELECT i + 1 FROM n WHERE i < 700)"
	" SELECT CASE i % 3 WHEN 0 THEN 'bob'"
	" WHEN 1 THEN 'eve' ELSE 'Bob' END, 1700000000 - i * 97 % 40000, i % 3,"
	" 'empty', 'RCPT' FROM n";

static void
run(uint64_t seed, bool from_old)
{
	struct model	 m;
	struct rig	*r;
	bool		 happened = false;

	memset(&m, 0, sizeof(m));
	m.seed = seed;
	m.random.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	m.rig[0] = r = rig_new();
	m.rig[1] = rig_beside(r);
	/* Ids of this test differ by case. */
	m.rig[0]->settings->fold_case = m.rig[1]->settings->fold_case = false;
	if (from_old)
		(void)rig_sql(r, "%s", old);
	rig_open(m.rig[0]);
	rig_open(m.rig[1]);
	for (m.step = 0; m.step < STEPS; m.step++) {
		step(&m);
		m.rig[0]->next = m.rig[1]->next = 0;
		/* A cleaning may end it again. */
		if (m.step % 100 == 99)
			happened = happened ||
			    outsider_all_happened(r->outsider, r->path);
	}
	/* Other seeds may be cleaned too often. */
	if (seed <= 2)
		assert_true(happened);
	rig_free(m.rig[1]);
	rig_free(m.rig[0]);
}

static void
new_database(void **state)
{
	(void)state;
	run(1, false);
}

static void
old_database(void **state)
{
	(void)state;
	run(2, true);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(new_database),
		cmocka_unit_test(old_database)
	};
	int64_t	seed;
	int	failed, i;

	outsider_make_small();
	rig_begin();
	/* Seeds to be tried instead. */
	for (i = 1; i < argc; i++) {
		seed = strtonum(argv[i], 0, INT64_MAX, NULL);
		run((uint64_t)seed, seed % 2 == 0);
		printf("# %s\n", argv[i]);
	}
	failed = argc > 1 ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
	rig_end();
	return failed;
}
