#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/memory.h"

#define NOW	1700000000
#define PLENTY	(16 * 1024 * 1024)

static struct limit	ten_a_minute[] = { { 10, 60 } };
static struct limit	two_windows[] = { { 10, 60 }, { 12, 3600 } };
static struct msg_charge	charge;		/* the one that is being made */
static struct msg_verdict	verdict;	/* the last one */
static struct msg_weighed	weighed;	/* and what it rests on */

static struct msg_charge_key *
key_of(const char *id, int64_t amount)
{
	struct msg_charge_key	*key = &charge.keys[charge.nkeys++];

	memset(key, 0, sizeof(*key));
	key->id = id;
	key->idlen = strlen(id);
	key->amount = amount;
	key->value = "";
	key->limits.list = ten_a_minute;
	key->limits.count = 1;
	return key;
}

static struct msg_charge_key *
charge_of(const char *id, int64_t amount, const char *instance, int64_t tag)
{
	memset(&charge, 0, sizeof(charge));
	charge.mode = CHARGE_ONCE;
	charge.instance = instance;
	charge.instancelen = strlen(instance);
	charge.tag = tag;
	charge.state = "";
	return key_of(id, amount);
}

/* What is weighed is what is then decided. */
static void
decide(struct memory *m, int64_t now)
{
	/* What is not set is the same. */
	memset(&weighed, 0x5a, sizeof(weighed));
	memset(&verdict, 0x5a, sizeof(verdict));
	memory_weigh(m, &charge, now, &weighed);
	memory_decide(m, &charge, now, &verdict);
	assert_memory_equal(&weighed.verdict, &verdict, sizeof(verdict));
	assert_int_equal(weighed.nkeys, charge.nkeys);
}

static void
accepted(struct memory *m, int64_t now, int64_t charged)
{
	decide(m, now);
	assert_int_equal(verdict.verdict, VERDICT_ACCEPTED);
	assert_int_equal(verdict.ncharged, charge.nkeys);
	assert_int_equal(verdict.charged[0], charged);
}

static void
refused(struct memory *m, int64_t now, int64_t used, int64_t retry_after)
{
	decide(m, now);
	assert_int_equal(verdict.verdict, VERDICT_REFUSED);
	assert_int_equal(verdict.used, used);
	assert_int_equal(verdict.retry_after, retry_after);
}

static void
learnt(struct memory *m, int64_t now, int64_t charged)
{
	struct msg_verdict	v = {
		.verdict = VERDICT_ACCEPTED,
		.ncharged = 1,
		.charged = { charged }
	};

	memory_learn(m, &charge, &v, now);
}

static void
goes_on_limiting(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 6, "", 1);
	learnt(m, NOW, 6);
	charge_of("bob", 4, "", 2);
	accepted(m, NOW + 1, 4);
	charge_of("bob", 1, "", 3);
	refused(m, NOW + 2, 10, 59);
	assert_int_equal(verdict.limit.mails, 10);
	assert_int_equal(verdict.limit.seconds, 60);
	/* Nobody else is concerned, and time goes by. */
	charge_of("carol", 10, "", 4);
	accepted(m, NOW + 2, 10);
	charge_of("bob", 6, "", 5);
	refused(m, NOW + 60, 10, 1);
	accepted(m, NOW + 61, 6);
	memory_free(m);
}

static void
every_window(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 10, "", 1)->limits = (struct limits){ 2, two_windows };
	accepted(m, NOW, 10);
	charge_of("bob", 2, "", 2)->limits = (struct limits){ 2, two_windows };
	accepted(m, NOW + 100, 2);
	charge_of("bob", 1, "", 3)->limits = (struct limits){ 2, two_windows };
	refused(m, NOW + 200, 12, 3601 - 200);
	assert_int_equal(verdict.limit.mails, 12);
	memory_free(m);
}

static void
retransmit_counts_twice(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	/* The ledger was asked for three recipients; the third again. */
	charge_of("bob", 1, "i", 11);
	learnt(m, NOW, 1);
	charge_of("bob", 1, "i", 12);
	learnt(m, NOW, 1);
	charge_of("bob", 1, "i", 13);
	accepted(m, NOW, 1);
	accepted(m, NOW + 1, 0);
	/* DATA: only what is new. */
	charge_of("bob", 3, "i", 0);
	accepted(m, NOW + 2, 0);
	charge_of("bob", 5, "i", 0);
	accepted(m, NOW + 3, 2);
	accepted(m, NOW + 4, 0);
	/* Another instance, another id. */
	charge_of("bob", 5, "j", 0);
	accepted(m, NOW + 5, 5);
	charge_of("carol", 5, "i", 0);
	accepted(m, NOW + 6, 5);
	/* It is full, but what was charged already costs nothing. */
	charge_of("bob", 5, "i", 0);
	accepted(m, NOW + 7, 0);
	charge_of("bob", 1, "k", 0);
	refused(m, NOW + 7, 10, 54);
	memory_free(m);
}

/* A ledger recorded it and was lost; the next one says that nothing is new. */
static void
asked_again(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v;

	(void)state;
	charge_of("bob", 6, "i", 0);
	v = (struct msg_verdict){ .verdict = VERDICT_ACCEPTED, .ncharged = 1 };
	memory_again(m, &charge, &v, NOW);
	assert_int_equal(v.charged[0], 6);
	memory_learn(m, &charge, &v, NOW);
	/* So it is when Postfix sends it again, but that is known here. */
	v.charged[0] = 0;
	memory_again(m, &charge, &v, NOW);
	assert_int_equal(v.charged[0], 0);
	/* What the second one recorded is what is new. */
	charge_of("bob", 9, "i", 0);
	v.charged[0] = 3;
	memory_again(m, &charge, &v, NOW);
	assert_int_equal(v.charged[0], 3);
	charge_of("bob", 5, "j", 0);
	refused(m, NOW + 1, 6, 60);
	memory_free(m);
}

static void
one_message_however_many_recipients(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 1, "i", 11)->kind = CHARGE_TOTAL;
	accepted(m, NOW, 1);
	charge_of("bob", 1, "i", 12)->kind = CHARGE_TOTAL;
	accepted(m, NOW, 0);
	charge_of("bob", 1, "j", 12)->kind = CHARGE_TOTAL;
	accepted(m, NOW, 1);
	memory_free(m);
}

static void
different_values(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_charge_key	*key;
	char			 value[16];
	int			 i;

	(void)state;
	for (i = 0; i < 12; i++) {
		key = charge_of("bob", 1, "", i + 1);
		key->kind = CHARGE_DISTINCT;
		snprintf(value, sizeof(value), "v%d", i);
		key->value = value;
		key->valuelen = strlen(value);
		if (i < 10) {
			accepted(m, NOW, 1);
			/* Again: it moves, and no second one is counted. */
			charge.tag += 1000;
			accepted(m, NOW, 1);
		} else
			refused(m, NOW, 10, 61);
	}
	/* Long ago is as never. */
	key->value = "v3";
	accepted(m, NOW + 62, 1);
	memory_free(m);
}

static void
all_or_none(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_charge_key	*key;

	(void)state;
	charge_of("full", 10, "", 1);
	accepted(m, NOW, 10);
	/* The first that refuses gives the answer, and nothing is recorded. */
	charge_of("free", 10, "", 2);
	key_of("full", 1);
	refused(m, NOW, 10, 61);
	assert_int_equal(verdict.key, 1);
	charge_of("free", 10, "", 3);
	accepted(m, NOW, 10);
	/* A shadow rule refuses nothing, and is told. */
	charge_of("other", 1, "", 4);
	key = key_of("full", 1);
	key->shadow = true;
	accepted(m, NOW, 1);
	assert_int_equal(verdict.shadowed, 2);
	assert_int_equal(verdict.charged[1], 1);
	memory_free(m);
}

static void
refusal_takes_back(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 6, "i", 1)->amount = 6;
	charge.mode = CHARGE_EACH;
	accepted(m, NOW, 6);
	charge_of("bob", 3, "j", 2);
	accepted(m, NOW, 3);
	charge_of("bob", 2, "i", 3);
	charge.mode = CHARGE_EACH;
	refused(m, NOW + 1, 9, 60);
	charge_of("bob", 7, "k", 4);
	accepted(m, NOW + 2, 7);
	memory_free(m);
}

/* What only the database knows: who was refused stays so for the time told. */
static void
what_the_database_refused(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_REFUSED,
		.limit = { 1, 600 },
		.used = 1,
		.retry_after = 3600,
		.full = { { { 1, 600 }, 1, 100 } }
	};

	(void)state;
	charge_of("bob", 2, "", 1);
	memory_learn(m, &charge, &v, NOW);
	refused(m, NOW + 99, 0, 1);
	assert_int_equal(verdict.limit.mails, 1);
	assert_int_equal(verdict.limit.seconds, 600);
	/* Less might have fitted. */
	charge_of("bob", 1, "", 2);
	accepted(m, NOW + 99, 1);
	charge_of("bob", 2, "", 3);
	refused(m, NOW + 99, 1, 1);
	accepted(m, NOW + 100, 2);
	/* The limit was raised meanwhile. */
	memory_learn(m, &charge, &v, NOW + 200);
	charge_of("bob", 2, "", 4);
	learnt(m, NOW + 201, 2);
	charge_of("bob", 2, "", 5);
	accepted(m, NOW + 202, 2);
	/* Never fits: the window says so by itself. */
	v.never = true;
	charge_of("dave", 11, "", 5);
	memory_learn(m, &charge, &v, NOW);
	refused(m, NOW, 0, 60);
	assert_true(verdict.never);
	memory_free(m);
}

/* The wait for other keys of that request is none of its own. */
static void
learns_the_wait_of_the_key_alone(void **state)
{
	static struct limit	 one_in_five[] = { { 1, 5 } };
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_REFUSED,
		.limit = { 1, 5 },
		.used = 1,
		.retry_after = 3601,
		.full = { { { 1, 5 }, 1, 6 } }
	};

	(void)state;
	charge_of("short", 1, "", 1)->limits.list = one_in_five;
	(void)key_of("long", 1);
	memory_learn(m, &charge, &v, NOW);
	charge_of("short", 1, "", 2)->limits.list = one_in_five;
	refused(m, NOW + 5, 0, 1);
	accepted(m, NOW + 100, 1);
	memory_free(m);
}

static void
soft_action_of_values(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_charge_key	*key;
	char			 value[16];
	int			 i;

	(void)state;
	for (i = 0; i < 12; i++) {
		key = charge_of("bob", 1, "", i + 1);
		key->kind = CHARGE_DISTINCT;
		key->soft = true;
		(void)snprintf(value, sizeof(value), "v%d", i);
		key->value = value;
		key->valuelen = strlen(value);
		accepted(m, NOW, 1);
		assert_int_equal(verdict.over, i >= 10);
		accepted(m, NOW, 1);
		assert_int_equal(verdict.over, i >= 10);
		assert_int_equal(weighed.keys[0].windows[0].used, i + 1);
	}
	accepted(m, NOW + 62, 1);
	assert_int_equal(verdict.over, 0);
	memory_free(m);
}

static struct msg_charge_key *
soft_and_hard(int64_t amount, const char *instance, int64_t tag)
{
	static struct limit	 three[] = { { 3, 60 } };
	static struct limit	 six[] = { { 6, 3600 } };
	struct msg_charge_key	*key;

	key = charge_of("soft", amount, instance, tag);
	key->limits = (struct limits){ 1, three };
	key->soft = true;
	charge.keys[1] = *key;
	charge.keys[1].soft = false;
	charge.keys[1].id = "hard";
	charge.keys[1].limits = (struct limits){ 1, six };
	charge.nkeys = 2;
	return key;
}

/* As in the ledger: what Postfix takes is charged, and hard limits hold. */
static void
soft_action_is_charged(void **state)
{
	struct memory	*m = memory_new(PLENTY);
	char		 instance[16];
	int		 i;

	(void)state;
	for (i = 1; i <= 6; i++) {
		(void)snprintf(instance, sizeof(instance), "i%d", i);
		(void)soft_and_hard(1, instance, 0);
		accepted(m, NOW, 1);
		assert_int_equal(verdict.over, i > 3 ? 1 : 0);
	}
	(void)soft_and_hard(1, "i6", 0);
	accepted(m, NOW, 0);
	assert_int_equal(verdict.over, 1);
	(void)soft_and_hard(1, "i7", 0);
	/* The wait is for the hard one, though the soft one has room before. */
	refused(m, NOW, 6, 3601);
	assert_int_equal(verdict.key, 1);
	assert_int_equal(verdict.over, 0);
	assert_false(verdict.never);
	(void)soft_and_hard(6, "i6", 0);
	refused(m, NOW, 6, 3601);
	assert_false(verdict.never);
	(void)soft_and_hard(7, "i6", 0);
	refused(m, NOW, 6, 3600);
	assert_true(verdict.never);
	memory_free(m);
}

/* Recipients beyond are refused by instance; the others were accepted. */
static void
max_per_mail(void **state)
{
	struct memory	*m = memory_new(PLENTY);
	int64_t		 tag;

	(void)state;
	/* Two that the ledger charged. */
	for (tag = 1; tag <= 2; tag++) {
		charge_of("bob", 1, "a", tag)->max_per_mail = 3;
		learnt(m, NOW, 1);
	}
	charge_of("bob", 1, "a", 3)->max_per_mail = 3;
	accepted(m, NOW, 1);
	charge_of("bob", 1, "a", 4)->max_per_mail = 3;
	refused(m, NOW, 3, 0);
	assert_true(verdict.never && verdict.per_mail);
	assert_int_equal(verdict.limit.mails, 3);
	assert_int_equal(verdict.limit.seconds, 0);
	/* Sent again, and the whole mail at DATA. */
	charge_of("bob", 1, "a", 3)->max_per_mail = 3;
	accepted(m, NOW, 0);
	charge_of("bob", 3, "a", 0)->max_per_mail = 3;
	accepted(m, NOW, 0);
	charge_of("bob", 4, "a", 0)->max_per_mail = 3;
	refused(m, NOW, 3, 0);
	/* Another mail, and one that is too big. */
	charge_of("bob", 3, "b", 0)->max_per_mail = 3;
	accepted(m, NOW, 3);
	charge_of("bob", 4, "", 5)->max_per_mail = 3;
	charge.keys[0].soft = true;
	refused(m, NOW, 0, 0);
	charge.keys[0].shadow = true;
	accepted(m, NOW, 4);
	assert_int_equal(verdict.shadowed, 1);
	memory_free(m);
}

/* The ledger knew nothing of two recipients of this mail. */
static void
max_per_mail_with_what_is_owed(void **state)
{
	static const int64_t	 one[] = { 1 };
	struct msg_verdict	 v = {
		.verdict = VERDICT_ACCEPTED, .ncharged = 1, .charged = { 1 }
	};
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 right;
	int64_t			 tag;

	(void)state;
	for (tag = 1; tag <= 2; tag++) {
		charge_of("bob", 1, "a", tag)->max_per_mail = 2;
		accepted(m, NOW, 1);
		memory_owe(m, &charge, one, NOW, 1);
	}
	assert_false(memory_over(m, &charge, &v, NOW, &right));
	charge_of("bob", 1, "a", 3)->max_per_mail = 2;
	assert_true(memory_over(m, &charge, &v, NOW, &right));
	assert_int_equal(right.verdict, VERDICT_REFUSED);
	assert_true(right.per_mail);
	assert_int_equal(right.ncharged, 0);
	memory_free(m);
}

static void
window_is(size_t i, struct limit limit, int64_t used, int64_t retry_after)
{
	const struct msg_window	*w = &weighed.keys[0].windows[i];

	assert_true(i < weighed.keys[0].nwindows);
	assert_int_equal(w->limit.mails, limit.mails);
	assert_int_equal(w->limit.seconds, limit.seconds);
	assert_int_equal(w->used, used);
	assert_int_equal(w->retry_after, retry_after);
}

static void
weighing_leaves_no_trace(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_REFUSED,
		.limit = { 5, 600 },
		.used = 5,
		.retry_after = 3600,
		.full = { { { 5, 600 }, 5, 100 } }
	};
	size_t			 before;

	(void)state;
	charge_of("bob", 9, "i", 0)->limits = (struct limits){ 2, two_windows };
	before = memory_bytes(m);
	memory_weigh(m, &charge, NOW, &weighed);
	assert_int_equal(memory_bytes(m), before);
	assert_int_equal(weighed.keys[0].amount, 9);
	window_is(0, two_windows[0], 0, 0);
	window_is(1, two_windows[1], 0, 0);
	accepted(m, NOW, 9);
	charge_of("bob", 2, "j", 0)->limits = (struct limits){ 2, two_windows };
	refused(m, NOW, 9, 61);
	window_is(0, two_windows[0], 9, 61);
	window_is(1, two_windows[1], 9, 0);
	/* Refused by a limit that the database alone knows. */
	memory_learn(m, &charge, &v, NOW);
	refused(m, NOW, 9, 100);
	assert_int_equal(weighed.keys[0].nwindows, 3);
	window_is(2, v.limit, 9, 100);
	/* By one of these, it is that one. */
	v.limit = v.full[0].limit = two_windows[1];
	memory_learn(m, &charge, &v, NOW);
	refused(m, NOW, 9, 100);
	assert_int_equal(weighed.keys[0].nwindows, 2);
	window_is(1, two_windows[1], 9, 100);
	memory_free(m);
}

static void
clock_steps_back(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 10, "", 1);
	accepted(m, NOW, 10);
	charge_of("bob", 1, "", 2);
	refused(m, NOW - 10000, 10, 10061);
	charge_of("bob", 1, "i", 0);
	refused(m, NOW - 86400, 10, 86461);
	refused(m, NOW, 10, 61);
	accepted(m, 2 * (int64_t)NOW, 1);
	memory_free(m);
}

static void
unbounded_buffer(void **state)
{
	struct memory	*m = memory_new(PLENTY);
	char		 id[64], instance[64];
	int		 i;

	(void)state;
	for (i = 0; i < 300000; i++) {
		snprintf(id, sizeof(id), "user%d@example.org", i);
		snprintf(instance, sizeof(instance), "instance.%d", i);
		charge_of(id, 1, instance, 1);
		accepted(m, NOW, 1);
		assert_true(memory_bytes(m) <= PLENTY);
	}
	/* The last ones are known, the first ones forgotten. */
	charge_of(id, 10, "", 2);
	refused(m, NOW, 1, 61);
	charge_of("user0@example.org", 10, "", 2);
	accepted(m, NOW, 10);
	memory_resize(m, 1024);
	charge_of("a", 1, "", 1);
	accepted(m, NOW, 1);
	assert_true(memory_bytes(m) <= 1024);
	memory_free(m);
	memory_free(NULL);
}

/* --- what the ledger did not know of --- */

/* The ledger accepts `amount` of bob's, and says what it has in this window. */
static bool
overruled(struct memory *m, int64_t now, int64_t amount, struct limit limit,
    int64_t used)
{
	struct msg_verdict	v = {
		.verdict = VERDICT_ACCEPTED,
		.limit = limit,
		.used = used,
		.ncharged = 1,
		.charged = { amount }
	};

	return memory_over(m, &charge, &v, now, &verdict);
}

static void
owed_counts(void **state)
{
	const int64_t	 four[] = { 4 }, three[] = { 3 };
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 4, "", 1);
	assert_false(overruled(m, NOW, 4, ten_a_minute[0], 10));
	accepted(m, NOW, 4);
	memory_owe(m, &charge, four, NOW, 1);
	/* Room for 6 more, whatever the ledger thinks. */
	charge_of("bob", 3, "", 2);
	assert_false(overruled(m, NOW, 3, ten_a_minute[0], 6));
	assert_true(overruled(m, NOW, 3, ten_a_minute[0], 7));
	assert_int_equal(verdict.verdict, VERDICT_REFUSED);
	assert_int_equal(verdict.limit.mails, 10);
	assert_int_equal(verdict.limit.seconds, 60);
	assert_int_equal(verdict.key, 0);
	/* Only the database knows of the others: until what is owed is old. */
	assert_int_equal(verdict.retry_after, 61);
	/* What is in shadow, or is charged nothing, is refused nothing. */
	assert_false(overruled(m, NOW, 0, ten_a_minute[0], 10));
	charge.keys[0].shadow = true;
	assert_false(overruled(m, NOW, 3, ten_a_minute[0], 7));
	/* It grows old, like all the rest. */
	charge_of("bob", 3, "", 2);
	assert_false(overruled(m, NOW + 61, 3, ten_a_minute[0], 7));
	/* What is taken back makes room. */
	memory_owe(m, &charge, three, NOW, -1);
	assert_false(overruled(m, NOW, 3, ten_a_minute[0], 9));
	assert_true(overruled(m, NOW, 3, ten_a_minute[0], 10));
	memory_owe(m, &charge, three, NOW, 1);
	/* Once it is in the tables the ledger knows. */
	charge_of("bob", 4, "", 1);
	memory_owe(m, &charge, four, NOW, -1);
	assert_false(overruled(m, NOW, 4, ten_a_minute[0], 10));
	assert_true(memory_bytes(m) < 1000);
	memory_free(m);
}

/* Over a soft limit with what is owed: its action; a hard key refuses. */
static void
owed_to_soft_keys(void **state)
{
	const int64_t		 five[] = { 5, 5 };
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_ACCEPTED, .ncharged = 2, .charged = { 1, 1 }
	};

	(void)state;
	(void)soft_and_hard(5, "a", 0);
	accepted(m, NOW, 5);
	memory_owe(m, &charge, five, NOW, 1);
	(void)soft_and_hard(1, "b", 0);
	assert_true(memory_over(m, &charge, &v, NOW, &verdict));
	assert_int_equal(verdict.verdict, VERDICT_ACCEPTED);
	assert_int_equal(verdict.over, 1);
	assert_int_equal(verdict.key, 0);
	assert_int_equal(verdict.limit.mails, 3);
	assert_int_equal(verdict.used, 5);
	assert_int_equal(verdict.retry_after, 61);
	assert_int_equal(verdict.charged[1], 1);
	memory_learn(m, &charge, &verdict, NOW);
	/* Sent again, the ledger has charged nothing. */
	v.charged[0] = v.charged[1] = 0;
	assert_true(memory_over(m, &charge, &v, NOW, &verdict));
	assert_int_equal(verdict.over, 1);
	(void)soft_and_hard(1, "c", 0);
	v.charged[0] = v.charged[1] = 1;
	assert_true(memory_over(m, &charge, &v, NOW, &verdict));
	assert_int_equal(verdict.verdict, VERDICT_REFUSED);
	assert_int_equal(verdict.key, 1);
	assert_int_equal(verdict.over, 0);
	assert_int_equal(verdict.retry_after, 3601);
	memory_free(m);
}

/* A limit that the database alone knows holds softly for the time told. */
static void
soft_answer_of_the_database(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_ACCEPTED, .limit = { 1, 600 }, .used = 1,
		.retry_after = 300, .full = { { { 1, 600 }, 1, 100 } },
		.over = 1,
		.ncharged = 1, .charged = { 1 }
	};

	(void)state;
	charge_of("bob", 1, "a", 0)->soft = true;
	memory_learn(m, &charge, &v, NOW);
	accepted(m, NOW + 50, 0);
	assert_int_equal(verdict.over, 1);
	charge_of("bob", 1, "b", 0)->soft = true;
	accepted(m, NOW + 98, 1);
	assert_int_equal(verdict.over, 1);
	assert_int_equal(verdict.limit.seconds, 600);
	charge_of("bob", 1, "c", 0)->soft = true;
	accepted(m, NOW + 99, 1);
	assert_int_equal(verdict.over, 1);
	assert_int_equal(verdict.retry_after, 1);
	charge_of("bob", 1, "d", 0)->soft = true;
	accepted(m, NOW + 100, 1);
	assert_int_equal(verdict.over, 0);
	memory_free(m);
}

/* Each soft key has a wait of its own, though only the first one answers. */
static void
waits_of_all_soft_keys(void **state)
{
	struct memory		*m = memory_new(PLENTY);
	struct msg_verdict	 v = {
		.verdict = VERDICT_ACCEPTED, .limit = { 1, 600 }, .used = 1,
		.retry_after = 100,
		.full = { { { 1, 600 }, 1, 100 }, { { 1, 900 }, 1, 200 } },
		.over = 3, .ncharged = 2, .charged = { 1, 1 }
	};
	char			 instance[16];
	int			 i;

	(void)state;
	for (i = 0; i < 4; i++) {
		(void)snprintf(instance, sizeof(instance), "i%d", i);
		charge_of("bob", 1, instance, 0)->soft = true;
		key_of("bob2", 1)->soft = true;
		if (i == 0)
			memory_learn(m, &charge, &v, NOW);
		else {
			accepted(m, NOW + 50 * i + 1, 1);
			assert_int_equal(verdict.over, i == 1 ? 3 : 2);
			assert_int_equal(verdict.full[1].limit.seconds, 900);
		}
	}
	charge_of("bob2", 1, "j", 0)->soft = true;
	accepted(m, NOW + 200, 1);
	assert_int_equal(verdict.over, 0);
	memory_free(m);
}

static void
owed_in_another_window(void **state)
{
	const int64_t	 four[] = { 4 };
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("bob", 4, "", 1);
	learnt(m, NOW, 4);
	charge_of("bob", 4, "", 2);
	accepted(m, NOW + 60, 4);
	memory_owe(m, &charge, four, NOW + 60, 1);
	charge_of("bob", 4, "", 3)->limits = (struct limits){ 2, two_windows };
	assert_false(overruled(m, NOW + 61, 4, two_windows[0], 4));
	charge.keys[0].amount = 5;
	assert_true(overruled(m, NOW + 61, 5, two_windows[0], 5));
	assert_int_equal(verdict.limit.seconds, 3600);
	/* Whose limits are SQL's has others than these. */
	charge.keys[0].sql = true;
	assert_false(overruled(m, NOW + 61, 5, two_windows[0], 5));
	memory_free(m);
}

static void
rule_has_another_name(void **state)
{
	struct memory	*m = memory_new(PLENTY);

	(void)state;
	charge_of("old:bob", 6, "", 1);
	learnt(m, NOW, 6);
	charge_of("old:carol", 3, "", 2);
	learnt(m, NOW, 3);
	charge_of("new:bob", 3, "", 3);
	learnt(m, NOW, 3);
	memory_rename(m, "old", "new");
	charge_of("new:bob", 2, "", 4);
	refused(m, NOW + 1, 9, 60);
	charge_of("new:carol", 7, "", 5);
	accepted(m, NOW + 1, 7);
	/* Nothing is left under the earlier name. */
	charge_of("old:bob", 10, "", 6);
	accepted(m, NOW + 1, 10);
	memory_free(m);
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(goes_on_limiting),
		TEST(every_window),
		TEST(retransmit_counts_twice),
		TEST(asked_again),
		TEST(one_message_however_many_recipients),
		TEST(different_values),
		TEST(all_or_none),
		TEST(refusal_takes_back),
		TEST(what_the_database_refused),
		TEST(learns_the_wait_of_the_key_alone),
		TEST(max_per_mail),
		TEST(max_per_mail_with_what_is_owed),
		TEST(soft_action_of_values),
		TEST(soft_action_is_charged),
		TEST(weighing_leaves_no_trace),
		TEST(clock_steps_back),
		TEST(unbounded_buffer),
		TEST(owed_counts),
		TEST(owed_to_soft_keys),
		TEST(soft_answer_of_the_database),
		TEST(waits_of_all_soft_keys),
		TEST(owed_in_another_window),
		TEST(rule_has_another_name)
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
