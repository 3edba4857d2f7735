#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decision/habit.h"
#include "rig.h"

/* Rules that count new recipients. */

#define DAY	INT64_C(86400)
#define HOME	"192.0.2.0/24"
#define AWAY	"198.51.100.0/24"
#define LIMIT	5

/* A request at RCPT of habit:bob under [[5, 86400]]. */
static void
rcpt(struct rig_charge *c, const char *network, const char *recipient)
{
	struct msg_charge_key	*k;

	rig_charge(c, "habit:bob", 1, LIMIT, DAY);
	k = &c->m.keys[0];
	k->kind = CHARGE_HABIT;
	k->network = network;
	k->networklen = strlen(network);
	k->value = recipient;
	k->valuelen = strlen(recipient);
	k->unfamiliar = 7 * DAY;
	k->learn = 90 * DAY;
	k->reported = 1;
	k->report = true;
	rig_instance(c, "", 1);
	arc4random_buf(&c->m.tag, sizeof(c->m.tag));
}

static int
send(struct rig *r, const char *network, const char *recipient)
{
	struct rig_charge	c;

	rcpt(&c, network, recipient);
	return rig_ask(r, &c);
}

/* What was counted of late. */
static int64_t
counted(struct rig *r)
{
	return rig_sql(r, "SELECT coalesce(sum(recipient_count), 0)"
	    " FROM mail_count WHERE id = 'habit:bob' AND date > %lld",
	    (long long)(r->now - 5 * DAY));
}

/* How many of `n` strangers, none of whom was asked about before, pass. */
static int
strangers(struct rig *r, const char *network, int n)
{
	static int	next;
	char		name[40];
	int		passed = 0, i;

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%d@example.com", next++);
		passed += send(r, network, name) == VERDICT_ACCEPTED;
	}
	return passed;
}

/* A rule that has learned, of a key that writes from HOME. */
static void
learn(struct rig *r)
{
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	r->now += 15 * DAY;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
}

static void
habits_learning(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 request;

	/* For 14 days it refuses nothing, and says what it would. */
	assert_int_equal(strangers(r, HOME, 20), 20);
	r->now += 14 * DAY - 1;
	assert_int_equal(strangers(r, AWAY, 20), 20);
	rcpt(&c, AWAY, "one more");
	request = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, request)->shadowed, 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_report"), 0);
	/* What a refusal would have been does not restart a network's time. */
	r->now++;
	assert_int_equal(strangers(r, HOME, 20), 20);
	r->now += 2 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	/* A key that comes later is judged at once. */
	rcpt(&c, AWAY, "dave");
	c.m.keys[0].id = "habit:eve";
	c.m.keys[0].amount = 1;
	c.m.keys[0].limits.list[0].mails = 0;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	/* And another rule learns for itself. */
	c.m.keys[0].id = "other:eve";
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
}

/* A clock without a battery begins in 1970. */
static void
habits_clock_behind(void **state)
{
	struct rig	*r = *state;
	int64_t		 right = r->now;

	r->now = 3 * DAY;
	assert_int_equal(strangers(r, HOME, 20), 20);
	r->now = right;
	assert_int_equal(strangers(r, HOME, 20), 20);
	r->now += 14 * DAY - 1;
	assert_int_equal(strangers(r, AWAY, 20), 20);
	r->now += DAY + 1;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	/* A rule that is in use does not learn again. */
	r->now += 300 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	r->now += 300 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
}

static void
habits_strangers(void **state)
{
	struct rig	*r = *state;

	learn(r);
	/* From a familiar network anybody, from a new one a few. */
	assert_int_equal(strangers(r, HOME, 20), 20);
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	assert_int_equal(counted(r), LIMIT);
	/* The owner goes on: at his own network, and to the people he knows. */
	assert_int_equal(strangers(r, HOME, 20), 20);
	assert_int_equal(send(r, AWAY, "carol"), VERDICT_ACCEPTED);
	assert_int_equal(send(r, "", "carol"), VERDICT_ACCEPTED);
	/* A botnet has one limit for all its networks. */
	assert_int_equal(strangers(r, "203.0.113.0/24", 20), 0);
	/* An unknown address is never familiar. */
	r->now += 10 * DAY;
	assert_int_equal(strangers(r, "", 20), LIMIT);
	r->now += 10 * DAY;
	assert_int_equal(strangers(r, "", 20), LIMIT);
}

static void
habits_restart(void **state)
{
	struct rig	*r = *state;

	learn(r);
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	/* Another refusal after six days: seven more from there. */
	r->now += 6 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	r->now += 6 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), LIMIT);
	r->now += 8 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), 20);
}

static void
habits_again(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	learn(r);
	assert_int_equal(strangers(r, AWAY, LIMIT), LIMIT);
	rcpt(&c, AWAY, "dave");
	rig_instance(&c, "1a", 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	rig_instance(&c, "1a", 2);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT sum(hit) FROM limit_report"), 1);
	rig_instance(&c, "2b", 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT sum(hit) FROM limit_report"), 2);
	/* An accepted one costs nothing again, also after a restart. */
	r->now += DAY + 1;
	rig_instance(&c, "3c", 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	rig_reopen(r);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(send(r, AWAY, "dave"), VERDICT_ACCEPTED);
	assert_int_equal(strangers(r, AWAY, 20), LIMIT - 1);
}

/* Only what all rules accept is learned. */
static void
habits_all_rules(void **state)
{
	static const struct limit	none = { 0, DAY };
	struct rig			*r = *state;
	struct rig_charge		 c;
	struct msg_charge_key		*k;

	learn(r);
	rcpt(&c, AWAY, "dave");
	k = rig_key(&c, "volume:bob", 1, &none, 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	k->shadow = true;
	k->limits.list = &c.m.store[1];
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 3);
	/* Held mail is not accepted by all. */
	k->shadow = false;
	k->soft = true;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 3);
	k->shadow = true;
	k->soft = false;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 5);
}

static void
habits_shadow(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;
	char			 name[20];

	learn(r);
	for (i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		rcpt(&c, AWAY, name);
		c.m.keys[0].shadow = true;
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	}
	/* They were learned. */
	assert_int_equal(send(r, "", "s19"), VERDICT_ACCEPTED);
	assert_int_equal(send(r, "", "s20"), VERDICT_REFUSED);
}

/* DATA and END-OF-MESSAGE. */
static void
habits_data(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	learn(r);
	/* Several recipients, none is named: all count, none is learned. */
	rcpt(&c, AWAY, "");
	c.m.keys[0].amount = 4;
	rig_instance(&c, "1a", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 4);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 3);
	rig_instance(&c, "2b", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	rcpt(&c, HOME, "");
	c.m.keys[0].amount = 400;
	rig_instance(&c, "3c", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	/* One recipient is the same as at RCPT. */
	r->now += 2 * DAY;
	rcpt(&c, AWAY, "dave");
	rig_instance(&c, "4d", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 5);
	assert_int_equal(send(r, AWAY, "dave"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 5);
	/* What was asked about at RCPT, known or not, costs nothing more. */
	rcpt(&c, AWAY, "carol");
	rig_instance(&c, "5e", 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	rcpt(&c, AWAY, "erin");
	rig_instance(&c, "5e", 2);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	rcpt(&c, AWAY, "");
	c.m.keys[0].amount = 2;
	rig_instance(&c, "5e", 0);
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 6);
	c.m.keys[0].amount = 3;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 7);
}

/* A soft action is the answer again to what it counted, and to nothing else. */
static void
habits_soft(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 request;

	learn(r);
	assert_int_equal(strangers(r, AWAY, LIMIT), LIMIT);
	rcpt(&c, AWAY, "dave");
	c.m.keys[0].soft = true;
	rig_instance(&c, "1a", 1);
	request = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, request)->over, 1);
	rig_instance(&c, "1a", 0);
	request = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, request)->over, 1);
	assert_int_equal(counted(r), LIMIT + 1);
	rcpt(&c, AWAY, "carol");
	c.m.keys[0].soft = true;
	rig_instance(&c, "2b", 1);
	request = rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, request)->over, 0);
}

static void
habits_two(void **state)
{
	struct rig		*a = *state, *b = rig_beside(a);
	struct rig_charge	 c;

	rig_open(b);
	learn(a);
	b->now = a->now;
	/* Both see what the other learned, and count together. */
	assert_int_equal(strangers(b, HOME, 20), 20);
	rcpt(&c, AWAY, "dave");
	assert_int_equal(rig_ask(b, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_ask(a, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(a), 1);
	assert_int_equal(strangers(a, AWAY, 2), 2);
	assert_int_equal(strangers(b, AWAY, 20), LIMIT - 3);
	assert_int_equal(strangers(a, AWAY, 20), 0);
	/* One network, one recipient, one rule: stored once. */
	assert_int_equal(rig_sql(a, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 0"), 2);
	assert_int_equal(rig_sql(a, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 2"), 1);
	rig_free(b);
}

/* One write for each pair and day. */
static void
habits_writes(void **state)
{
	struct rig	*r = *state;
	int64_t		 seen;

	learn(r);
	r->now += DAY - r->now % DAY;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	seen = r->now;
	r->now += DAY - 1;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	assert_true(rig_sql(r, "SELECT max(seen) FROM mail_habit") == seen);
	r->now++;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	assert_true(rig_sql(r, "SELECT min(seen) FROM mail_habit") == r->now);
}

/* Many in one batch, and the bound on what is kept. */
static void
habits_bound(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	char			 name[40];
	int			 i;

	learn(r);
	r->timeout = 60000;
	for (i = 0; i < HABIT_RECIPIENTS + 200; i++) {
		(void)snprintf(name, sizeof(name), "many%d", i);
		rcpt(&c, HOME, name);
		(void)rig_add(r, &c);
		if (i % 50 == 49) {
			rig_run(r);
			r->now += i % 1000 == 999 ? DAY : 1;
		}
	}
	rig_run(r);
	assert_true(rig_sql(r, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 1") <= HABIT_RECIPIENTS);
	assert_true(rig_sql(r, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 1") > HABIT_RECIPIENTS * 9 / 10);
	/* The latest are known, the first are not. */
	assert_int_equal(send(r, AWAY, name), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 0);
	assert_int_equal(send(r, AWAY, "many0"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 1);
	/* Strange networks never push out a familiar one. */
	for (i = 0; i < HABIT_NETWORKS + 30; i++) {
		(void)snprintf(name, sizeof(name), "10.0.%d.0/24", i);
		assert_int_equal(send(r, name, "carol"), VERDICT_ACCEPTED);
	}
	assert_true(rig_sql(r, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 0") <= HABIT_NETWORKS);
	assert_int_equal(strangers(r, HOME, 20), 20);
	/* Carol had gone, and was new once. */
	assert_int_equal(counted(r), 2);
}

static void
habits_clean(void **state)
{
	struct rig	*r = *state;

	learn(r);
	assert_int_equal(send(r, AWAY, "dave"), VERDICT_ACCEPTED);
	rig_clean(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 5);
	r->now += 80 * DAY;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	rig_clean(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 5);
	/* Known for as long as `learn`, then deleted. */
	assert_int_equal(send(r, "", "dave"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 0);
	r->now += 92 * DAY;
	assert_int_equal(send(r, HOME, "erin"), VERDICT_ACCEPTED);
	rig_clean(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 3);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"
	    " WHERE kind = 2"), 1);
	/* After all that the network is a new one, and the rule is not. */
	assert_int_equal(strangers(r, HOME, 20), LIMIT - 1);
}

/* A clock that was wrong leaves nothing wrong behind. */
static void
habits_clock(void **state)
{
	struct rig	*r = *state;

	learn(r);
	/* Ahead for a while, less than `learn`. */
	r->now += 60 * DAY;
	assert_int_equal(send(r, HOME, "carol"), VERDICT_ACCEPTED);
	assert_int_equal(send(r, AWAY, "dave"), VERDICT_ACCEPTED);
	r->now -= 60 * DAY;
	rig_clean(r);
	assert_int_equal(strangers(r, HOME, 20), 20);
	assert_int_equal(send(r, AWAY, "carol"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 0);
	/* The other network does not wait until then. */
	r->now += 8 * DAY;
	assert_int_equal(strangers(r, AWAY, 20), 20);
	/* Behind for a while. */
	r->now -= 5 * DAY;
	assert_int_equal(strangers(r, HOME, 20), 20);
	r->now += 6 * DAY;
	assert_int_equal(strangers(r, HOME, 20), 20);
	assert_int_equal(strangers(r, AWAY, 20), 20);
}

/* Mail that was accepted without the database; and what is taken back. */
static void
habits_replay(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	learn(r);
	rcpt(&c, AWAY, "dave");
	c.m.mode = CHARGE_REPLAY;
	c.m.date = r->now;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"), 3);
	assert_int_equal(send(r, AWAY, "erin"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 1);
	rcpt(&c, AWAY, "erin");
	c.m.mode = CHARGE_BACK;
	c.m.date = r->now;
	c.m.tag = 77;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 0);
}

/* What policyctl trust and forget write. */
static void
habits_forget(void **state)
{
	struct rig		*r = *state;
	struct store_pair	 pair = { .kind = PAIR_NETWORK, .what = 7 };
	int64_t			 n;

	learn(r);
	r->now += 60;
	assert_int_equal(send(r, AWAY, "dave"), VERDICT_ACCEPTED);
	pair.who = rig_sql(r, "SELECT max(who) FROM mail_habit WHERE kind = 0");
	assert_int_equal(store_forget_pairs(r->store, pair.who, r->now - 1,
	    &n), STORE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(send(r, "", "dave"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 2);
	assert_int_equal(send(r, "", "carol"), VERDICT_ACCEPTED);
	assert_int_equal(counted(r), 2);
	pair.known.last = r->now;
	assert_int_equal(store_set_pairs(r->store, &pair, 1), STORE_OK);
	assert_int_equal(store_set_pairs(r->store, &pair, 1), STORE_OK);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_habit"
	    " WHERE what = 7 AND since = 0"), 1);
}

/* No name and no address is stored. */
static void
habits_hashed(void **state)
{
	struct rig	*a = *state, *b = rig_new();
	int64_t		 sum;

	learn(a);
	sum = rig_sql(a, "SELECT sum(what / 4) FROM mail_habit");
	rig_open(b);
	learn(b);
	/* The key of the hashes is the database's own. */
	assert_true(rig_sql(b, "SELECT sum(what / 4) FROM mail_habit") != sum);
	rig_free(b);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest	tests[] = {
		TEST(habits_learning),
		TEST(habits_clock_behind),
		TEST(habits_strangers),
		TEST(habits_restart),
		TEST(habits_again),
		TEST(habits_all_rules),
		TEST(habits_shadow),
		TEST(habits_data),
		TEST(habits_soft),
		TEST(habits_two),
		TEST(habits_writes),
		TEST(habits_bound),
		TEST(habits_clean),
		TEST(habits_clock),
		TEST(habits_replay),
		TEST(habits_forget),
		TEST(habits_hashed),
	};
	int			failed;

	rig_begin();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_end();
	return failed;
}
