#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ipc/channel.h"
#include "ledger/history.h"
#include "ledger/hits.h"
#include "lib/alloc.h"
#include "rig.h"

/* What is kept for the report: hits of limits, and of warn_at. */

static void
hits_are_counted_once_for_a_window(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;

	rig_charge(&c, "bob", 1, 2, 60);
	rig_window(&c, 100, 3600);
	c.m.keys[0].report = true;
	c.m.keys[0].reported = 1;
	for (i = 0; i < 7; i++)
		(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(r->hits, 5);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_report"), 1);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report WHERE"
	    " id = 'bob' AND delta = 60"), 5);
	/* Not asked for. */
	c.m.keys[0].report = false;
	c.m.keys[0].reported = 0;
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report"), 5);
}

/* A soft key's hit counts only where the mail is taken; a shadow's always. */
static void
soft_hit_is_dropped_with_a_refusal(void **state)
{
	const struct limit	 one = { 1, 60 }, two = { 2, 60 };
	struct rig		*r = *state;
	struct rig_charge	 c;
	size_t			 i;

	memset(&c, 0, sizeof(c));
	c.m.instance = "";
	c.m.state = "DATA";
	c.m.statelen = 4;
	rig_key(&c, "soft:bob", 1, &one, 1)->soft = true;
	rig_key(&c, "shadow:bob", 1, &one, 1)->shadow = true;
	/* Of a shadow rule with a soft action the mail is not taken by it. */
	c.m.keys[1].soft = true;
	(void)rig_key(&c, "hard:bob", 1, &two, 1);
	for (i = 0; i < 3; i++) {
		c.m.keys[i].report = true;
		c.m.keys[i].reported = 1;
	}
	for (i = 0; i < 5; i++)
		(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report WHERE"
	    " id = 'soft:bob'"), 1);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_shadow WHERE"
	    " id = 'shadow:bob'"), 4);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report WHERE"
	    " id = 'hard:bob'"), 3);
}

/* A charge of 1 that is warned of at 8 of 10 in a minute, and at 16 of 20. */
static void
warned_charge(struct rig_charge *c)
{
	rig_charge(c, "bob", 1, 10, 60);
	rig_window(c, 20, 3600);
	c->m.keys[0].warn_at = 80;
	c->m.keys[0].report = true;
	c->m.keys[0].reported = 3;
}

static int64_t
warnings(struct rig *r, int64_t seconds)
{
	return rig_sql(r, "SELECT coalesce(sum(hit), 0) FROM limit_warning"
	    " WHERE id = 'bob' AND delta = %lld", (long long)seconds);
}

static void
warnings_are_counted_for_a_window(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;

	warned_charge(&c);
	for (i = 0; i < 12; i++)
		(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(warnings(r, 60), 1);
	assert_int_equal(warnings(r, 3600), 0);
	assert_int_equal(rig_sql(r, "SELECT sum(hit) FROM limit_report"), 2);
	assert_int_equal(r->hits, 2);
	/* The next minute: both windows come near, the longer one once. */
	r->now += 61;
	for (i = 0; i < 10; i++)
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(warnings(r, 60), 2);
	assert_int_equal(warnings(r, 3600), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_warning"), 2);
	/* Both at once, and several in one batch. */
	r->now += 7200;
	c.m.keys[0].amount = 10;
	c.m.keys[0].limits.list[1].mails = 10;
	for (i = 0; i < 3; i++)
		(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(warnings(r, 60), 3);
	assert_int_equal(warnings(r, 3600), 2);
}

static void
warnings_that_are_not_reported(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	struct limit		 full = { 0, 60 };

	/* Not asked for. */
	warned_charge(&c);
	c.m.keys[0].amount = 9;
	c.m.keys[0].reported = 2;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_answer(r, r->next - 1)->warned, 1);
	/* Refused by another rule: nothing was recorded, nobody came near. */
	r->now += 7200;
	c.m.keys[0].reported = 3;
	(void)rig_key(&c, "eve", 1, &full, 1);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_warning"), 0);
	/* That one is only tried out. */
	c.m.keys[1].shadow = true;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(warnings(r, 60), 1);
}

/* One that is charged already does not come near again. */
static void
warnings_of_one_instance(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int			 i;

	warned_charge(&c);
	c.m.keys[0].amount = 8;
	rig_instance(&c, "4e1.1.2.3", 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(warnings(r, 60), 1);
}

static void
take_hit(void *arg, const char *id, size_t idlen, int64_t seconds, int64_t hits)
{
	int64_t	*sum = arg;

	(void)id;
	(void)idlen;
	(void)seconds;
	*sum = *sum * 100 + hits;
}

static void
report_rows_repeat(void **state)
{
	struct rig	*r = *state;
	int64_t		 hits = 0;

	/* As an older program left it, without its unique index. */
	rig_close(r);
	(void)rig_sql(r, "DROP TABLE limit_report; CREATE TABLE limit_report"
	    " (id varchar(40) NOT NULL, delta int NOT NULL, hit int NOT NULL"
	    " DEFAULT 0); INSERT INTO limit_report VALUES ('bob', 60, 2),"
	    " ('eve', 60, 4), ('bob', 60, 3), ('bob', 3600, 1)");
	rig_open(r);
	assert_int_equal(store_hits(r->store, HIT_FULL, take_hit, &hits),
	    STORE_OK);
	assert_int_equal(hits, 50401);
	assert_int_equal(store_hits_forget(r->store, HIT_FULL, "bob", 3, 60,
	    4), STORE_OK);
	assert_int_equal(store_hits_forget(r->store, HIT_FULL, "eve", 3, 60,
	    4), STORE_OK);
	hits = 0;
	assert_int_equal(store_hits(r->store, HIT_FULL, take_hit, &hits),
	    STORE_OK);
	assert_int_equal(hits, 101);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_report"), 2);
}

/* The next message of the report's end; its number of hits, 0 at the end. */
static int64_t
next_hit(struct channel *c, char *id, size_t size, struct msg_hit *hit)
{
	struct mono	deadline = clock_after(clock_mono(), 10000);
	struct message	m;

	assert_int_equal(channel_wait(c, &m, deadline), 0);
	if (m.type == MSG_HITS_END)
		return 0;
	assert_int_equal(m.type, MSG_HIT);
	assert_int_equal(msg_hit_get(hit, m.payload, m.len), 0);
	assert_true(hit->idlen < size);
	memcpy(id, hit->id, hit->idlen);
	id[hit->idlen] = '\0';
	return hit->hits;
}

/* What is sent, and both ends of the channel that it goes by. */
struct sending {
	struct hits	*hits;
	struct channel	*ledger;
	struct channel	*report;
};

static void
sending_begin(struct sending *s)
{
	int	fd[2];

	assert_int_equal(channel_pair(fd), 0);
	s->hits = hits_new();
	s->ledger = channel_new(fd[0], ROLE_LEDGER, ROLE_REPORT);
	s->report = channel_new(fd[1], ROLE_REPORT, ROLE_LEDGER);
}

static void
sending_all(struct sending *s, struct rig *r)
{
	assert_int_equal(hits_send(s->hits, r->store, s->ledger, r->settings,
	    r->lookup, r->now), STORE_OK);
	assert_int_equal(channel_flush(s->ledger), 1);
}

static void
sending_end(struct sending *s)
{
	hits_free(s->hits);
	channel_free(s->ledger);
	channel_free(s->report);
}

static void
reports_deleted_before_sent(void **state)
{
	struct rig		*r = *state;
	struct sending		 s;
	struct msg_hit		 hit;
	char			 id[64];
	int			 i;

	sending_begin(&s);
	assert_int_equal(rig_one(r, "bob", 1, 10, 60), VERDICT_ACCEPTED);
	(void)rig_sql(r, "INSERT INTO limit_report VALUES ('bob', 86400, 5),"
	    " ('eve', 60, 7), ('zoe', 11, 1)");
	for (i = 0; i < 2; i++) {
		sending_all(&s, r);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 7);
		assert_string_equal(id, "eve");
		assert_int_equal(hit.seconds, 60);
		assert_int_equal(hit.mails, 10);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 5);
		assert_string_equal(id, "bob");
		assert_int_equal(hit.mails, 150);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 1);
		assert_int_equal(hit.mails, 0);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 0);
	}
	/* What comes in while the mail is on its way is for the next one. */
	(void)rig_sql(r, "UPDATE limit_report SET hit = 9 WHERE id = 'bob'");
	assert_int_equal(hits_forget(s.hits, r->store, r->now), STORE_OK);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_report"), 1);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report"), 4);
	assert_int_equal(hits_forget(s.hits, r->store, r->now), STORE_OK);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report"), 4);
	sending_end(&s);
}

/* Warnings come behind all hits, and each is taken off its own table. */
static void
warnings_deleted_before_sent(void **state)
{
	struct rig		*r = *state;
	struct sending		 s;
	struct msg_hit		 hit;
	char			 id[64];
	int			 i;

	sending_begin(&s);
	(void)rig_sql(r, "INSERT INTO limit_report VALUES ('bob', 86400, 5)");
	(void)rig_sql(r, "INSERT INTO limit_warning VALUES ('bob', 86400, 8),"
	    " ('eve', 60, 9)");
	/* Again, as after a report that was killed. */
	for (i = 0; i < 2; i++) {
		sending_all(&s, r);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 5);
		assert_int_equal(hit.kind, HIT_FULL);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 9);
		assert_int_equal(hit.kind, HIT_NEAR);
		assert_string_equal(id, "eve");
		assert_int_equal(hit.mails, 10);
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 8);
		assert_int_equal(hit.kind, HIT_NEAR);
		assert_string_equal(id, "bob");
		assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 0);
	}
	(void)rig_sql(r, "UPDATE limit_warning SET hit = 10 WHERE id = 'bob'");
	assert_int_equal(hits_forget(s.hits, r->store, r->now), STORE_OK);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_report"), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM limit_warning"), 1);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_warning"), 2);
	sending_end(&s);
}

/* The id under an earlier name of its rule is without that name. */
static void
evidence_of_a_renamed_rule(void **state)
{
	struct rig		*r = *state;
	struct settings_rule	*rule = alloc_zero(1, sizeof(*rule));
	struct sending		 s;
	struct msg_hit		 hit;
	struct msg_evidence	 e;
	struct message		 m;
	char			 id[64];

	rule->name = alloc_string("much-longer");
	rule->was[rule->nwas++] = alloc_string("a");
	rule->unless = -1;
	r->settings->rules = rule;
	r->settings->nrules = 1;
	(void)rig_sql(r, "INSERT INTO limit_report VALUES ('a:bob', 60, 5)");
	(void)rig_sql(r, "INSERT INTO mail_refusal (date, number, is_first,"
	    " times, shadow, n, recipients, id, rule, kind, windows, login,"
	    " sender, recipient, client, client_name, state, queue_id,"
	    " instance) VALUES (1700000000, 1, 1, 3, 0, 1, 1, 'a:bob', 'a',"
	    " 'full', '', 'bob', '', '', '192.0.2.1', '', '', '', '')");
	sending_begin(&s);
	sending_all(&s, r);
	assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 5);
	assert_string_equal(id, "bob");
	assert_int_equal(channel_wait(s.report, &m, clock_after(clock_mono(),
	    10000)), 0);
	assert_int_equal(m.type, MSG_EVIDENCE);
	assert_int_equal(msg_evidence_get(&e, m.payload, m.len), 0);
	assert_int_equal(e.kind, EVIDENCE_CLIENT);
	assert_int_equal(e.idlen, 3);
	assert_memory_equal(e.id, "bob", 3);
	assert_int_equal(e.rulelen, strlen(rule->name));
	assert_int_equal(e.valuelen, strlen("192.0.2.1"));
	assert_int_equal(e.times, 3);
	assert_int_equal(next_hit(s.report, id, sizeof(id), &hit), 0);
	sending_end(&s);
}

static void
first_hits_are_told_once(void **state)
{
	struct rig	*r = *state;
	struct hits	*h = hits_new();

	(void)rig_sql(r, "INSERT INTO limit_report VALUES ('bob', 60, 5)");
	(void)rig_sql(r, "INSERT INTO limit_warning VALUES ('bo', 60, 5)");
	hits_load(h, r->store);
	assert_false(hits_first(h, HIT_FULL, "bob", 3, 60));
	assert_true(hits_first(h, HIT_FULL, "bob", 3, 61));
	/* A warning is no hit, and the other way round. */
	assert_false(hits_first(h, HIT_NEAR, "bo", 2, 60));
	assert_true(hits_first(h, HIT_NEAR, "bob", 3, 60));
	assert_true(hits_first(h, HIT_FULL, "bo", 2, 60));
	assert_false(hits_first(h, HIT_FULL, "bo", 2, 60));
	assert_int_equal(hits_forget(h, r->store, r->now), STORE_OK);
	assert_true(hits_first(h, HIT_FULL, "bob", 3, 60));
	hits_free(h);
}

static void
report_failure_turns_deny_into_accept(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 n;

	(void)rig_sql(r, "DROP TABLE limit_report; CREATE TABLE limit_report"
	    " (id varchar(255), delta int, hit int CHECK (hit < 0));"
	    "CREATE UNIQUE INDEX limit_report_index ON limit_report (id,"
	    " delta)");
	rig_charge(&c, "bob", 1, 2, 60);
	c.m.keys[0].report = true;
	c.m.keys[0].reported = 1;
	for (n = 0; n < 4; n++)
		(void)rig_add(r, &c);
	rig_run(r);
	for (n = 0; n < 4; n++)
		assert_int_equal(rig_answer(r, n)->verdict,
		    n < 2 ? VERDICT_ACCEPTED : VERDICT_REFUSED);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "bob"), 2);
}

/* Nor does it take back what was accepted. */
static void
warning_failure_turns_nothing(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;

	(void)rig_sql(r, "DROP TABLE limit_warning; CREATE TABLE limit_warning"
	    " (id varchar(255), delta int, hit int CHECK (hit < 0));"
	    "CREATE UNIQUE INDEX limit_warning_index ON limit_warning (id,"
	    " delta)");
	warned_charge(&c);
	c.m.keys[0].amount = 9;
	assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "bob"), 9);
	assert_int_equal(rig_ask(r, &c), VERDICT_REFUSED);
	assert_int_equal(rig_sql(r, "SELECT hit FROM limit_report"), 1);
}

/* Queues a refusal with this number, and writes it. */
static void
keep_refusal(struct rig *r, struct history *h, int64_t number, bool first)
{
	struct msg_refusal	m;
	int64_t			written;
	size_t			i;

	memset(&m, 0, sizeof(m));
	m.number = number;
	m.date = RIG_NOW + number;
	m.first = first;
	m.id = "bob";
	m.idlen = 3;
	m.rule = "";
	m.times = 1;
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		m.text[i] = "";
	assert_int_equal(history_add(h, &m, clock_mono()), 0);
	assert_int_equal(history_write(h, r->store, clock_mono(),
	    false, &written),
	    STORE_OK);
	assert_int_equal(written, number);
}

/* Those that are not the first of their id and minute go before the oldest. */
static void
refusals_are_bounded(void **state)
{
	struct rig	*r = *state;
	struct history	*h = history_new();
	int64_t		 most = history_most, i;

	history_most = 4;
	for (i = 1; i <= 6; i++)
		keep_refusal(r, h, i, i % 2 == 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_refusal"), 4);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_refusal"
	    " WHERE is_first = 1"), 3);
	assert_int_equal(rig_sql(r, "SELECT number FROM mail_refusal"
	    " WHERE is_first = 0"), 6);
	for (i = 7; i <= 9; i++)
		keep_refusal(r, h, i, true);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_refusal"), 4);
	assert_int_equal(rig_sql(r, "SELECT min(number) FROM mail_refusal"),
	    5);
	/* One that was written before its ledger ended is not written again. */
	keep_refusal(r, h, 9, true);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM mail_refusal"
	    " WHERE number = 9"), 1);
	history_most = most;
	history_free(h);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(hits_are_counted_once_for_a_window),
		TEST(soft_hit_is_dropped_with_a_refusal),
		TEST(warnings_are_counted_for_a_window),
		TEST(warnings_that_are_not_reported),
		TEST(warnings_of_one_instance),
		TEST(report_rows_repeat),
		TEST(reports_deleted_before_sent),
		TEST(warnings_deleted_before_sent),
		TEST(evidence_of_a_renamed_rule),
		TEST(first_hits_are_told_once),
		TEST(report_failure_turns_deny_into_accept),
		TEST(warning_failure_turns_nothing),
		TEST(refusals_are_bounded)
	};
	int	failed;

	rig_begin();
	failed = cmocka_run_group_tests_name("hits", tests, NULL, NULL);
	rig_end();
	return failed;
}
