#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../fuzz/control.c"
#include "../fuzz/mutate.h"
#include "engine/reply.h"

static struct control_word	words[4];

static size_t
split(const char *bytes, size_t len)
{
	size_t	n, end = control_request_end(bytes, len);

	if (end == 0 || control_words(words, 4, &n, bytes, end) == -1)
		return 0;
	return n;
}

static void
words_of_a_command_are_parsed(void **state)
{
	static const char	two[] = "show\0bob\0";

	(void)state;
	assert_int_equal(split(two, sizeof(two)), 2);
	assert_string_equal(words[0].bytes, "show");
	assert_string_equal(words[1].bytes, "bob");
	assert_int_equal(words[1].len, 3);
	assert_int_equal(split("a\0b\0c\0d\0", 9), 4);
	assert_int_equal(split("a\0b\0c\0d\0e\0", 11), 0);
	assert_int_equal(split("\0", 1), 0);
	assert_int_equal(split("\0\0", 2), 0);
}

static void
the_end_of_a_command_is_found(void **state)
{
	static const char	two[] = "show\0bob\0\0more";
	size_t			i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_int_equal(control_request_end(two, i), 0);
	assert_int_equal(control_request_end(two, sizeof(two)), 10);
	assert_int_equal(control_request_end("\0", 1), 1);
}

/* What the engine writes, policyctl reads. */
static void
an_answer_is_read_as_it_was_written(void **state)
{
	static const char	odd[] = "tab\there\\ \x1b[2J \xff=#?\n\xc3\xa4";
	struct answer		a;
	struct str		out, back;

	(void)state;
	str_init(&out);
	str_init(&back);
	str_adds(&out, "ok\n");
	reply_begin(&out, "ids");
	reply_bytes(&out, "id", odd, sizeof(odd) - 1);
	reply_number(&out, "used", INT64_MIN);
	reply_bool(&out, "full", true);
	reply_text(&out, "empty", "");
	reply_end(&out);
	reply_begin(&out, "");
	reply_number(&out, "n", 7);
	reply_end(&out);
	str_adds(&out, "end\n");
	assert_int_equal(answer_parse(&a, out.data, out.len), 0);
	assert_false(a.failed);
	assert_int_equal(a.nrecord, 2);
	answer_text(&back, answer_get(&a.record[0], "id"));
	assert_int_equal(back.len, sizeof(odd) - 1);
	assert_memory_equal(back.data, odd, back.len);
	assert_true(answer_number(&a.record[0], "used") == INT64_MIN);
	assert_string_equal(answer_get(&a.record[0], "full"), "1");
	assert_string_equal(answer_get(&a.record[0], "empty"), "");
	assert_string_equal(answer_whole(&a, "n"), "7");
	assert_string_equal(answer_whole(&a, "id"), "");
	answer_clear(&a);
	str_clear(&out);
	str_clear(&back);
}

static void
malformed_answers_are_refused(void **state)
{
	static const char *const	bad[] = {
		"", "end\n", "ok\n", "ok\nend", "no\nend\n", "ok\nids\nend\n",
		"ok\nids\tused#x\nend\n", "ok\nids\tused#\nend\n",
		"ok\nids\tfull?2\nend\n", "ok\nids\tid\nend\n",
		"ok\nids\t=x\nend\n", "ok\nIds\tid=x\nend\n",
		"ok\nids\tid=\x1b[2J\nend\n", "ok\nids\tid=\\x41\nend\n",
		"ok\nids\tid=\xff\nend\n", "ok\nids\tid=a\\b\nend\n",
		"error \x07\nend\n", "ok\nend\nids\tid=x\nend\n",
		"ok\nids\tused#1.\nend\n", "ok\nids\tused#--1\nend\n",
	};
	struct answer			 a;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(answer_parse(&a, bad[i], strlen(bad[i])), -1);
		answer_clear(&a);
	}
	assert_int_equal(answer_parse(&a, "ok\nend\n", 7), 0);
	assert_int_equal(a.nrecord, 0);
	answer_clear(&a);
	assert_int_equal(answer_parse(&a, "error no\nend\n", 13), 0);
	assert_true(a.failed);
	assert_string_equal(a.error, "no");
	answer_clear(&a);
}

static void
json_of(const char *answer, const char *want)
{
	static const char *const	lists[] = { "ids", NULL };
	struct answer			a;
	struct str			out;

	str_init(&out);
	assert_int_equal(answer_parse(&a, answer, strlen(answer)), 0);
	json_add(&out, &a, lists);
	assert_string_equal(out.data, want);
	answer_clear(&a);
	str_clear(&out);
}

static void
json_of_error(const char *printable, const char *want)
{
	struct str	out;

	str_init(&out);
	json_add_error(&out, printable, 3);
	assert_string_equal(out.data, want);
	str_clear(&out);
}

static void
answers_become_json(void **state)
{
	(void)state;
	json_of("ok\nend\n", "{\"ids\": []}\n");
	json_of_error("it\\x0abroke",
	    "{\"error\": \"it\\u000abroke\", \"exit_status\": 3}\n");
	/* C1 controls, bidirectional marks and tags could rule a terminal. */
	json_of("ok\nids\tid=\\xc2\\x9b31m\\xe2\\x80\\xae\\xf3\\xa0\\x80\\xa1"
	    "\nend\n", "{\"ids\": [\n  {\"id\": "
	    "\"\\u009b31m\\u202e\\udb40\\udc21\"}]}\n");
	json_of("ok\n\ta=x\tb#-1.5\tc?1\nids\tid=\\xff\"\nids\tid=\xc3\xa4\n"
	    "end\n", "{\"a\": \"x\", \"b\": -1.5, \"c\": true,\n"
	    " \"ids\": [\n  {\"id\": \"\\\\xff\\\"\"},\n"
	    "  {\"id\": \"\xc3\xa4\"}]}\n");
}

static void
damaged_answers_do_no_harm(void **state)
{
	struct mutate	m = { .random = { 0x636f6e74726f6c } };

	(void)state;
	m.alphabet = "\n\t=#?\\x0123456789abcdefokend\xc3\xa4\xff\x1b";
	mutate_add_directory(&m, "regress/fuzz/corpus/control");
	mutate_run(&m, 20000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(words_of_a_command_are_parsed),
		cmocka_unit_test(the_end_of_a_command_is_found),
		cmocka_unit_test(an_answer_is_read_as_it_was_written),
		cmocka_unit_test(malformed_answers_are_refused),
		cmocka_unit_test(answers_become_json),
		cmocka_unit_test(damaged_answers_do_no_harm),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
