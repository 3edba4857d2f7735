#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "random.h"

static void
a_string_grows(void **state)
{
	struct str	s;
	size_t		i;

	(void)state;
	str_init(&s);
	str_clear(&s);
	str_add(&s, NULL, 0);
	assert_int_equal(s.len, 0);
	assert_string_equal(s.data, "");
	str_adds(&s, "ab");
	str_addc(&s, 'c');
	str_addf(&s, "-%d-%s", 42, "x");
	str_add(&s, "\0y", 2);
	assert_int_equal(s.len, 10);
	assert_memory_equal(s.data, "abc-42-x\0y", 11);
	str_clear(&s);
	assert_null(s.data);
	for (i = 0; i < 100000; i++) {
		str_addc(&s, (int)(i % 251));
		assert_int_equal(s.data[s.len], '\0');
	}
	assert_int_equal(s.len, 100000);
	for (i = 0; i < s.len; i++)
		assert_int_equal((unsigned char)s.data[i], i % 251);
	str_wipe(&s);
	assert_null(s.data);
	assert_int_equal(s.size, 0);
	str_wipe(&s);
	str_adds(&s, "again");
	assert_string_equal(s.data, "again");
	str_clear(&s);
}

static void
copies_end_with_a_nul(void **state)
{
	char	*p;

	(void)state;
	p = alloc_copy("a\0b", 3);
	assert_memory_equal(p, "a\0b", 4);
	free(p);
	p = alloc_copy(NULL, 0);
	assert_string_equal(p, "");
	free(p);
	p = alloc_printf("%s/%05d", "x", 42);
	assert_string_equal(p, "x/00042");
	free(p);
	p = alloc_zero(0, 8);
	assert_non_null(p);
	free(p);
}

static void
printable_as(const char *src, size_t len, const char *expected)
{
	char	text[256];

	assert_string_equal(str_printable(text, sizeof(text), src, len),
	    expected);
}

#define PRINTABLE(src, expected)					\
	printable_as(src, sizeof(src) - 1, expected)

static void
unprintable_bytes_are_escaped(void **state)
{
	(void)state;
	PRINTABLE("", "");
	PRINTABLE("bob@example.org ~!", "bob@example.org ~!");
	PRINTABLE("a\\b", "a\\\\b");
	PRINTABLE("a\r\nb\tc\0d\177", "a\\x0d\\x0ab\\x09c\\x00d\\x7f");
	PRINTABLE("\033[2J", "\\x1b[2J");
	PRINTABLE("J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x93\xac",
	    "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x93\xac");
}

static void
printable_broken_utf8(void **state)
{
	(void)state;
	PRINTABLE("\xff", "\\xff");
	PRINTABLE("\x80 \xbf", "\\x80 \\xbf");
	PRINTABLE("\xc3", "\\xc3");
	PRINTABLE("\xc3(", "\\xc3(");
	PRINTABLE("\xe2\x82", "\\xe2\\x82");
	PRINTABLE("\xe2\x82\xe2\x82\xac", "\\xe2\\x82\xe2\x82\xac");
	PRINTABLE("\xc0\x8a", "\\xc0\\x8a");		/* overlong LF */
	PRINTABLE("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
	PRINTABLE("\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a");
	PRINTABLE("\xed\xa0\x80", "\\xed\\xa0\\x80");	/* surrogate */
	PRINTABLE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	PRINTABLE("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

/* Well-formed, but a terminal or a reader would not see what is there. */
static void
printable_hidden(void **state)
{
	(void)state;
	PRINTABLE("\xc2\x85", "\\xc2\\x85");			/* NEL */
	PRINTABLE("\xc2\x9b", "\\xc2\\x9b");			/* CSI */
	PRINTABLE("\xe2\x80\xa8", "\\xe2\\x80\\xa8");		/* U+2028 */
	PRINTABLE("\xe2\x80\xae", "\\xe2\\x80\\xae");		/* U+202E */
	PRINTABLE("\xe2\x81\xa6", "\\xe2\\x81\\xa6");		/* U+2066 */
	PRINTABLE("\xe2\x80\x8b", "\\xe2\\x80\\x8b");		/* U+200B */
	PRINTABLE("\xef\xbb\xbf", "\\xef\\xbb\\xbf");		/* U+FEFF */
	PRINTABLE("\xef\xbf\xbf", "\\xef\\xbf\\xbf");		/* U+FFFF */
	PRINTABLE("\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81");	/* U+E0041 */
}

static void
printable_cut(void **state)
{
	char	text[16];

	(void)state;
	memset(text, 'z', sizeof(text));
	assert_string_equal(str_printable(text, 8, "1234567", 7), "1234567");
	assert_string_equal(str_printable(text, 8, "12345678", 8), "1234...");
	assert_string_equal(str_printable(text, 8, "\n\n", 2), "\\x0a...");
	assert_string_equal(str_printable(text, 8, "12\n\n", 4), "12...");
	assert_string_equal(str_printable(text, 8,
	    "123\xe2\x82\xac\xe2\x82\xac", 9),
	    "123...");
	assert_string_equal(str_printable(text, 8, "1\xe2\x82\xac\xe2\x82\xac",
	    7),
	    "1\xe2\x82\xac\xe2\x82\xac");
	assert_int_equal(text[8], 'z');
}

static void
printable_appended(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s);
	str_add_printable(&s, NULL, 0);
	assert_string_equal(s.data, "");
	str_add_printable(&s, "\n\n\n\n", 4);
	str_add_printable(&s, "a\\", 2);
	assert_string_equal(s.data, "\\x0a\\x0a\\x0a\\x0aa\\\\");
	assert_int_equal(s.len, strlen(s.data));
	str_clear(&s);
}

/*
 * Whatever comes in: one line, whole sequences, within its size, cut only if
 * needed.
 */
static void
printable_at_random(void **state)
{
	struct random	r = { 11 };
	char		text[400];
	unsigned char	src[100];
	size_t		size, len, i, n;
	int		round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		len = random_below(&r, sizeof(src) + 1);
		for (i = 0; i < len; i++)
			src[i] = (uint8_t)(random_below(&r, 3) == 0 ?
			    0x80 + random_below(&r, 0x80) :
			    random_below(&r, 0x80));
		size = 8 + random_below(&r, sizeof(text) - 9);
		memset(text, 'z', sizeof(text));
		str_printable(text, size, src, len);
		n = strlen(text);
		assert_true(n < size);
		for (i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], 'z');
		assert_true(str_utf8_valid(text, n));
		for (i = 0; i < n; i++)
			assert_true((unsigned char)text[i] >= ' ' &&
			    text[i] != 0x7f);
		if (size > 4 * len)
			assert_true(n >= len);
		else if (n + 4 < size && n >= 3)
			assert_true(n >= len ||
			    strcmp(text + n - 3, "...") == 0);
	}
}

static void
ascii_letters_are_folded(void **state)
{
	char	s[] = "BoB@EXAMPLE.org [`{@Z\xc3\x84\xc4";

	(void)state;
	str_fold(s, sizeof(s) - 1);
	assert_string_equal(s, "bob@example.org [`{@z\xc3\x84\xc4");
	str_fold(s, 0);
}

static void
text_is_cut_at_a_character(void **state)
{
	(void)state;
	assert_int_equal(str_utf8_cut("DATA", 4, 4), 4);
	assert_int_equal(str_utf8_cut("DATA", 4, 3), 3);
	assert_int_equal(str_utf8_cut("a\xe2\x82\xac" "b", 5, 4), 4);
	assert_int_equal(str_utf8_cut("a\xe2\x82\xac" "b", 5, 3), 1);
	assert_int_equal(str_utf8_cut("\xe2\x82\xac", 3, 2), 0);
}

static void
utf8_is_checked(void **state)
{
	(void)state;
	assert_true(str_utf8_valid("", 0));
	assert_true(str_utf8_valid("a\0b", 3));
	assert_true(str_utf8_valid("\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf",
	    10));
	assert_true(str_utf8_valid("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8));
	assert_true(str_utf8_valid("\xed\x9f\xbf\xee\x80\x80", 6));
	assert_false(str_utf8_valid("\xc1\xbf", 2));
	assert_false(str_utf8_valid("\xe0\x9f\xbf", 3));
	assert_false(str_utf8_valid("\xf0\x8f\xbf\xbf", 4));
	assert_false(str_utf8_valid("\xf4\x90\x80\x80", 4));
	assert_false(str_utf8_valid("\xed\xa0\x80", 3));
	assert_false(str_utf8_valid("abc\xe2\x82", 5));
	assert_false(str_utf8_valid("\x80", 1));
	assert_false(str_utf8_valid("\xff", 1));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_string_grows),
		cmocka_unit_test(copies_end_with_a_nul),
		cmocka_unit_test(unprintable_bytes_are_escaped),
		cmocka_unit_test(printable_broken_utf8),
		cmocka_unit_test(printable_hidden),
		cmocka_unit_test(printable_cut),
		cmocka_unit_test(printable_appended),
		cmocka_unit_test(printable_at_random),
		cmocka_unit_test(ascii_letters_are_folded),
		cmocka_unit_test(text_is_cut_at_a_character),
		cmocka_unit_test(utf8_is_checked)
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
