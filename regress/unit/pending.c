#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/pending.h"
#include "engine/replay.h"
#include "engine/loop_clock.h"
#include "lib/log.h"

#define TIMEOUT_MS	200
#define PATIENCE_MS	20000
#define MANY		64

/* Answers as they came; a client is a number here. */
static struct answer {
	uintptr_t	client;
	uint8_t		verdict;
	int64_t		after;		/* milliseconds */
	bool		again;
} answers[MANY];
static size_t		nanswers;

static struct pending_queue	*queue;
static struct replay		*replay;
static struct policy		*policy;
static struct channel		*engine;	/* our end */
static struct channel		*ledger;	/* the other one */
static struct msg_charge	asked[MANY];	/* what the ledger got */
static struct str		asked_bytes[MANY];
static uint64_t			numbers[MANY];
static size_t			nasked;

static int64_t			owed;		/* as it is told */
static const int64_t		charged[] = { 1 };

static void
on_owed(void *arg, const struct msg_charge *c, const int64_t *amounts,
    int64_t date, int sign)
{
	assert_ptr_equal(arg, &owed);
	assert_int_equal(c->nkeys, 1);
	assert_true(date > 0);
	owed += sign * amounts[0];
}

static void
on_answer(void *arg, struct pending *p, const struct msg_verdict *v)
{
	struct answer	*a = &answers[nanswers++ % MANY];

	assert_ptr_equal(arg, answers);
	a->client = (uintptr_t)p->client;
	a->verdict = v->verdict;
	a->again = p->again;
	a->after = clock_between(p->began, clock_mono()) / 1000000;
}

static void
connect_ledger(void)
{
	int	fd[2];

	assert_int_equal(channel_pair(fd), 0);
	engine = channel_new(fd[0], ROLE_ENGINE, ROLE_LEDGER);
	ledger = channel_new(fd[1], ROLE_LEDGER, ROLE_ENGINE);
	nasked = 0;
	pending_use_channel(queue, engine);
	replay_channel(replay, engine);
	pending_set_serving(queue);
}

static void
lose_ledger(void)
{
	pending_use_channel(queue, NULL);
	replay_channel(replay, NULL);
	channel_free(engine);
	channel_free(ledger);
	engine = ledger = NULL;
}

static int
set_up(void **state)
{
	struct settings	*s = settings_new();

	(void)state;
	log_open("test", LOG_TO_SYSLOG, -1, false);
	if (event_init() == NULL)
		return -1;
	s->db_timeout = TIMEOUT_MS;
	policy = policy_new(s);
	queue = pending_new(on_answer, answers);
	replay = replay_new(on_owed, &owed);
	connect_ledger();
	return 0;
}

static int
tear_down(void **state)
{
	size_t	i;

	(void)state;
	lose_ledger();
	assert_int_equal(policy->users, 1);
	policy_drop(policy);
	for (i = 0; i < MANY; i++)
		str_clear(&asked_bytes[i]);
	return 0;
}

static int
begin(void **state)
{
	(void)state;
	loop_turn_end();
	nanswers = 0;
	nasked = 0;
	return 0;
}

static void
ask(uintptr_t client, const char *id)
{
	static struct limit	 ten = { 10, 60 };
	struct request		 req;
	static struct applied	 d;

	memset(&req, 0, sizeof(req));
	d.identity = KEY_SASL_USERNAME;
	d.charge.mode = CHARGE_ONCE;
	d.charge.instance = "i";
	d.charge.instancelen = 1;
	d.charge.tag = (int64_t)client;
	d.charge.state = "DATA";
	d.charge.statelen = 4;
	d.charge.nkeys = 1;
	memset(&d.charge.keys[0], 0, sizeof(d.charge.keys[0]));
	d.charge.keys[0].id = id;
	d.charge.keys[0].idlen = strlen(id);
	d.charge.keys[0].amount = 1;
	d.charge.keys[0].limits.list = &ten;
	d.charge.keys[0].limits.count = 1;
	pending_add(queue, (struct client *)client, policy, &req, &d);
	pending_send(queue);
}

/* What the ledger has got by now. */
static void
hear(void)
{
	struct message	m;

	if (channel_queued(engine) > 0)
		assert_int_not_equal(channel_flush(engine), -1);
	assert_int_not_equal(channel_read(ledger), -1);
	while (channel_next(ledger, &m) == 1) {
		assert_true(nasked < MANY);
		assert_int_equal(m.type, MSG_CHARGE);
		numbers[nasked] = m.request;
		/* The get points into its payload. */
		asked_bytes[nasked].len = 0;
		str_add(&asked_bytes[nasked], m.payload, m.len);
		assert_int_equal(msg_charge_get(&asked[nasked],
		    asked_bytes[nasked].data, asked_bytes[nasked].len), 0);
		nasked++;
	}
}

static bool
verdict(uint64_t number, enum verdict which)
{
	struct msg_verdict	v;

	memset(&v, 0, sizeof(v));
	v.verdict = (uint8_t)which;
	return pending_verdict(queue, number, &v);
}

static void
on_patience(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("waited too long");
}

/* The loop, until so many answers are there. */
static void
run_until(size_t n)
{
	struct timeval	tv = { PATIENCE_MS / 1000, 0 };
	struct event	patience;

	evtimer_set(&patience, on_patience, NULL);
	evtimer_add(&patience, &tv);
	while (nanswers < n) {
		loop_turn_end();
		assert_int_equal(event_loop(EVLOOP_ONCE), 0);
	}
	evtimer_del(&patience);
	loop_turn_end();
}

static void
is_answer(size_t i, uintptr_t client, enum verdict which)
{
	assert_true(i < nanswers);
	assert_int_equal(answers[i].client, client);
	assert_int_equal(answers[i].verdict, which);
}

static void
each_its_own(void **state)
{
	(void)state;
	ask(1, "a");
	ask(2, "b");
	ask(3, "c");
	hear();
	assert_int_equal(nasked, 3);
	assert_int_equal(pending_count(queue), 3);
	assert_memory_equal(asked[1].keys[0].id, "b", 1);
	assert_int_equal(asked[1].tag, 2);
	assert_int_equal(asked[1].date, 0);
	/* In any order. */
	assert_true(verdict(numbers[1], VERDICT_REFUSED));
	assert_true(verdict(numbers[2], VERDICT_ACCEPTED));
	assert_true(verdict(numbers[0], VERDICT_UNAVAILABLE));
	is_answer(0, 2, VERDICT_REFUSED);
	is_answer(1, 3, VERDICT_ACCEPTED);
	is_answer(2, 1, VERDICT_UNAVAILABLE);
	assert_int_equal(pending_count(queue), 0);
	/* Once. */
	assert_false(verdict(numbers[1], VERDICT_ACCEPTED));
	assert_false(verdict(12345678, VERDICT_ACCEPTED));
	assert_false(verdict(UINT64_MAX, VERDICT_ACCEPTED));
	assert_int_equal(nanswers, 3);
}

static void
slots_are_used_again(void **state)
{
	uint64_t	old;

	(void)state;
	ask(1, "a");
	hear();
	old = numbers[0];
	assert_true(verdict(old, VERDICT_ACCEPTED));
	ask(2, "b");
	hear();
	assert_int_not_equal(numbers[1], old);
	assert_int_equal(numbers[1] & PENDING_NOT, 0);
	/* A verdict on what was there before is not one on this. */
	assert_false(verdict(old, VERDICT_REFUSED));
	assert_int_equal(nanswers, 1);
	assert_true(verdict(numbers[1], VERDICT_ACCEPTED));
}

static void
database_hangs_kills_daemon(void **state)
{
	struct mono	begun = clock_mono();

	(void)state;
	ask(1, "a");
	ask(2, "b");
	hear();
	/* The ledger gives up before we do. */
	assert_true(asked[0].deadline <
	    clock_after(clock_mono(), TIMEOUT_MS).ns);
	assert_true(asked[0].deadline >
	    clock_after(begun, TIMEOUT_MS / 2).ns);
	run_until(2);
	is_answer(0, 1, VERDICT_UNAVAILABLE);
	is_answer(1, 2, VERDICT_UNAVAILABLE);
	assert_true(answers[0].after >= TIMEOUT_MS);
	assert_true(answers[1].after < PATIENCE_MS);
	/* What comes late is not answered again. */
	assert_false(verdict(numbers[0], VERDICT_ACCEPTED));
	assert_int_equal(nanswers, 2);
}

static void
lost_ledger_is_asked_again(void **state)
{
	struct str	before;

	(void)state;
	str_init(&before);
	ask(1, "a");
	ask(2, "b");
	hear();
	str_add(&before, asked_bytes[1].data, asked_bytes[1].len);
	assert_true(verdict(numbers[0], VERDICT_ACCEPTED));
	lose_ledger();
	ask(3, "c");
	assert_int_equal(nanswers, 1);
	connect_ledger();
	pending_send(queue);
	hear();
	/* What was not answered, as it was, in order; and what is new. */
	assert_int_equal(nasked, 2);
	assert_int_equal(asked_bytes[0].len, before.len);
	assert_memory_equal(asked_bytes[0].data, before.data, before.len);
	assert_memory_equal(asked[1].keys[0].id, "c", 1);
	assert_true(verdict(numbers[1], VERDICT_ACCEPTED));
	assert_true(verdict(numbers[0], VERDICT_REFUSED));
	is_answer(1, 3, VERDICT_ACCEPTED);
	is_answer(2, 2, VERDICT_REFUSED);
	/* Only one of them may be recorded already. */
	assert_false(answers[0].again);
	assert_false(answers[1].again);
	assert_true(answers[2].again);
	str_clear(&before);
}

static void
no_ledger_for_long(void **state)
{
	(void)state;
	lose_ledger();
	ask(1, "a");
	run_until(1);
	assert_true(answers[0].after >= TIMEOUT_MS);
	/* It was waited for once; now nobody waits. */
	ask(2, "b");
	run_until(2);
	is_answer(1, 2, VERDICT_UNAVAILABLE);
	assert_true(answers[1].after < TIMEOUT_MS);
	/* Nor for one that has not found its database. */
	connect_ledger();
	pending_use_channel(queue, NULL);
	pending_use_channel(queue, engine);
	ask(3, "c");
	run_until(3);
	is_answer(2, 3, VERDICT_UNAVAILABLE);
	pending_use_channel(queue, NULL);
	pending_use_channel(queue, engine);
	ask(4, "d");
	run_until(4);
	is_answer(3, 4, VERDICT_UNAVAILABLE);
	assert_true(answers[3].after < TIMEOUT_MS);
	lose_ledger();
	/* And is waited for again when it is there. */
	connect_ledger();
	ask(5, "e");
	hear();
	assert_int_equal(nasked, 1);
	assert_true(verdict(numbers[0], VERDICT_ACCEPTED));
	is_answer(4, 5, VERDICT_ACCEPTED);
}

static void
settings_stay_with_their_request(void **state)
{
	struct policy	*old = policy;

	(void)state;
	ask(1, "a");
	assert_int_equal(old->users, 2);
	policy = policy_new(settings_new());
	policy->settings->db_timeout = TIMEOUT_MS / 2;
	policy_drop(old);
	assert_int_equal(old->users, 1);
	/* A shorter time does not overtake a longer one. */
	ask(2, "b");
	hear();
	assert_true(asked[1].deadline >= asked[0].deadline);
	run_until(2);
	is_answer(0, 1, VERDICT_UNAVAILABLE);
	is_answer(1, 2, VERDICT_UNAVAILABLE);
	assert_int_equal(policy->users, 1);
	policy->settings->db_timeout = TIMEOUT_MS;
}

/* A channel that is full is not filled further; what waits goes out later. */
static void
full_channel(void **state)
{
	static char	id[CHARGE_ID_MAX + 1];
	size_t		n = 0, most = CHANNEL_HIGH + CHARGE_ID_MAX + 1024;
	struct message	m;
	size_t		got = 0;
	static uint64_t	seen[1000];

	(void)state;
	memset(id, 'x', CHARGE_ID_MAX);
	while (n < 200) {
		ask(++n, id);
		assert_true(channel_queued(engine) < most);
	}
	assert_true(channel_queued(engine) >= CHANNEL_HIGH);
	assert_false(pending_full(queue));
	while (got < n) {
		assert_int_not_equal(channel_flush(engine), -1);
		pending_send(queue);
		assert_int_not_equal(channel_read(ledger), -1);
		while (channel_next(ledger, &m) == 1)
			seen[got++] = m.request;
	}
	assert_int_equal(got, n);
	nanswers = 0;
	while (got > 0) {
		assert_true(verdict(seen[--got], VERDICT_ACCEPTED));
		assert_int_equal(answers[0].client, got + 1);
		nanswers = 0;
	}
	assert_int_equal(pending_count(queue), 0);
}

static void
memory_is_bounded(void **state)
{
	static char	id[CHARGE_ID_MAX + 1];
	size_t		n = 0;

	(void)state;
	memset(id, 'x', CHARGE_ID_MAX);
	lose_ledger();
	while (!pending_full(queue)) {
		ask(++n, id);
		assert_true(n <= PENDING_BYTES_MAX / CHARGE_ID_MAX + 1);
	}
	while (pending_count(queue) > 0) {
		nanswers = 0;
		run_until(1);
		assert_int_equal(answers[0].verdict, VERDICT_UNAVAILABLE);
	}
	assert_false(pending_full(queue));
	connect_ledger();
}

/* --- what was accepted without the database --- */

static void
keep(const char *id)
{
	static struct msg_charge	charge;
	static struct limit		ten = { 10, 60 };

	memset(&charge, 0, sizeof(charge));
	charge.mode = CHARGE_EACH;
	charge.instance = "i";
	charge.instancelen = 1;
	charge.tag = 7;
	charge.state = "RCPT";
	charge.statelen = 4;
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = strlen(id);
	charge.keys[0].amount = 1;
	charge.keys[0].limits.list = &ten;
	charge.keys[0].limits.count = 1;
	assert_true(replay_add(replay, &charge, charged, 1700000000));
}

static void
replayed(uint64_t number, enum verdict which)
{
	struct msg_verdict	v;

	memset(&v, 0, sizeof(v));
	v.verdict = (uint8_t)which;
	replay_verdict(replay, number, &v);
}

static void
what_was_accepted_is_recorded(void **state)
{
	(void)state;
	keep("a");
	keep("b");
	assert_int_equal(owed, 2);
	/* Not yet: the database is away. */
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 0);
	/* It gave somebody a verdict. */
	replay_soon(replay);
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 2);
	assert_int_equal(asked[0].mode, CHARGE_REPLAY);
	assert_int_equal(asked[0].date, 1700000000);
	assert_int_equal(asked[0].tag, 7);
	assert_memory_equal(asked[0].instance, "i", 1);
	assert_memory_equal(asked[0].keys[0].id, "a", 1);
	assert_true(asked[0].deadline > clock_after(clock_mono(), 60000).ns);
	assert_int_not_equal(numbers[0] & PENDING_NOT, 0);
	assert_int_not_equal(numbers[0], numbers[1]);
	/* Nothing is sent twice. */
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 2);
	replayed(numbers[1], VERDICT_UNAVAILABLE);
	assert_int_equal(owed, 2);
	replay_soon(replay);
	replay_send(replay);
	hear();
	assert_int_equal(numbers[2], numbers[1]);
	replayed(numbers[1], VERDICT_ACCEPTED);
	replayed(numbers[1], VERDICT_ACCEPTED);
	assert_int_equal(replay_count(replay), 1);
	assert_int_equal(owed, 1);
	replayed(numbers[0], VERDICT_ACCEPTED);
	assert_int_equal(replay_count(replay), 0);
	assert_int_equal(owed, 0);
}

/* A ledger that was taken over may tell any amounts. */
static void
taking_back_any_amount(void **state)
{
	static struct msg_charge	charge;
	const int64_t			amounts[] = {
		INT64_MIN, -1, 5, CHARGE_AMOUNT_MAX + 1, INT64_MAX
	};
	const int64_t			back[] = {
		0, 0, 5, CHARGE_AMOUNT_MAX, CHARGE_AMOUNT_MAX
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		nasked = 0;
		memset(&charge, 0, sizeof(charge));
		charge.instance = charge.state = "";
		charge.nkeys = 1;
		charge.keys[0].id = "a";
		charge.keys[0].idlen = 1;
		assert_true(replay_back(replay, &charge, &amounts[i],
		    1700000000, 7));
		assert_int_equal(owed, -back[i]);
		replay_soon(replay);
		replay_send(replay);
		hear();
		assert_int_equal(nasked, 1);
		assert_int_equal(asked[0].mode, CHARGE_BACK);
		assert_int_equal(asked[0].keys[0].amount, back[i]);
		replayed(numbers[0], VERDICT_ACCEPTED);
		assert_int_equal(owed, 0);
	}
}

static void
what_was_not_to_be_is_taken_back(void **state)
{
	static struct msg_charge	charge;
	static const int64_t		three[] = { 3 };

	(void)state;
	memset(&charge, 0, sizeof(charge));
	charge.instance = charge.state = "";
	charge.nkeys = 1;
	charge.keys[0].id = "a";
	charge.keys[0].idlen = 1;
	charge.keys[0].amount = 5;
	replay_soon(replay);
	assert_true(replay_back(replay, &charge, three, 1700000000, 99));
	assert_int_equal(owed, -3);
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 1);
	assert_int_equal(asked[0].mode, CHARGE_BACK);
	assert_int_equal(asked[0].tag, 99);
	assert_int_equal(asked[0].keys[0].amount, 3);
	replayed(numbers[0], VERDICT_ACCEPTED);
	assert_int_equal(owed, 0);
	assert_int_equal(replay_count(replay), 0);
}

static void
accepted_too_late(void **state)
{
	static struct msg_charge	charge;
	struct msg_verdict		v = {
		.verdict = VERDICT_ACCEPTED, .ncharged = 1, .charged = { 4 }
	};
	struct str			sent;

	(void)state;
	memset(&charge, 0, sizeof(charge));
	charge.instance = "i";
	charge.instancelen = 1;
	charge.state = "";
	charge.nkeys = 1;
	charge.keys[0].id = "a";
	charge.keys[0].idlen = 1;
	charge.keys[0].amount = 5;
	str_init(&sent);
	msg_charge_put(&sent, &charge);
	replay_refused(replay, 41, &sent);
	replay_refused(replay, 42, &sent);
	str_clear(&sent);
	/* Nobody's, or refused by both. */
	replay_late(replay, 43, &v, NULL, 5);
	v.verdict = VERDICT_REFUSED;
	replay_late(replay, 41, &v, NULL, 5);
	assert_int_equal(replay_count(replay), 0);
	v.verdict = VERDICT_ACCEPTED;
	replay_late(replay, 41, &v, NULL, 5);
	replay_late(replay, 42, &v, NULL, 5);
	replay_late(replay, 42, &v, NULL, 5);
	assert_int_equal(replay_count(replay), 1);
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 1);
	assert_int_equal(asked[0].mode, CHARGE_BACK);
	assert_int_equal(asked[0].keys[0].amount, 4);
	assert_int_equal(asked[0].tag, 5);
	replayed(numbers[0], VERDICT_ACCEPTED);
	assert_int_equal(owed, 0);
}

static void
it_is_tried_again(void **state)
{
	struct timeval	tv = { PATIENCE_MS / 1000, 0 };
	struct event	patience;

	(void)state;
	keep("a");
	replay_soon(replay);
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 1);
	/* Lost: the next ledger gets it. */
	lose_ledger();
	connect_ledger();
	/* First of all, without anybody asking. */
	assert_true(replay_send(replay));
	hear();
	assert_int_equal(nasked, 1);
	/* The database is still away: in a while, without anybody asking. */
	replayed(numbers[0], VERDICT_UNAVAILABLE);
	assert_int_equal(replay_count(replay), 1);
	replay_send(replay);
	hear();
	assert_int_equal(nasked, 1);
	evtimer_set(&patience, on_patience, NULL);
	evtimer_add(&patience, &tv);
	while (nasked < 2) {
		loop_turn_end();
		assert_int_equal(event_loop(EVLOOP_ONCE), 0);
		hear();
	}
	evtimer_del(&patience);
	replayed(numbers[1], VERDICT_ACCEPTED);
	assert_int_equal(replay_count(replay), 0);
}

static void
as_much_as_fits(void **state)
{
	static char			 id[CHARGE_ID_MAX + 1];
	static struct msg_charge	 charge;
	size_t				 n = 0;
	struct message			 m;

	(void)state;
	memset(id, 'x', CHARGE_ID_MAX);
	memset(&charge, 0, sizeof(charge));
	charge.instance = charge.state = "";
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = CHARGE_ID_MAX;
	while (replay_add(replay, &charge, charged, 1))
		n++;
	assert_true(n > 0 && n <= REPLAY_BYTES_MAX / CHARGE_ID_MAX + 1);
	assert_int_equal(replay_count(replay), n);
	assert_false(replay_add(replay, &charge, charged, 1));
	/* All of it goes out, a part at a time. */
	replay_soon(replay);
	while (replay_count(replay) > 0) {
		replay_send(replay);
		assert_true(channel_queued(engine) <
		    CHANNEL_HIGH + CHARGE_ID_MAX + 1024);
		assert_int_not_equal(channel_flush(engine), -1);
		assert_int_not_equal(channel_read(ledger), -1);
		while (channel_next(ledger, &m) == 1)
			replayed(m.request, VERDICT_ACCEPTED);
	}
}

#define TEST(name)	cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(each_its_own),
		TEST(slots_are_used_again),
		TEST(database_hangs_kills_daemon),
		TEST(lost_ledger_is_asked_again),
		TEST(no_ledger_for_long),
		TEST(settings_stay_with_their_request),
		TEST(full_channel),
		TEST(memory_is_bounded),
		TEST(what_was_accepted_is_recorded),
		TEST(what_was_not_to_be_is_taken_back),
		TEST(taking_back_any_amount),
		TEST(accepted_too_late),
		TEST(it_is_tried_again),
		TEST(as_much_as_fits)
	};

	return cmocka_run_group_tests_name("pending", tests, set_up, tear_down);
}
