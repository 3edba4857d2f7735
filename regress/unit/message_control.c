#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../fuzz/message.c"
#include "../fuzz/mutate.h"
#include "ipc/message.h"
#include "payload.h"

static void
answers_of_the_parent_arrive_unchanged(void **state)
{
	struct msg_task_done	m = { .task = TASK_CLEAN, .good = true,
				    .text = "7 records deleted" };
	struct str		s;

	(void)state;
	str_init(&s);
	msg_task_done_put(&s, &m);
	payload_check(message_task_done, &s);
	str_clear(&s);
}

static void
the_state_arrives_unchanged(void **state_of_test)
{
	struct msg_state	m = { .since = 5, .generation = 3, .read = 7,
				    .reload_failed = true, .fault = "away",
				    .file = "/etc/x", .nprocesses = 2 };
	struct str		s;

	(void)state_of_test;
	m.process[0].pid = 17;
	m.process[1].serving = true;
	(void)strlcpy(m.process[1].name, "engine", sizeof(m.process[1].name));
	str_init(&s);
	msg_state_put(&s, &m);
	payload_check(message_state, &s);
	str_clear(&s);
}

static void
weighed_charges_arrive_unchanged(void **state_of_test)
{
	static struct msg_weighed	m;
	struct str			s;

	(void)state_of_test;
	m.verdict.limit.seconds = 60;
	m.nkeys = 2;
	m.keys[0].nwindows = 1;
	m.keys[0].windows = &m.store[0];
	m.keys[1].nwindows = 2;
	m.keys[1].sql = true;
	m.keys[1].windows = &m.store[1];
	m.store[0].limit.seconds = m.store[1].limit.seconds = 60;
	m.store[2].limit.seconds = 3600;
	m.store[2].used = -3;
	m.store[2].retry_after = -1;
	str_init(&s);
	msg_weighed_put(&s, &m);
	payload_check(message_weighed, &s);
	str_clear(&s);
}

static void
lists_of_ids_arrive_unchanged(void **state_of_test)
{
	static struct msg_topped	m;
	struct str			s;

	(void)state_of_test;
	m.total = 5;
	m.count = 2;
	m.ids[0].shadow = true;
	m.ids[0].id = "bob";
	m.ids[0].idlen = 3;
	m.ids[1].id = "";
	m.ids[0].limit.seconds = m.ids[1].limit.seconds = 1;
	str_init(&s);
	msg_topped_put(&s, &m);
	payload_check(message_topped, &s);
	str_clear(&s);
}

static void
overrides_arrive_unchanged(void **state_of_test)
{
	static struct msg_override	m;
	struct str			s;

	(void)state_of_test;
	m.kind = OVERRIDE_BLOCK;
	m.until = 1700000000;
	m.nids = 2;
	m.id[0] = "user:bob";
	m.idlen[0] = 8;
	m.id[1] = "";
	m.since = 1699999999;
	m.who = "uid=0";
	m.wholen = 5;
	m.reason = "stolen";
	m.reasonlen = 6;
	str_init(&s);
	msg_override_put(&s, &m);
	payload_check(message_override, &s);
	str_clear(&s);
}

static void
results_of_overrides_arrive_unchanged(void **state_of_test)
{
	struct msg_overridden	m = { .result = OVERRIDE_DONE, .nids = 2 }, out;
	struct str		s;

	(void)state_of_test;
	m.id[0] = "user:c7";
	m.idlen[0] = 7;
	m.id[1] = "";
	m.idlen[1] = 0;
	str_init(&s);
	msg_overridden_put(&s, &m);
	payload_check(message_overridden, &s);
	assert_int_equal(msg_overridden_get(&out, s.data, s.len), 0);
	assert_int_equal(out.result, OVERRIDE_DONE);
	assert_int_equal(out.nids, 2);
	assert_memory_equal(out.id[0], "user:c7", 7);
	s.data[0] = OVERRIDE_RESULT__MAX;
	assert_int_equal(msg_overridden_get(&out, s.data, s.len), -1);
	s.data[0] = OVERRIDE_DONE;
	s.data[1] = CHARGE_KEYS_MAX + 1;
	assert_int_equal(msg_overridden_get(&out, s.data, s.len), -1);
	str_clear(&s);
}

static void
figures_arrive_unchanged(void **state_of_test)
{
	struct msg_figures	m = { .database = "sqlite x", .fault = "full" };
	struct str		s;

	(void)state_of_test;
	m.figure[FIGURE_BUSY] = UINT64_MAX;
	str_init(&s);
	msg_figures_put(&s, &m);
	payload_check(message_figures, &s);
	str_clear(&s);
}

static void
simulations_arrive_unchanged(void **state_of_test)
{
	struct msg_simulate	m = { .most_ids = 7, .text = "limits = []\n",
				    .textlen = 12 };
	struct msg_simulated	answer = { .kind = SIMULATED_ID,
				    .rule = "mails", .rulelen = 5,
				    .text = "bob", .textlen = 3,
				    .number = { 1, -2, INT64_MAX } };
	struct str		s;

	(void)state_of_test;
	str_init(&s);
	msg_simulate_put(&s, &m);
	payload_check(message_simulate, &s);
	str_clear(&s);
	msg_simulated_put(&s, &answer);
	payload_check(message_simulated, &s);
	str_clear(&s);
}

/* Every kind, those of message.c's test too. */
static void
damaged_messages_do_no_harm(void **state_of_test)
{
	struct mutate	m = { .random = { 0x6d657373616765 } };

	(void)state_of_test;
	m.alphabet = "\001\002\003\004\177\377\200";
	mutate_add_directory(&m, "regress/fuzz/corpus/message");
	mutate_run(&m, 20000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(answers_of_the_parent_arrive_unchanged),
		cmocka_unit_test(the_state_arrives_unchanged),
		cmocka_unit_test(weighed_charges_arrive_unchanged),
		cmocka_unit_test(lists_of_ids_arrive_unchanged),
		cmocka_unit_test(overrides_arrive_unchanged),
		cmocka_unit_test(results_of_overrides_arrive_unchanged),
		cmocka_unit_test(figures_arrive_unchanged),
		cmocka_unit_test(simulations_arrive_unchanged),
		cmocka_unit_test(damaged_messages_do_no_harm),
	};

	return cmocka_run_group_tests_name("message_control", tests, NULL,
	    NULL);
}
