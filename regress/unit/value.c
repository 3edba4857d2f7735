#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../fuzz/mutate.h"
#include "../fuzz/value.c"
#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/syntax/repr.h"
#include "conf/value.h"
#include "ipc/wire.h"

static struct value *
read_literal(const char *text)
{
	struct faults	 faults;
	struct value	*v;

	fault_init(&faults, NULL);
	v = literal_value(text, strlen(text), &faults);
	assert_non_null(v);
	fault_clear(&faults);
	return v;
}

static struct value *
text_value(const char *text)
{
	return value_str(text, strlen(text));
}

/* --- printing --- */

static void
float_is(double d, const char *expected)
{
	struct str	s;

	str_init(&s);
	repr_float(&s, d);
	assert_string_equal(s.data, expected);
	str_clear(&s);
}

/* As CPython 3 prints them. */
static void
floats_print_as_in_python(void **state)
{
	(void)state;
	float_is(0, "0.0");
	float_is(-0.0, "-0.0");
	float_is(1, "1.0");
	float_is(2.5, "2.5");
	float_is(-0.1, "-0.1");
	float_is(0.30000000000000004, "0.30000000000000004");
	float_is(0.3333333333333333, "0.3333333333333333");
	float_is(100, "100.0");
	float_is(123456789.125, "123456789.125");
	float_is(0.0001, "0.0001");
	float_is(0.00012345, "0.00012345");
	float_is(0.00001, "1e-05");
	float_is(1.5e-7, "1.5e-07");
	float_is(1e15, "1000000000000000.0");
	float_is(9999999999999998, "9999999999999998.0");
	float_is(1e16, "1e+16");
	float_is(12345678901234567890.0, "1.2345678901234567e+19");
	float_is(1e22, "1e+22");
	float_is(1e23, "1e+23");
	float_is(1e100, "1e+100");
	float_is(1.7976931348623157e308, "1.7976931348623157e+308");
	float_is(2.2250738585072014e-308, "2.2250738585072014e-308");
	float_is(5e-324, "5e-324");
	float_is(0x1p53, "9007199254740992.0");
	float_is(0x1p54, "1.8014398509481984e+16");
	/* Powers of two, where the nearest digits are not the shortest. */
	float_is(0x1p-96, "1.262177448353619e-29");
	float_is(0x1p-44, "5.684341886080802e-14");
	float_is(0x1p122, "5.316911983139664e+36");
	float_is(0x1p132, "5.444517870735016e+39");
	float_is(0x1p-1022, "2.2250738585072014e-308");
	float_is((double)INFINITY, "inf");
	float_is(-(double)INFINITY, "-inf");
	float_is((double)NAN, "nan");
	float_is(-(double)NAN, "nan");
}

static void
string_is(const char *bytes, size_t len, const char *expected)
{
	struct value	*v;
	struct str	 s;

	v = value_str(bytes, len);
	str_init(&s);
	value_repr(&s, v);
	assert_string_equal(s.data, expected);
	str_clear(&s);
	/* Alone it is bare. */
	value_print(&s, v);
	assert_int_equal(s.len, len);
	if (len > 0)
		assert_memory_equal(s.data, bytes, len);
	str_clear(&s);
	value_free(v);
}

#define STRING_IS(bytes, expected)	\
	string_is(bytes, sizeof(bytes) - 1, expected)

static void
strings_print_as_in_python(void **state)
{
	(void)state;
	STRING_IS("", "''");
	STRING_IS("text", "'text'");
	STRING_IS("it's", "\"it's\"");
	STRING_IS("say \"x\"", "'say \"x\"'");
	STRING_IS("it's \"x\"", "'it\\'s \"x\"'");
	STRING_IS("a\\b", "'a\\\\b'");
	STRING_IS("\t\n\r", "'\\t\\n\\r'");
	STRING_IS("\0\a\x1b\x7f", "'\\x00\\x07\\x1b\\x7f'");
	STRING_IS("Grüße 世界 😀", "'Grüße 世界 😀'");
	STRING_IS("\xc2\x85\xc2\xa0\xc2\xad\xc2\xa1", "'\\x85\\xa0\\xad¡'");
	STRING_IS("\xe2\x80\x8b\xe2\x80\xa8\xe2\x80\xae",
	    "'\\u200b\\u2028\\u202e'");
	STRING_IS("\xee\x80\x80\xef\xbb\xbf\xef\xbf\xbf",
	    "'\\ue000\\ufeff\\uffff'");
	STRING_IS("\xf3\xa0\x80\x81\xf4\x8f\xbf\xbf",
	    "'\\U000e0001\\U0010ffff'");
	/* What is no UTF-8, as Python keeps it. */
	STRING_IS("a\xff\xc3", "'a\\udcff\\udcc3'");
	STRING_IS("\xed\xa0\x80\xc0\x80",
	    "'\\udced\\udca0\\udc80\\udcc0\\udc80'");
}

static void
prints_as(const char *literal, const char *expected)
{
	struct value	*v;
	struct str	 s;

	v = read_literal(literal);
	str_init(&s);
	value_print(&s, v);
	assert_string_equal(s.data, expected);
	str_clear(&s);
	value_free(v);
}

static void
values_print_as_in_python(void **state)
{
	(void)state;
	prints_as("None", "None");
	prints_as("True", "True");
	prints_as("False", "False");
	prints_as("0666", "438");
	prints_as("-9223372036854775808", "-9223372036854775808");
	prints_as("2.", "2.0");
	prints_as("'dunno'", "dunno");
	prints_as("['dunno']", "['dunno']");
	prints_as("[ ]", "[]");
	prints_as("( )", "()");
	prints_as("{ }", "{}");
	prints_as("(1,)", "(1,)");
	prints_as("(1,2)", "(1, 2)");
	prints_as("[[10,60],[150,86400]]", "[[10, 60], [150, 86400]]");
	prints_as("{'a':1,2:[None,True],(1,):{}}",
	    "{'a': 1, 2: [None, True], (1,): {}}");
}

/* --- dictionaries --- */

static void
a_key_is_set_once(void **state)
{
	struct value	*dict, *one;

	(void)state;
	dict = value_new(VALUE_DICT);
	assert_null(value_get(dict, "a"));
	value_set(dict, text_value("a"), value_int(1));
	value_set(dict, text_value("b"), value_int(2));
	value_set(dict, text_value("a"), value_int(3));
	assert_int_equal(dict->count, 4);
	assert_int_equal(value_get(dict, "a")->integer, 3);
	assert_int_equal(value_get(dict, "b")->integer, 2);
	assert_null(value_get(dict, "ab"));
	assert_null(value_get(dict, ""));

	/* Equal numbers are one key, and the first is what is seen. */
	value_set(dict, value_int(1), text_value("int"));
	value_set(dict, value_bool(true), text_value("bool"));
	value_set(dict, value_float(1.0), text_value("float"));
	assert_int_equal(dict->count, 6);
	assert_int_equal(dict->items[4]->type, VALUE_INT);
	one = value_bool(true);
	assert_string_equal(value_get_key(dict, one)->bytes, "float");
	value_free(one);
	value_set(dict, value_float(1.5), text_value("half"));
	value_set(dict, text_value("1"), text_value("str"));
	value_set(dict, value_new(VALUE_NONE), text_value("None"));
	assert_int_equal(dict->count, 12);
	assert_string_equal(value_get(dict, "1")->bytes, "str");

	one = value_int(1);
	assert_null(value_get(one, "a"));
	value_free(one);
	assert_null(value_get(NULL, "a"));
	value_free(dict);
}

/* With the index and without, keys set and keys appended. */
static void
large_dictionaries_are_found(void **state)
{
	struct value	*dict, *copy;
	char		 key[32];
	int		 i;

	(void)state;
	dict = value_new(VALUE_DICT);
	for (i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "user%d", i % 10000);
		value_set(dict, text_value(key), value_int(i));
	}
	assert_int_equal(dict->count, 2 * 10000);
	for (i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "user%d", i);
		assert_int_equal(value_get(dict, key)->integer, 10000 + i);
		assert_string_equal(dict->items[2 * i]->bytes, key);
	}
	assert_null(value_get(dict, "user10000"));
	value_append(dict, text_value("appended"));
	value_append(dict, value_int(-1));
	assert_int_equal(value_get(dict, "appended")->integer, -1);
	value_set(dict, text_value("appended"), value_int(-2));
	assert_int_equal(value_get(dict, "appended")->integer, -2);
	assert_int_equal(dict->count, 2 * 10001);

	copy = value_copy(dict);
	assert_true(value_equal(dict, copy));
	assert_int_equal(value_get(copy, "user77")->integer, 10077);
	value_set(copy, text_value("user77"), value_int(0));
	assert_false(value_equal(dict, copy));
	assert_int_equal(value_get(dict, "user77")->integer, 10077);
	value_free(copy);
	value_free(dict);
}

static void
keys_are(const char *literal, bool hashable)
{
	struct value	*v;

	v = read_literal(literal);
	assert_int_equal(value_hashable(v), hashable);
	value_free(v);
}

static void
keys_compare_as_in_python(void **state)
{
	(void)state;
	keys_are("1", true);
	keys_are("None", true);
	keys_are("('a', (1, 2.5))", true);
	keys_are("[]", false);
	keys_are("{}", false);
	keys_are("('a', (1, []))", false);
}

static void
compares(const char *a, const char *b, bool equal)
{
	struct value	*left, *right;

	left = read_literal(a);
	right = read_literal(b);
	assert_int_equal(value_equal(left, right), equal);
	assert_int_equal(value_equal(right, left), equal);
	value_free(left);
	value_free(right);
}

static void
values_compare(void **state)
{
	(void)state;
	compares("1", "1", true);
	compares("1", "2", false);
	compares("1", "True", false);
	compares("1", "1.0", false);
	compares("1.5", "1.5", true);
	compares("'a'", "\"a\"", true);
	compares("'a'", "'a\\0'", false);
	compares("[1]", "(1,)", false);
	compares("[1, 2]", "[1, 2, 3]", false);
	compares("[1, [2]]", "[1, [3]]", false);
	compares("{'a': 1}", "{'a': 1}", true);
	compares("{'a': 1}", "{'a': 2}", false);
	compares("{'a': 1}", "{'b': 1}", false);
	compares("None", "False", false);
}

/* --- on channels --- */

static const char *const conveyed[] = {
	"None", "True", "False", "0", "-9223372036854775808", "2.5", "''",
	"'a\\0b'", "'Grüße'", "[]", "()", "{}", "[[10, 60], [150, 86400]]",
	"{'a': [1, (2,), {None: 3.5}], 2: 'x', (1, 'y'): True}",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
};

#define CONVEYED	(sizeof(conveyed) / sizeof(conveyed[0]))

static void
values_arrive_unchanged(void **state)
{
	struct value	*v, *taken;
	struct str	 s;
	size_t		 i, len;

	(void)state;
	for (i = 0; i < CONVEYED; i++) {
		v = read_literal(conveyed[i]);
		v->line = 12345;
		v->column = 678;
		str_init(&s);
		value_put(&s, v);
		taken = value_take(s.data, s.len);
		assert_non_null(taken);
		assert_true(value_equal(v, taken));
		assert_int_equal(taken->line, 12345);
		assert_int_equal(taken->column, 678);
		value_free(taken);
		/* Not cut short, nothing behind. */
		for (len = 0; len < s.len; len++)
			assert_null(value_take(s.data, len));
		str_addc(&s, 0);
		assert_null(value_take(s.data, s.len));
		str_clear(&s);
		value_free(v);
	}
}

static void
put_head(struct str *s, int type)
{
	wire_put_u8(s, (uint8_t)type);
	wire_put_u32(s, 1);
	wire_put_u32(s, 1);
}

static void
refused(struct str *s)
{
	assert_null(value_take(s->data, s->len));
	str_clear(s);
}

/* What value_put never writes. */
static void
malformed_values_are_refused(void **state)
{
	struct value	*v;
	struct str	 s;
	int		 i;

	(void)state;
	str_init(&s);
	put_head(&s, VALUE_DICT + 1);
	refused(&s);
	put_head(&s, 255);
	refused(&s);
	put_head(&s, VALUE_BOOL);
	wire_put_u8(&s, 2);
	refused(&s);

	/* More items than there are bytes. */
	put_head(&s, VALUE_LIST);
	wire_put_u32(&s, UINT32_MAX);
	refused(&s);
	put_head(&s, VALUE_STR);
	wire_put_u32(&s, UINT32_MAX);
	str_adds(&s, "text");
	refused(&s);

	/* A key without a value, a list as a key, a key twice. */
	put_head(&s, VALUE_DICT);
	wire_put_u32(&s, 1);
	put_head(&s, VALUE_NONE);
	refused(&s);
	put_head(&s, VALUE_DICT);
	wire_put_u32(&s, 2);
	put_head(&s, VALUE_LIST);
	wire_put_u32(&s, 0);
	put_head(&s, VALUE_NONE);
	refused(&s);
	put_head(&s, VALUE_DICT);
	wire_put_u32(&s, 4);
	for (i = 0; i < 4; i++)
		put_head(&s, VALUE_NONE);
	refused(&s);

	/* As deep as it may be, and deeper. */
	for (i = 0; i < VALUE_DEPTH_MAX; i++) {
		put_head(&s, VALUE_TUPLE);
		wire_put_u32(&s, 1);
	}
	put_head(&s, VALUE_NONE);
	v = value_take(s.data, s.len);
	assert_non_null(v);
	value_free(v);
	str_clear(&s);
	for (i = 0; i < VALUE_DEPTH_MAX + 1; i++) {
		put_head(&s, VALUE_TUPLE);
		wire_put_u32(&s, 1);
	}
	put_head(&s, VALUE_NONE);
	refused(&s);
	for (i = 0; i < 100000; i++) {
		put_head(&s, VALUE_LIST);
		wire_put_u32(&s, 1);
	}
	refused(&s);
}

static void
damaged_values_do_no_harm(void **state)
{
	struct mutate	 m = { .random = { 5321 } };
	struct value	*v;
	struct str	 s;
	size_t		 i;

	(void)state;
	m.alphabet = "\1\2\3\4\5\6\7\x7f";
	for (i = 0; i < CONVEYED; i++) {
		v = read_literal(conveyed[i]);
		str_init(&s);
		value_put(&s, v);
		mutate_add(&m, s.data, s.len);
		str_clear(&s);
		value_free(v);
	}
	mutate_run(&m, 50000);
}

/* --- characters --- */

static void
characters(void **state)
{
	struct faults	 faults;
	struct value	*v;
	uint32_t	 c, back;
	char		 text[16];
	bool		 printable, none;

	(void)state;
	for (c = 0; c < 0x110100; c++) {
		snprintf(text, sizeof(text), "'\\U%08x'", (unsigned int)c);
		fault_init(&faults, NULL);
		v = literal_value(text, strlen(text), &faults);
		none = (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff;
		assert_int_equal(v == NULL, none);
		assert_int_equal(faults.errors, none);
		if (v != NULL) {
			assert_int_equal(str_code(v->bytes, v->len, &back,
			    &printable), v->len);
			assert_int_equal(back, c);
		}
		value_free(v);
		fault_clear(&faults);
	}
}

/* Strings are gone, in lists and dicts too; keys and all else stay. */
static void
secrets_are_wiped(void **state)
{
	struct value		*dict = value_new(VALUE_DICT);
	struct value		*list = value_new(VALUE_LIST);
	const struct value	*text;
	const char		*bytes;

	(void)state;
	value_append(list, value_str("secret", 6));
	value_set(dict, value_str("ssl", 3), list);
	value_set(dict, value_str("passwd", 6), value_str("secret", 6));
	text = value_get(dict, "passwd");
	bytes = text->bytes;
	value_blank(dict);
	assert_int_equal(text->len, 0);
	assert_memory_equal(bytes, "\0\0\0\0\0\0", 6);
	assert_ptr_equal(value_get(dict, "ssl"), list);
	assert_int_equal(list->items[0]->len, 0);
	value_free(dict);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(floats_print_as_in_python),
		cmocka_unit_test(strings_print_as_in_python),
		cmocka_unit_test(values_print_as_in_python),
		cmocka_unit_test(a_key_is_set_once),
		cmocka_unit_test(large_dictionaries_are_found),
		cmocka_unit_test(keys_compare_as_in_python),
		cmocka_unit_test(values_compare),
		cmocka_unit_test(values_arrive_unchanged),
		cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(secrets_are_wiped),
		cmocka_unit_test(damaged_values_do_no_harm),
		cmocka_unit_test(characters)
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
