#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decision/decision.h"

#define NOW	INT64_C(1700000000)

static struct limit	ten_a_minute[] = { { 10, 60 } };
static struct limit	two_windows[] = { { 10, 60 }, { 12, 3600 } };

static struct msg_charge_key	charge[CHARGE_KEYS_MAX];
static struct window		window[CHARGE_KEYS_MAX];
static struct decision		d;
static struct msg_verdict	v;
static struct decision_record	record[DECISION_RECORDS_MAX];

static int
setup(void **state)
{
	size_t	i;

	(void)state;
	memset(&d, 0, sizeof(d));
	memset(charge, 0, sizeof(charge));
	d.now = NOW;
	for (i = 0; i < CHARGE_KEYS_MAX; i++) {
		window_clear(&window[i]);
		charge[i].limits = (struct limits){ 1, ten_a_minute };
	}
	return 0;
}

/* The next key: `used` mails were sent just now. */
static struct decision_key *
key(int64_t used, int64_t amount)
{
	struct msg_charge_key	*c = &charge[d.nkeys];
	struct decision_key	*k = &d.key[d.nkeys];

	c->amount = amount;
	if (used > 0)
		window_add(&window[d.nkeys], NOW, used);
	k->charge = c;
	k->limits = &c->limits;
	k->window = &window[d.nkeys++];
	k->seen = -1;
	return k;
}

static void
accepts_up_to_the_limit(void **state)
{
	(void)state;
	key(4, 6);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(v.ncharged, 1);
	assert_int_equal(v.charged[0], 6);
	assert_int_equal(v.used, 10);
	assert_int_equal(v.limit.mails, 10);
	assert_int_equal(d.nhits, 0);
	charge[0].amount = 7;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.ncharged, 0);
	assert_int_equal(v.used, 4);
	assert_int_equal(v.retry_after, 61);
	assert_int_equal(v.full[0].retry_after, 61);
	assert_false(v.never);
	assert_int_equal(d.nhits, 1);
	assert_int_equal(d.hits[0].key, 0);
	assert_int_equal(d.hits[0].window, 0);
	charge[0].amount = 11;
	decision_make(&d, &v);
	assert_true(v.never);
	assert_int_equal(v.retry_after, 60);
}

static void
every_window_of_every_key(void **state)
{
	(void)state;
	key(0, 3);
	key(0, 3);
	charge[1].limits = (struct limits){ 2, two_windows };
	window_add(&window[1], NOW - 100, 10);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.key, 1);
	assert_int_equal(v.limit.seconds, 3600);
	assert_int_equal(v.retry_after, 3501);
	assert_int_equal(d.hits[0].key, 1);
	assert_int_equal(d.hits[0].window, 1);
	/* A grant for as long as it lasts. */
	d.key[1].granted = 1;
	d.key[1].granted_until = NOW + 50;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(v.limit.mails, 13);
	charge[1].amount = 4;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.retry_after, 3501);
}

static void
instances_and_tags(void **state)
{
	(void)state;
	key(4, 5)->charged = 3;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 2);
	d.tag = 7;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 5);
	d.key[0].repeated = true;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 0);
	/* The tag does not matter where an instance has one total. */
	charge[0].kind = CHARGE_TOTAL;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 2);
	charge[0].kind = CHARGE_SUM;
	d.tag = 0;
	d.mode = CHARGE_EACH;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 5);
	charge[0].amount = 7;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_true(decision_takes_back(&d, &v));
	/* What was charged before counts for what can never fit. */
	charge[0].amount = 8;
	decision_make(&d, &v);
	assert_true(v.never);
	d.mode = CHARGE_ONCE;
	decision_make(&d, &v);
	assert_int_equal(v.charged[0], 5);
	assert_false(decision_takes_back(&d, &v));
}

static void
soft_and_shadow(void **state)
{
	(void)state;
	charge[0].soft = charge[1].soft = charge[2].shadow = true;
	key(10, 1);
	key(9, 2);
	key(10, 1);
	window_add(&window[1], NOW - 30, 1);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(v.over, 3);
	assert_int_equal(v.shadowed, 4);
	/* The first gives the answer, each has a wait of its own. */
	assert_int_equal(v.key, 0);
	assert_int_equal(v.full[0].retry_after, 61);
	window_clear(&window[1]);
	window_add(&window[1], NOW - 30, 10);
	decision_make(&d, &v);
	assert_int_equal(v.full[1].retry_after, 31);
	assert_int_equal(v.full[2].used, 10);
	assert_int_equal(v.full[2].retry_after, 0);
	assert_int_equal(d.nhits, 3);
	/* A repeated request gets the action again. */
	d.tag = 1;
	d.key[0].repeated = d.key[1].repeated = d.key[2].repeated = true;
	window_add(&window[0], NOW, 1);
	decision_make(&d, &v);
	assert_int_equal(v.over, 1);
	assert_int_equal(v.shadowed, 0);
	assert_int_equal(d.nhits, 0);
	/* A hard one refuses, and the soft ones have no hit. */
	d.key[0].repeated = d.key[1].repeated = d.key[2].repeated = false;
	key(10, 1);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.key, 3);
	assert_int_equal(v.over, 0);
	assert_int_equal(d.nhits, 2);
	assert_int_equal(d.hits[0].key, 2);
	assert_int_equal(d.hits[1].key, 3);
}

static void
max_per_mail(void **state)
{
	(void)state;
	key(0, 2)->charged = 2;
	charge[0].max_per_mail = 3;
	d.tag = 1;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_true(v.never && v.per_mail);
	assert_int_equal(v.limit.mails, 3);
	assert_int_equal(v.limit.seconds, 0);
	assert_int_equal(v.used, 2);
	assert_int_equal(v.retry_after, 0);
	assert_int_equal(d.hits[0].window, DECISION_MAIL);
	d.mode = CHARGE_EACH;
	assert_false(decision_takes_back(&d, &v));
	charge[0].shadow = true;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(v.shadowed, 1);
	charge[0].shadow = false;
	charge[0].amount = 1;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
}

static void
warns_once(void **state)
{
	(void)state;
	key(7, 1);
	charge[0].warn_at = 80;
	decision_make(&d, &v);
	assert_int_equal(v.warned, 1);
	assert_int_equal(v.full[0].used, 8);
	assert_int_equal(d.nnear, 1);
	window_add(&window[0], NOW, 1);
	decision_make(&d, &v);
	assert_int_equal(v.warned, 0);
	assert_int_equal(d.nnear, 0);
	/* Nothing is warned of by what is refused. */
	window_add(&window[0], NOW, -1);
	key(10, 1);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.warned, 0);
	assert_int_equal(d.nnear, 0);
}

static void
record_is(size_t i, int64_t date, int64_t amount, int64_t tag)
{
	assert_int_equal(record[i].key, 0);
	assert_int_equal(record[i].date, date);
	assert_int_equal(record[i].amount, amount);
	assert_int_equal(record[i].tag, tag);
}

static void
values_move(void **state)
{
	(void)state;
	charge[0].kind = CHARGE_DISTINCT;
	d.tag = 5;
	key(10, 1);
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	/* The window holds it already. */
	d.key[0].seen = NOW - 60;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(decision_records(&d, record), 2);
	record_is(0, NOW - 60, -1, 0);
	record_is(1, NOW, 1, 0);
	d.key[0].seen = NOW - 61;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	/* The clock was set back; or it was wrong when it was seen. */
	d.key[0].seen = NOW + WINDOW_SKEW;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(decision_records(&d, record), 0);
	d.key[0].seen = NOW + WINDOW_SKEW + 1;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	window_clear(&window[0]);
	decision_make(&d, &v);
	assert_int_equal(decision_records(&d, record), 2);
	record_is(0, NOW + WINDOW_SKEW + 1, -1, 0);
	/* A value cannot be taken back. */
	d.mode = CHARGE_BACK;
	decision_make(&d, &v);
	assert_int_equal(decision_records(&d, record), 0);
}

static void
replays_and_taking_back(void **state)
{
	(void)state;
	key(10, 4);
	d.mode = CHARGE_REPLAY;
	d.tag = 5;
	d.date = NOW - 100;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	assert_int_equal(decision_records(&d, record), 1);
	record_is(0, NOW - 100, 4, 5);
	/* Neither in the future nor older than a day. */
	d.date = NOW + 1;
	assert_int_equal(decision_records(&d, record), 1);
	record_is(0, NOW, 4, 5);
	d.date = NOW - 86401;
	assert_int_equal(decision_records(&d, record), 1);
	record_is(0, NOW - 86400, 4, 5);
	d.mode = CHARGE_BACK;
	d.date = NOW - 100;
	decision_make(&d, &v);
	assert_int_equal(decision_records(&d, record), 1);
	record_is(0, NOW - 100, -4, 5);
	d.key[0].repeated = true;
	decision_make(&d, &v);
	assert_int_equal(decision_records(&d, record), 0);
}

static void
waits_for_what_the_ledger_told(void **state)
{
	struct decision_key	*k = key(2, 3);

	(void)state;
	k->wait = (struct decision_wait){ NOW + 40, 3, { 20, 900 } };
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_REFUSED);
	assert_int_equal(v.limit.seconds, 900);
	assert_int_equal(v.used, 2);
	assert_int_equal(v.retry_after, 40);
	assert_false(v.never);
	/* Less might have fitted. */
	charge[0].amount = 2;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	charge[0].amount = 3;
	d.now = NOW + 40;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
}

static void
weighs_every_window(void **state)
{
	static struct msg_weighed	answer = { .keys[0].habit = true };

	(void)state;
	key(9, 2);
	charge[0].limits = (struct limits){ 2, two_windows };
	d.key[0].granted = 1;
	d.key[0].granted_until = NOW + 50;
	decision_make(&d, &v);
	assert_int_equal(v.verdict, VERDICT_ACCEPTED);
	decision_weigh(&d, &answer);
	assert_int_equal(answer.nkeys, 1);
	assert_int_equal(answer.keys[0].nwindows, 2);
	assert_int_equal(answer.keys[0].granted_for, 50);
	assert_false(answer.keys[0].sql);
	assert_false(answer.keys[0].habit);
	assert_int_equal(answer.keys[0].windows[0].limit.mails, 11);
	assert_int_equal(answer.keys[0].windows[0].used, 9);
	assert_int_equal(answer.keys[0].windows[0].amount, 2);
	assert_int_equal(answer.keys[0].windows[0].retry_after, 0);
	charge[0].amount = 12;
	decision_make(&d, &v);
	decision_weigh(&d, &answer);
	assert_int_equal(answer.keys[0].windows[0].retry_after, -1);
	assert_int_equal(answer.keys[0].windows[1].retry_after, 3601);
}

/* As many as a message from the engine may have. */
static void
an_external_charge_hits_every_window(void **state)
{
	struct limit	windows[LIMITS_MAX];
	size_t		i;

	(void)state;
	for (i = 0; i < LIMITS_MAX; i++)
		windows[i] = (struct limit){ 10, 60 + (int64_t)i };
	for (i = 0; i < CHARGE_KEYS_MAX; i++) {
		charge[i].kind = CHARGE_EXTERNAL;
		charge[i].limits = (struct limits){ LIMITS_MAX, windows };
		key(0, 10);
	}
	d.mode = CHARGE_ADD;
	decision_make(&d, &v);
	assert_int_equal(d.nhits, CHARGE_KEYS_MAX * LIMITS_MAX);
	assert_int_equal(d.nnear, 0);
	for (i = 0; i < d.nhits; i++) {
		assert_int_equal(d.hits[i].key, i / LIMITS_MAX);
		assert_int_equal(d.hits[i].window, i % LIMITS_MAX);
	}
}

#define TEST(name)	cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(accepts_up_to_the_limit),
		TEST(every_window_of_every_key),
		TEST(instances_and_tags),
		TEST(soft_and_shadow),
		TEST(max_per_mail),
		TEST(warns_once),
		TEST(values_move),
		TEST(replays_and_taking_back),
		TEST(an_external_charge_hits_every_window),
		TEST(waits_for_what_the_ledger_told),
		TEST(weighs_every_window)
	};

	return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
