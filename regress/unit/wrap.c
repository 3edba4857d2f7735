#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ctl/wrap.h"
#include "lib/str.h"
#include "random.h"

static void
check(const char *text, size_t width, const char *want)
{
	struct str	s;

	str_init(&s);
	str_adds(&s, text);
	wrap_lines(&s, width);
	assert_string_equal(s.len > 0 ? s.data : "", want);
	str_clear(&s);
}

static void
long_lines_are_broken_at_blanks(void **state)
{
	(void)state;
	check("", 10, "");
	check("\n", 10, "\n");
	check("one two\n\nthree\n", 10, "one two\n\nthree\n");
	check("0123456789\n", 10, "0123456789\n");
	check("one two three four\n", 10, "one two\n    three\n    four\n");
	check("  one two  three\n", 12, "  one two\n      three\n");
	check("         1 of 2  three\n", 16,
	    "         1 of 2\n        three\n");
	check("a b\n", 1, "a\nb\n");
}

static void
words_stay_whole(void **state)
{
	(void)state;
	check("0123456789abc\n", 10, "0123456789abc\n");
	check("0123456789abc de\n", 10, "0123456789abc\n    de\n");
	check("ab 0123456789abc de\n", 10,
	    "ab\n    0123456789abc\n    de\n");
	check("0123456789 \n", 10, "0123456789\n");
}

static void
columns_are_those_of_a_terminal(void **state)
{
	(void)state;
	/* A colour has no width, a character of two bytes has one column. */
	check("\033[31m012345\033[0m 89\n", 9, "\033[31m012345\033[0m 89\n");
	check("\303\251\303\251\303\251 \303\251\303\251 x\n", 6,
	    "\303\251\303\251\303\251 \303\251\303\251\n   x\n");
	/* An ideograph has two. */
	check("\346\227\245\346\227\245 a\n", 5,
	    "\346\227\245\346\227\245\n  a\n");
	check("\033[31\n", 9, "\033[31\n");
	check("\033[\n", 9, "\033[\n");
}

/* Whatever the text, only blanks and ends of lines change. */
static void
nothing_is_lost(void **state)
{
	static const char	letters[] = "  ab\303\251\033[m\n";
	struct random		r = { 1 };
	struct str		in, out;
	size_t			i, j, width;

	(void)state;
	str_init(&in);
	str_init(&out);
	for (i = 0; i < 2000; i++) {
		in.len = out.len = 0;
		for (j = random_below(&r, 60); j > 0; j--)
			str_addc(&in, letters[random_below(&r,
			    sizeof(letters) - 1)]);
		str_addc(&in, '\n');
		str_add(&out, in.data, in.len);
		width = 1 + random_below(&r, 20);
		wrap_lines(&out, width);
		for (j = width = 0; j < in.len; j++)
			if (strchr(" \n", in.data[j]) == NULL) {
				width += strspn(out.data + width, " \n");
				assert_int_equal(out.data[width++],
				    in.data[j]);
			}
		width += strspn(out.data + width, " \n");
		assert_int_equal(width, out.len);
	}
	str_clear(&in);
	str_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(long_lines_are_broken_at_blanks),
		cmocka_unit_test(words_stay_whole),
		cmocka_unit_test(columns_are_those_of_a_terminal),
		cmocka_unit_test(nothing_is_lost)
	};

	return cmocka_run_group_tests_name("wrap", tests, NULL, NULL);
}
