#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/action.h"

static struct msg_charge	charge;

static struct msg_verdict
refused(uint16_t key)
{
	struct msg_verdict	v = {
		.verdict = VERDICT_REFUSED,
		.key = key,
		.limit = { 10, 60 },
		.used = 9,
		.retry_after = 37
	};

	return v;
}

static void
charge_of(const char *id, size_t len)
{
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = len;
	charge.keys[0].rule = 0;
}

static struct settings *
settings_with(const char *fail)
{
	struct settings	*s = settings_new();

	free(s->fail_action);
	assert_non_null(s->fail_action = strdup(fail));
	return s;
}

static void
says(const struct settings *s, const struct msg_verdict *v, const char *want)
{
	struct str	out;

	str_init(&out);
	action_add(&out, s, &charge, v);
	assert_string_equal(out.data, want);
	str_clear(&out);
}

static void
fails_with(const char *fail, const struct msg_verdict *v, const char *want)
{
	struct settings	*s = settings_with(fail);

	says(s, v, want);
	settings_free(s);
}

static void
verdicts(void **state)
{
	struct msg_verdict	v = refused(0);
	struct settings		*s = settings_new();

	(void)state;
	charge_of("bob", 3);
	says(s, &v, "defer_if_permit Rate limit reach, retry later");
	v.verdict = VERDICT_ACCEPTED;
	says(s, &v, "dunno");
	v.verdict = VERDICT_UNAVAILABLE;
	free(s->db_error_action);
	assert_non_null(s->db_error_action = strdup("defer"));
	says(s, &v, "defer");
	/* A key that is none: no reason to refuse is known. */
	v = refused(7);
	says(s, &v, "defer");
	settings_free(s);
}

static void
placeholders(void **state)
{
	struct msg_verdict	v = refused(0);

	(void)state;
	charge_of("bob", 3);
	fails_with("defer {id}: {used} of {limit} in {period} s, "
	    "again in {retry_after}", &v,
	    "defer bob: 9 of 10 in 60 s, again in 37");
	fails_with("{id}{id}", &v, "bobbob");
	fails_with("450 {nothing} {Id} {id } { {id} } {id", &v,
	    "450 {nothing} {Id} {id } { bob } {id");
	fails_with("{{limit}}", &v, "{10}");
	fails_with("450 {rule}.", &v, "450 .");
	/* ASCII alone goes to the client. */
	charge_of("j\xc3\xb6rg", 5);
	fails_with("defer {id}", &v, "defer j\\xc3\\xb6rg");
}

/* Where Postfix reads on, a client's bytes separate nothing. */
static void
what_postfix_parses(void **state)
{
	static const char *const	actions[][2] = {
		{ "FILTER slow:{id}", "FILTER slow:a_b_c_d_x-1@e.org" },
		{ "redirect {id}@x", "redirect a_b_c_d_x-1@e.org@x" },
		{ "BCC {id}@x", "BCC a_b_c_d_x-1@e.org@x" },
		{ "check_client_access pcre:/{id}",
		    "check_client_access pcre:/a_b_c_d_x-1@e.org" },
		{ "DUNNO {id}", "DUNNO a_b_c_d_x-1@e.org" },
		{ "PREPEND X-{id}: {id}",
		    "PREPEND X-a_b_c_d_x-1@e.org: a b,c:d\\x0ax-1@e.org" },
		{ "HOLD {id}", "HOLD a b,c:d\\x0ax-1@e.org" },
		{ "450 {id}", "450 a b,c:d\\x0ax-1@e.org" },
		{ "WARN {id} {used}", "WARN a b,c:d\\x0ax-1@e.org 9" }
	};
	struct msg_verdict		v = refused(0);
	size_t				i;

	(void)state;
	charge_of("a b,c:d\nx-1@e.org", 17);
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		fails_with(actions[i][0], &v, actions[i][1]);
}

static void
never_and_soft(void **state)
{
	struct msg_verdict	v = refused(0);
	struct settings		*s = settings_with("450 later");
	static const struct {
		const char	*fail;
		bool		 replaced;
	} actions[] = {
		{ "defer", true }, { "DEFER_IF_PERMIT x", true },
		{ "421 x", true }, { "reject x", false }, { "554 x", false },
		{ "discard", false }
	};

	(void)state;
	charge_of("bob", 3);
	v.never = true;
	says(s, &v, "450 later");
	assert_non_null(s->never_action = strdup("550 {limit} are the most"));
	says(s, &v, "550 10 are the most");
	v.never = false;
	says(s, &v, "450 later");
	settings_free(s);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		s = settings_with(actions[i].fail);
		assert_non_null(s->never_action = strdup("550 never"));
		v.never = true;
		says(s, &v, actions[i].replaced ? "550 never" :
		    actions[i].fail);
		settings_free(s);
	}
	/* Of max_per_mail, whatever the rule's action is. */
	v.per_mail = true;
	fails_with("554 x", &v, "reject 5.5.3 Too many recipients");
	s = settings_with("HOLD");
	assert_non_null(s->never_action = strdup("550 {limit} a mail"));
	says(s, &v, "550 10 a mail");
	settings_free(s);
	v.never = v.per_mail = false;
	/* Accepted over a limit: the action and not success_action. */
	v.verdict = VERDICT_ACCEPTED;
	v.over = 1;
	fails_with("HOLD {id} {used}", &v, "HOLD bob 9");
	v.over = 0;
	fails_with("HOLD {id} {used}", &v, "dunno");
}

static void
log_injection(void **state)
{
	static char		long_id[5000];
	struct msg_verdict	v = refused(0);
	struct settings		*s;
	struct str		out;

	(void)state;
	charge_of("a\nb\r\0\x1b[0m\\\xff", 11);
	fails_with("defer {id}", &v,
	    "defer a\\x0ab\\x0d\\x00\\x1b[0m\\\\\\xff");
	/* Placeholders of a stranger's are not filled. */
	charge_of("{limit}", 7);
	fails_with("defer {id}", &v, "defer {limit}");
	memset(long_id, 'x', sizeof(long_id));
	charge_of(long_id, sizeof(long_id));
	s = settings_with("defer {id}");
	str_init(&out);
	action_add(&out, s, &charge, &v);
	assert_true(out.len < 600);
	assert_int_equal(out.len, strlen(out.data));
	settings_free(s);
	/* However often: the line stays one that Postfix reads whole. */
	s = settings_with("defer {id}{id}{id}{id}{id}{id}");
	out.len = 0;
	str_adds(&out, "action=");
	action_add(&out, s, &charge, &v);
	assert_int_equal(out.len, 7 + ACTION_MAX);
	assert_int_equal(out.len, strlen(out.data));
	settings_free(s);
	/* Three bytes of one character become twelve of ASCII. */
	memset(long_id, 0, sizeof(long_id));
	for (size_t i = 0; i + 3 < 480; i += 3)
		memcpy(long_id + i, "\xe2\x82\xac", 3);
	charge_of(long_id, strlen(long_id));
	s = settings_with("defer {id}{id}{id}{id}{id}{id}");
	out.len = 0;
	action_add(&out, s, &charge, &v);
	assert_true(out.len <= ACTION_MAX && out.len > ACTION_MAX - 3);
	assert_true(str_utf8_valid(out.data, out.len));
	settings_free(s);
	str_clear(&out);
}

static void
of_a_rule(void **state)
{
	struct settings_rule	rules[2];
	struct settings		*s = settings_with("defer all");
	struct msg_verdict	v = refused(1);
	char			action[] = "reject {id}";

	(void)state;
	memset(rules, 0, sizeof(rules));
	rules[1].action = action;
	s->rules = rules;
	s->nrules = 2;
	charge_of("a:x", 3);
	charge.nkeys = 2;
	charge.keys[1].id = "b:y";
	charge.keys[1].idlen = 3;
	charge.keys[1].rule = 1;
	says(s, &v, "reject b:y");
	v.key = 0;
	says(s, &v, "defer all");
	s->rules = NULL;
	s->nrules = 0;
	settings_free(s);
}

/* A block has no limit: no 0 is named. */
static void
of_a_block(void **state)
{
	struct override	block = { .id = "login:bob", .idlen = 9, .until = 160 };
	struct settings	*s = settings_new();
	struct str	out;

	(void)state;
	free(s->block_action);
	assert_non_null(s->block_action = strdup("550 {id} [{rule}{limit}"
	    "{period}{used}] {retry_after}"));
	str_init(&out);
	action_add_blocked(&out, s, &block, 100);
	assert_string_equal(out.data, "550 bob [] 60");
	out.len = 0;
	action_add_blocked(&out, s, NULL, 100);
	assert_string_equal(out.data, "550  [] 0");
	str_clear(&out);
	settings_free(s);
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(verdicts),
		TEST(placeholders),
		TEST(what_postfix_parses),
		TEST(never_and_soft),
		TEST(log_injection),
		TEST(of_a_rule),
		TEST(of_a_block)
	};

	return cmocka_run_group_tests_name("action", tests, NULL, NULL);
}
