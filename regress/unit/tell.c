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

#include "engine/tell.h"
#include "engine/turn.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PATIENCE_S	20
#define LOG_MAX		(256 * 1024)

/* Lines go to a file in place of stderr while a test listens. */
static FILE			*file;
static int			 saved = -1;
static char			 lines[LOG_MAX];
static struct settings		*settings;
static struct limit		 ten = { 10, 60 };
static struct msg_charge	 charge;
static struct tell_about	 about;

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

	assert_int_equal(request_parse(req, text, strlen(text), &reason), 0);
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
	tell_init();
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
	request_of(&req, "client_address=192.0.2.7\nqueue_id=4Sabc\n\n");
	tell_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("bob", "1a.2b");
	listen_in();
	tell_verdict(settings, &charge, &about, &v, NULL);
	assert_non_null(strstr(heard(), "refused: id=<bob> key=sasl_username "
	    "client=192.0.2.7 instance=1a.2b queue_id=4Sabc limit=10/60 used=9 "
	    "retry_after=37\n"));
	assert_int_equal(count(lines, "\n"), 1);
	v.never = true;
	listen_in();
	tell_verdict(settings, &charge, &about, &v, "from memory");
	assert_non_null(strstr(heard(), "retry_after=37 never=1 (from memory)"
	    "\n"));
	/* What is accepted is said in debug mode alone. */
	v = verdict_of(VERDICT_ACCEPTED);
	listen_in();
	tell_verdict(settings, &charge, &about, &v, NULL);
	tell_passed(&req, "why");
	assert_string_equal(heard(), "");
	log_set_debug(true);
	v.ncharged = 1;
	v.charged[0] = 2;
	listen_in();
	tell_verdict(settings, &charge, &about, &v, NULL);
	tell_passed(&req, "why");
	assert_non_null(strstr(heard(), "accepted: id=<bob> "));
	assert_non_null(strstr(lines, " n=3 charged=2 state=DATA\n"));
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
	tell_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("first:a,b", "");
	charge.keys[1] = charge.keys[0];
	charge.keys[1].id = "second:server";
	charge.keys[1].idlen = strlen("second:server");
	charge.keys[1].rule = 1;
	charge.nkeys = 2;
	/* Told although it was accepted. */
	v.shadowed = 1;
	v.warned = 2;
	listen_in();
	tell_verdict(&s, &charge, &about, &v, NULL);
	assert_non_null(strstr(heard(), "would refuse: id=<first:a,b> "
	    "key=sender,helo_name rule=first client= instance= queue_id=\n"));
	assert_non_null(strstr(lines, "near its limit: id=<second:server> "
	    "key=server rule=second client= instance= queue_id=\n"));
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
	tell_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("bob\nrefused: id=<eve>\r\x1b[31m", "\n\n");
	listen_in();
	tell_verdict(settings, &charge, &about, &v, NULL);
	charge_of(long_id, long_id);
	tell_verdict(settings, &charge, &about, &v, NULL);
	tell_malformed("unix", "why", "a\nb\0\x1b", 5);
	tell_bad_count(&req);
	heard();
	assert_int_equal(count(lines, "\n"), 4);
	assert_true(strlen(lines) < 4000);
	for (i = 0; lines[i] != '\0'; i++)
		assert_true(lines[i] == '\n' || (lines[i] >= ' ' &&
		    lines[i] < 0x7f));
}

/* As much as a log can bear, and the rest as a number. */
static void
floods_are_summed_up(void **state)
{
	struct msg_verdict	v = verdict_of(VERDICT_REFUSED);
	struct mono		deadline;
	struct request		req;
	size_t			i, told;
	const char		*at;

	(void)state;
	request_of(&req, "\n");
	tell_about(&about, &req, KEY_SASL_USERNAME);
	charge_of("bob", "i");
	turn_end();
	listen_in();
	for (i = 0; i < 1000; i++) {
		tell_verdict(settings, &charge, &about, &v, NULL);
		tell_malformed("unix", "why", "x", 1);
	}
	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);
	while (pread(fileno(file), lines, sizeof(lines) - 1, 0) > 0 &&
	    strstr(lines, "more, not shown") == NULL) {
		if (clock_passed(deadline, clock_mono()))
			break;
		turn_end();
		(void)event_loop(EVLOOP_ONCE);
	}
	heard();
	told = count(lines, "refused: id=");
	assert_in_range(told, 1, 100);
	assert_true(count(lines, "malformed") <= 2);
	assert_int_equal(count(lines, "more, not shown"), 1);
	/* "refused: 900 more, not shown" */
	at = strstr(lines, " more, not shown");
	while (at > lines && at[-1] >= '0' && at[-1] <= '9')
		at--;
	assert_int_equal(told + strtoul(at, NULL, 10), 1000);
	/* The next second has lines again. */
	turn_end();
	listen_in();
	tell_verdict(settings, &charge, &about, &v, NULL);
	assert_int_equal(count(heard(), "refused: id="), 1);
}

static void
silence_since_the_start(void **state)
{
	(void)state;
	listen_in();
	tell_silence(settings);
	assert_non_null(strstr(heard(), "nothing is limited: no request came "
	    "since the start; main.cf needs: smtpd_data_restrictions = "));
}

/* So many requests, at a stage that these rules count. */
static void
asked(const struct settings *s, unsigned int times, uint32_t counted)
{
	while (times-- > 0)
		tell_stage(s, counted);
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
	s.rules = rule;
	s.nrules = 3;
	turn_end();
	/* At RCPT alone: the size is never counted. */
	tell_stages_afresh();
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
	tell_stages_afresh();
	listen_in();
	asked(&s, 100, 3);
	assert_non_null(strstr(heard(), "rule spread limits nothing: all "
	    "requests come at stages that it ignores; main.cf needs: "
	    "smtpd_recipient_restrictions = "));
	assert_int_equal(count(lines, "\n"), 1);
	/* Both stages come. */
	tell_stages_afresh();
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
		TEST(floods_are_summed_up),
		TEST(silence_since_the_start),
		TEST(rules_that_postfix_never_asks)
	};

	return cmocka_run_group_tests_name("tell", tests, set_up, tear_down);
}
