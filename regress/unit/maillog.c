#include <sys/types.h>
#include <sys/time.h>

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

#include "engine/budget.h"
#include "engine/maillog.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PATIENCE_S	20
#define LOG_MAX		(256 * 1024)

/* Lines go to a file in place of stderr while a test listens. */
static FILE			*file;
static int			 saved = -1;
static char			 lines[LOG_MAX];
static struct maillog		*maillog;
static struct budget		*budget;
static struct settings		*settings;
static struct limit		 ten = { 10, 60 };
static struct msg_charge	 charge;
static struct maillog_about	 about;

static void
listen_in(void)
{
	fflush(stderr);
	assert_non_null(file = tmpfile());
	saved = dup(STDERR_FILENO);
	assert_int_not_equal(dup2(fileno(file), STDERR_FILENO), -1);
}

static const char *
heard(void)
{
	ssize_t	n;

	assert_int_not_equal(dup2(saved, STDERR_FILENO), -1);
	close(saved);
	n = pread(fileno(file), lines, sizeof(lines) - 1, 0);
	assert_true(n >= 0);
	lines[n] = '\0';
	fclose(file);
	return lines;
}

static size_t
count(const char *text, const char *what)
{
	size_t	n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

static void
request_of(struct request *req, const char *text)
{
	const char	*reason;

	assert_true(request_parse(req, text, strlen(text), &reason) > 0);
}

static void
charge_of(const char *id, const char *instance)
{
	memset(&charge, 0, sizeof(charge));
	charge.instance = instance;
	charge.instancelen = strlen(instance);
	charge.state = "DATA";
	charge.statelen = 4;
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = strlen(id);
	charge.keys[0].amount = 3;
	charge.keys[0].limits.list = &ten;
	charge.keys[0].limits.count = 1;
}

static struct msg_verdict
verdict_of(enum verdict which)
{
	struct msg_verdict	v = {
		.verdict = (uint8_t)which,
		.limit = { 10, 60 },
		.used = 9,
		.retry_after = 37
	};

	return v;
}

static int
set_up(void **state)
{
	(void)state;
	log_open("test", LOG_TO_STDERR, -1, false);
	if (event_init() == NULL)
		return -1;
	maillog = maillog_new(events_new());
	budget = budget_new(events_new());
	settings = settings_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	settings_free(settings);
	return 0;
}

static void
one_line_for_a_refusal(void **state)
{
	struct msg_verdict	v = verdict_of(VERDICT_REFUSED);
	struct request		req;

	(void)state;
	request_of(&req, "client_address=192.0.2.7\nqueue_id=4Sabc\n"
	    "sasl_username=bob\nsender=b>b@example.org\n"
	    "recipient=eve@example.com\nrecipient_count=1\n\n");
	maillog_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("bob", "1a.2b");
	listen_in();
	maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	assert_non_null(strstr(heard(), "refused: id=<bob> key=sasl_username "
	    "n=3 limit=10/60 used=9 retry_after=37 sasl_username=bob "
	    "from=<b\\x3eb@example.org> to=<eve@example.com> nrcpt=1 "
	    "client=192.0.2.7 state=DATA queue_id=4Sabc\n"));
	assert_int_equal(count(lines, "\n"), 1);
	/* Several recipients, and no queue id yet. */
	request_of(&req, "client_address=192.0.2.7\nrecipient_count=7\n\n");
	maillog_about(&about, &req, KEY_SASL_USERNAME);
	v.never = true;
	listen_in();
	maillog_verdict(maillog, settings, &charge, &about, &v, "from memory");
	assert_non_null(strstr(heard(), "retry_after=37 never=1 sasl_username= "
	    "from=<> nrcpt=7 client=192.0.2.7 state=DATA instance=1a.2b "
	    "(from memory)\n"));
	/* What is accepted is said in debug mode alone. */
	v = verdict_of(VERDICT_ACCEPTED);
	listen_in();
	maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	maillog_passed(&about, "why");
	assert_string_equal(heard(), "");
	log_set_debug(true);
	v.ncharged = 1;
	v.charged[0] = 2;
	listen_in();
	maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	maillog_passed(&about, "why");
	assert_non_null(strstr(heard(), "accepted: id=<bob> "));
	assert_non_null(strstr(lines, " n=3 charged=2 sasl_username= "));
	assert_non_null(strstr(lines, " state=DATA instance=1a.2b\n"));
	assert_non_null(strstr(lines,
	    "passed: client=192.0.2.7 state= (why)\n"));
	log_set_debug(false);
}

static void
rules(void **state)
{
	struct msg_verdict	v = verdict_of(VERDICT_ACCEPTED);
	struct settings_rule	rule[2];
	struct settings		s = *settings;
	struct request		req;
	char			first[] = "first", second[] = "second";

	(void)state;
	memset(rule, 0, sizeof(rule));
	rule[0].name = first;
	rule[0].nkey = 2;
	rule[0].key[0] = KEY_SENDER;
	rule[0].key[1] = KEY_HELO_NAME;
	rule[1].name = second;
	rule[1].nkey = 1;
	rule[1].key[0] = KEY_SERVER;
	s.rules = rule;
	s.nrules = 2;
	request_of(&req, "\n");
	maillog_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("first:a,b", "");
	charge.keys[1] = charge.keys[0];
	charge.keys[1].id = "second:server";
	charge.keys[1].idlen = strlen("second:server");
	charge.keys[1].rule = 1;
	charge.nkeys = 2;
	/* Told although it was accepted. */
	v.shadowed = 1;
	v.warned = 3;
	v.full[0].limit = ten;
	v.full[0].used = 10;
	v.full[1].limit = ten;
	v.full[1].used = 8;
	listen_in();
	maillog_verdict(maillog, &s, &charge, &about, &v, NULL);
	assert_non_null(strstr(heard(), "would refuse: id=<first:a,b> "
	    "key=sender,helo_name rule=first n=3 limit=10/60 used=10 "));
	assert_non_null(strstr(lines, "near its limit: id=<second:server> "
	    "key=server rule=second n=3 limit=10/60 used=8 "));
	assert_int_equal(count(lines, "\n"), 2);
}

static void
log_injection(void **state)
{
	static char		long_id[20000];
	struct msg_verdict	v = verdict_of(VERDICT_REFUSED);
	struct request		req;
	size_t			i;

	(void)state;
	memset(long_id, '\x1b', sizeof(long_id) - 1);
	request_of(&req, "client_address=\x1b[2J\r\x07\nqueue_id=\xff\n"
	    "recipient_count=\x07\ninstance=\x1b\n\n");
	maillog_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("bob\nrefused: id=<eve>\r\x1b[31m", "\n\n");
	listen_in();
	maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	charge_of(long_id, long_id);
	maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	maillog_malformed(maillog, "unix", "why", "a\nb\0\x1b", 5);
	maillog_bad_count(maillog, &req);
	heard();
	assert_int_equal(count(lines, "\n"), 4);
	assert_true(strlen(lines) < 5000);
	for (i = 0; lines[i] != '\0'; i++)
		assert_true(lines[i] == '\n' || (lines[i] >= ' ' &&
		    lines[i] < 0x7f));
}

/* A number behind `name` in the line that begins at `at`. */
static size_t
number(const char *at, const char *name)
{
	assert_non_null(at);
	assert_non_null(at = strstr(at, name));
	return strtoul(at + strlen(name), NULL, 10);
}

/* A flood of one id hides no line of another. */
static void
floods_hide_no_other_id(void **state)
{
	struct msg_verdict	v = verdict_of(VERDICT_REFUSED);
	struct mono		deadline;
	struct request		req;
	size_t			i;
	ssize_t			n;

	(void)state;
	request_of(&req, "\n");
	maillog_about(&about, &req, KEY_SASL_USERNAME);
	loop_turn_end();
	listen_in();
	for (i = 0; i < 5000; i++) {
		charge_of("bot", "i");
		maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
		maillog_malformed(maillog, "unix", "why", "x", 1);
		if (i % 1000 != 999)
			continue;
		charge_of("victim", "i");
		maillog_verdict(maillog, settings, &charge, &about, &v, NULL);
	}
	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);
	do {
		loop_turn_end();
		(void)event_loop(EVLOOP_ONCE);
		n = pread(fileno(file), lines, sizeof(lines) - 1, 0);
		lines[n > 0 ? n : 0] = '\0';
	} while (strstr(lines, "not shown: ") == NULL &&
	    !clock_passed(deadline, clock_mono()));
	heard();
	assert_int_equal(count(lines, "refused: id=<victim>"), 5);
	assert_int_equal(count(lines, "refused: id=<bot>"), BUDGET_LINES);
	assert_true(count(lines, "malformed") <= 2);
	assert_int_equal(count(lines, "not shown"), 1);
	assert_int_equal(number(strstr(lines,
	    "not shown: kind=\"refused\" id=<bot> lines="), "lines="),
	    5000 - BUDGET_LINES);
}

/* --- the budget, whose time is an argument --- */

static struct mono
at(int64_t ms)
{
	struct mono	then = { ms * 1000000 };

	return then;
}

/* How many of `n` lines may be written. */
static size_t
lines_of(const char *kind, const char *id, size_t n, int64_t ms)
{
	size_t	i, may = 0;

	for (i = 0; i < n; i++)
		may += budget_line(budget, kind, id, strlen(id), at(ms));
	return may;
}

static void
each_id_has_lines_of_its_own(void **state)
{
	(void)state;
	listen_in();
	assert_int_equal(lines_of("a", "bot", 1000, 0), BUDGET_LINES);
	assert_int_equal(lines_of("a", "eve", 3, 0), 3);
	/* Another kind of line is another matter. */
	assert_int_equal(lines_of("b", "bot", 3, 0), 3);
	assert_int_equal(lines_of("a", "bot", 5, 9999), 0);
	assert_true(budget_sum_up(budget, at(9999)));
	/* The next period, and a sum of the last one. */
	assert_int_equal(lines_of("a", "bot", 1000, 10000), BUDGET_LINES);
	assert_true(budget_sum_up(budget, at(10001)));
	assert_false(budget_sum_up(budget, at(20000)));
	heard();
	assert_int_equal(count(lines, "\n"), 2);
	assert_non_null(strstr(lines,
	    "not shown: kind=\"a\" id=<bot> lines=995 seconds=10\n"));
	assert_non_null(strstr(lines,
	    "not shown: kind=\"a\" id=<bot> lines=990 seconds=10\n"));
}

/* More ids than anybody reads of: the log stays bounded, the sum is right. */
static void
floods_of_ids_are_summed_up(void **state)
{
	char		id[32];
	const char	*place;
	size_t		i, n = 20000, sum = 0;

	(void)state;
	listen_in();
	for (i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "bot%zu", i);
		sum += lines_of("c", id, 1, 40000);
	}
	assert_int_equal(sum, BUDGET_FIRST);
	assert_true(budget_sum_up(budget, at(41000)));
	assert_false(budget_sum_up(budget, at(50000)));
	heard();
	for (place = lines; (place = strstr(place, "not shown: ")) != NULL;
	    place++)
		sum += number(place, " lines=");
	assert_int_equal(sum, n);
	assert_in_range(count(lines, "\n"), 1, 2 * BUDGET_MORE + 2);
	assert_non_null(strstr(lines, "not shown: ids="));
	/* Who had a line before has one again. */
	assert_int_equal(lines_of("a", "bot", 3, 50000), 3);
}

/* The longest kind of line, about the longest id of a lock. */
static void
long_kinds_and_ids_are_summed_up(void **state)
{
	static const char	kind[] =
	    "not locked, the rule has set 100 locks in ten minutes";
	char			id[OVERRIDE_ID_MAX + 1];

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	listen_in();
	assert_int_equal(lines_of(kind, id, 12, 60000), BUDGET_LINES);
	assert_int_equal(lines_of(kind, "other", 1, 60000), 1);
	assert_false(budget_sum_up(budget, at(70000)));
	heard();
	assert_int_equal(count(lines, "\n"), 1);
	assert_non_null(strstr(lines, "not shown: kind=\"not locked, the rule "
	    "has set 100 locks in ten minutes\" id=<xxx"));
	assert_non_null(strstr(lines, "> lines=2 seconds=10\n"));
}

static void
silence_since_the_start(void **state)
{
	(void)state;
	listen_in();
	maillog_silence(settings);
	assert_non_null(strstr(heard(), "nothing is limited: no request came "
	    "since the start; main.cf needs: smtpd_data_restrictions = "));
}

/* So many requests, at a stage that these rules count. */
static void
asked(const struct settings *s, unsigned int times, uint32_t counted)
{
	while (times-- > 0)
		maillog_stage(maillog, s, counted);
}

static void
rules_that_postfix_never_asks(void **state)
{
	struct settings_rule	rule[3];
	struct settings		s = *settings;
	char			a[] = "all", b[] = "size", c[] = "spread";

	(void)state;
	memset(rule, 0, sizeof(rule));
	rule[0].name = a;
	rule[1].name = b;
	rule[1].count = RULE_BYTES;
	rule[2].name = c;
	rule[2].count = RULE_DISTINCT_RECIPIENTS;
	rule[2].at_rcpt = true;
	s.rules = rule;
	s.nrules = 3;
	loop_turn_end();
	/* At RCPT alone: the size is never counted. */
	maillog_stages_afresh(maillog);
	listen_in();
	asked(&s, 99, 5);
	assert_string_equal(heard(), "");
	listen_in();
	asked(&s, 1, 5);
	assert_non_null(strstr(heard(), "rule size limits nothing: all "
	    "requests come at stages that it ignores; main.cf needs: "
	    "smtpd_data_restrictions = "));
	assert_int_equal(count(lines, "\n"), 1);
	/* Once an hour, and of other rules at once. */
	listen_in();
	asked(&s, 1000, 5);
	assert_string_equal(heard(), "");
	maillog_stages_afresh(maillog);
	listen_in();
	asked(&s, 100, 3);
	assert_non_null(strstr(heard(), "rule spread limits nothing: all "
	    "requests come at stages that it ignores; main.cf needs: "
	    "smtpd_recipient_restrictions = "));
	assert_int_equal(count(lines, "\n"), 1);
	/* Both stages come. */
	maillog_stages_afresh(maillog);
	listen_in();
	asked(&s, 99, 5);
	asked(&s, 1, 3);
	assert_string_equal(heard(), "");
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(one_line_for_a_refusal),
		TEST(rules),
		TEST(log_injection),
		TEST(floods_hide_no_other_id),
		TEST(each_id_has_lines_of_its_own),
		TEST(floods_of_ids_are_summed_up),
		TEST(long_kinds_and_ids_are_summed_up),
		TEST(silence_since_the_start),
		TEST(rules_that_postfix_never_asks)
	};

	return cmocka_run_group_tests_name("maillog", tests, set_up, tear_down);
}
