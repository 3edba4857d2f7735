#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/fault.h"

static void
printed_as(const struct faults *f, size_t i, const char *expected)
{
	char	text[1024];

	fault_print(f, i, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void
faults_print_file_and_place(void **state)
{
	struct faults	f;
	char		text[16];

	(void)state;
	fault_init(&f, "some.conf");
	fault_error(&f, 3, 14, "%s is %d", "limits", 7);
	fault_warning(&f, 3, 15, "beware");
	fault_error(&f, 0, 0, "as a whole");
	assert_int_equal(f.count, 3);
	assert_int_equal(f.errors, 2);
	assert_int_equal(f.warnings, 1);
	printed_as(&f, 0, "some.conf:3:14: error: limits is 7");
	printed_as(&f, 1, "some.conf:3:15: warning: beware");
	printed_as(&f, 2, "some.conf: error: as a whole");
	fault_print(&f, 0, text, sizeof(text));
	assert_string_equal(text, "some.conf:3:14:");
	fault_clear(&f);
	assert_int_equal(f.count, 0);

	fault_init(&f, NULL);
	fault_error(&f, 0, 0, "x");
	printed_as(&f, 0, "built-in defaults: error: x");
	fault_clear(&f);
}

/* Texts quote what strangers wrote, and end up on terminals and in logs. */
static void
unprintable_bytes_are_escaped(void **state)
{
	struct faults	f;

	(void)state;
	fault_init(&f, "a\nb\x1b[1m.conf");
	fault_error(&f, 1, 1, "%s", "x\ny\x1b]0;z\x07 \xff Grüße \\n \\\\");
	printed_as(&f, 0, "a\\x0ab\\x1b[1m.conf:1:1: error: "
	    "x\\x0ay\\x1b]0;z\\x07 \\xff Grüße \\n \\\\");
	fault_clear(&f);
}

static void
faults_are_sorted_by_place(void **state)
{
	static const unsigned int	places[][2] = {
		{ 9, 1 }, { 2, 5 }, { 2, 3 }, { 10, 1 }, { 2, 5 }, { 0, 0 },
		{ 2, 5 }, { 1, 80 }
	};
	static const char *const	expected[] = {
		"f: error: 5", "f:1:80: error: 7", "f:2:3: error: 2",
		"f:2:5: error: 1", "f:2:5: error: 4", "f:2:5: error: 6",
		"f:9:1: error: 0", "f:10:1: error: 3"
	};
	struct faults			f;
	size_t				i;

	(void)state;
	fault_init(&f, "f");
	fault_sort(&f);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		fault_error(&f, places[i][0], places[i][1], "%zu", i);
	fault_sort(&f);
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		printed_as(&f, i, expected[i]);
	fault_clear(&f);
}

/* A file of another kind has a fault on each line: counted all, kept some. */
static void
at_most_200_faults_are_kept(void **state)
{
	struct faults	f;
	char		text[1024], word[5000];
	unsigned int	i;

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	fault_init(&f, "f");
	for (i = 1; i <= 100000; i++)
		fault_warning(&f, i, 1, "%s", word);
	fault_error(&f, 100001, 1, "the one that matters");
	assert_int_equal(f.warnings, 100000);
	assert_int_equal(f.errors, 1);
	assert_true(f.count < 500);
	fault_sort(&f);
	printed_as(&f, 0, "f: warning: too many warnings, not all are shown");
	printed_as(&f, f.count - 1, "f:100001:1: error: the one that matters");
	fault_print(&f, 1, text, sizeof(text));
	assert_int_equal(strncmp(text, "f:1:1: warning: xxx", 19), 0);
	fault_clear(&f);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(faults_print_file_and_place),
		cmocka_unit_test(unprintable_bytes_are_escaped),
		cmocka_unit_test(faults_are_sorted_by_place),
		cmocka_unit_test(at_most_200_faults_are_kept)
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
