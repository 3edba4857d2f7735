#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ledger/server/writers.h"
#include "random.h"

#define IDS		5
#define WRITERS		3
#define TURNS		200000

static void
a_lone_writer_has_no_gaps(void **state)
{
	struct writers	o;
	int		i;

	(void)state;
	writers_init(&o);
	assert_true(writers_look(&o, 7));
	assert_true(writers_after(&o, 6));
	assert_false(writers_after(&o, 7));
	writers_own(&o, 10, 3);
	assert_false(writers_look(&o, 10));
	assert_false(writers_silent(&o));
	for (i = 0; i < 100; i++)
		assert_false(writers_look(&o, 10));
	assert_true(writers_silent(&o));
	/* Ids whose rows end before ours are known all the same. */
	assert_false(writers_after(&o, 7));
	assert_true(writers_after(&o, 6));
}

static void
gaps_show_other_writers(void **state)
{
	struct writers	o;

	(void)state;
	writers_init(&o);
	(void)writers_look(&o, 100);
	/* They took 101 and 102, and have not committed yet. */
	writers_own(&o, 104, 2);
	assert_true(writers_after(&o, 101));
	assert_false(writers_after(&o, 104));
	assert_false(writers_look(&o, 104));
	assert_true(writers_look(&o, 105));
	assert_false(writers_silent(&o));
	assert_true(writers_after(&o, 104));
}

/* Numbers begin anew: whatever is read counts as somebody else's. */
static void
numbers_that_begin_again_are_seen(void **state)
{
	struct writers	o;

	(void)state;
	writers_init(&o);
	(void)writers_look(&o, 1000);
	assert_true(writers_look(&o, 3));
	writers_own(&o, 4, 1);
	assert_true(writers_after(&o, 2));
	assert_false(writers_after(&o, 4));
}

/* --- a model: writers who hold the locks of ids until they commit --- */

struct model {
	struct random	random;
	bool		committed;	/* the look sees only what was */
	int64_t		given;		/* the last number */
	int64_t		visible;	/* of what was committed */
	int64_t		newest[IDS];	/* row that was committed */
	int64_t		seen[IDS];	/* by us */
	struct {
		int	id;		/* -1: it has no transaction */
		int64_t	first;
		int64_t	last;		/* 0: no row yet */
	}		writer[WRITERS];
};

static bool
locked(const struct model *m, int id)
{
	int	i;

	for (i = 0; i < WRITERS; i++)
		if (m->writer[i].id == id)
			return true;
	return false;
}

static void
write_row(struct model *m, int i)
{
	m->writer[i].last = ++m->given;
}

static void
end_writer(struct model *m, int i)
{
	int64_t	last = m->writer[i].last;
	int	id = m->writer[i].id;

	m->writer[i].id = -1;
	/* One in five is rolled back; its numbers are gone. */
	if (last == 0 || random_below(&m->random, 5) == 0)
		return;
	m->newest[id] = last;
	if (last > m->visible)
		m->visible = last;
}

static void
other_turn(struct model *m)
{
	int	i = (int)random_below(&m->random, WRITERS);
	int	id = (int)random_below(&m->random, IDS);

	if (m->writer[i].id == -1) {
		if (locked(m, id))
			return;
		m->writer[i].id = id;
		m->writer[i].last = 0;
	} else if (random_below(&m->random, 2) == 0)
		write_row(m, i);
	else
		end_writer(m, i);
}

static void
our_turn(struct model *m, struct writers *o)
{
	int	id = (int)random_below(&m->random, IDS), i;
	int64_t	numbers = (int64_t)random_below(&m->random, 4), n;

	if (locked(m, id))
		return;
	(void)writers_look(o, m->committed ? m->visible : m->given);
	if (m->newest[id] > m->seen[id])
		assert_true(writers_after(o, m->seen[id]));
	if (writers_after(o, m->seen[id]))
		m->seen[id] = m->newest[id];
	if (numbers == 0)
		return;
	/* Others take numbers before ours and between them. */
	for (n = 0; n < numbers; n++) {
		i = (int)random_below(&m->random, WRITERS * 4);
		if (i < WRITERS && m->writer[i].id != -1)
			write_row(m, i);
		m->given++;
	}
	writers_own(o, m->given, numbers);
	m->newest[id] = m->seen[id] = m->visible = m->given;
}

static void
run_model(bool committed, unsigned int ours)
{
	struct model	m = { .random = { 11 }, .committed = committed };
	struct writers	o;
	int		i;

	for (i = 0; i < WRITERS; i++)
		m.writer[i].id = -1;
	writers_init(&o);
	for (i = 0; i < TURNS; i++) {
		if (random_below(&m.random, 100) < ours)
			our_turn(&m, &o);
		else
			other_turn(&m);
	}
	assert_true(m.given > TURNS / 100);
}

static void
nothing_is_missed(void **state)
{
	(void)state;
	run_model(false, 50);
	run_model(false, 95);
	run_model(true, 50);
	run_model(true, 95);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_lone_writer_has_no_gaps),
		cmocka_unit_test(gaps_show_other_writers),
		cmocka_unit_test(numbers_that_begin_again_are_seen),
		cmocka_unit_test(nothing_is_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
