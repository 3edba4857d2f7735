#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../fuzz/literal.c"
#include "../fuzz/mutate.h"
#include "conf/syntax/literal.h"
#include "golden.h"
#include "lib/alloc.h"

static void
files_are_read(void **state)
{
	size_t	count;

	(void)state;
	assert_int_equal(golden_directory("regress/conf/literal", literal_file,
	    &count), 0);
	assert_true(count >= 12);
}

/* One literal alone: what it is, or the first fault. */
static void
value_is(const char *text, size_t len, const char *expected)
{
	struct faults	 faults;
	struct value	*v;
	struct str	 s;
	char		 fault[1024];

	str_init(&s);
	fault_init(&faults, NULL);
	if ((v = literal_value(text, len, &faults)) != NULL) {
		assert_int_equal(faults.errors, 0);
		value_repr(&s, v);
	} else {
		assert_true(faults.errors > 0);
		fault_sort(&faults);
		fault_print(&faults, 0, fault, sizeof(fault));
		str_adds(&s, fault);
	}
	assert_string_equal(s.data, expected);
	value_free(v);
	fault_clear(&faults);
	str_clear(&s);
}

#define VALUE_IS(text, expected)	\
	value_is(text, sizeof(text) - 1, expected)
#define FAULT(place, text)	"built-in defaults:" place ": error: " text

static void
values_are_read(void **state)
{
	(void)state;
	VALUE_IS("[[10, 60]]", "[[10, 60]]");
	VALUE_IS("  [[10, 60]]  ", "[[10, 60]]");
	VALUE_IS("\n\n[[10,\n 60]]\n# said\n", "[[10, 60]]");
	VALUE_IS("10, 60", "(10, 60)");
	VALUE_IS("'text'", "'text'");
	VALUE_IS("None", "None");
	VALUE_IS("24 * 3600", "86400");
	VALUE_IS("", FAULT("1:1", "a value is expected, not the end"));
	VALUE_IS("# nothing",
	    FAULT("1:10", "a value is expected, not the end"));
	VALUE_IS("[[10, 60]] x",
	    FAULT("1:12", "the line's end is expected, not `x`: "
	    "Python is not run here, write the value itself"));
	VALUE_IS("[[10, 60]]\n[[1, 2]]",
	    FAULT("2:1", "one literal is expected, nothing behind it"));
	VALUE_IS("1; 2",
	    FAULT("1:2", "one literal is expected, nothing behind it"));
	VALUE_IS("[[10, 60]", FAULT("1:1", "`[` is not closed"));
	VALUE_IS("limits = [[10, 60]]", FAULT("1:1",
	    "`limits` is not a value: Python is not run here, "
	    "write True, False, None, a number or text in quotes"));
	VALUE_IS("'caf\xe9'",
	    FAULT("1:5", "not UTF-8: save the file as UTF-8"));
	VALUE_IS("'a\0b'", FAULT("1:3", "a NUL byte: not a text file"));
	VALUE_IS("[1]\0", FAULT("1:4", "a NUL byte: not a text file"));
}

/* What only its size makes wrong. */
static void
sizes_and_depths_are_bounded(void **state)
{
	struct faults	 faults;
	struct value	*v;
	char		*text;
	size_t		 size;

	(void)state;
	size = LITERAL_FILE_MAX + 1;
	text = alloc_zero(size, 1);
	memset(text, '#', size);
	fault_init(&faults, NULL);
	v = literal_file(text, size, &faults);
	assert_int_equal(faults.errors, 1);
	value_free(v);
	v = literal_file(text, size - 1, &faults);
	assert_int_equal(faults.errors, 1);
	value_free(v);

	/* A row of a table has its own bound. */
	memset(text, ' ', size);
	text[0] = '1';
	v = literal_value(text, 65536, &faults);
	assert_non_null(v);
	value_free(v);
	assert_null(literal_value(text, 65537, &faults));
	assert_int_equal(faults.errors, 2);

	/* Values, each of a few bytes. */
	memcpy(text, "a = [", 5);
	memset(text + 5, '1', size - 5);
	for (size = 6; size < LITERAL_FILE_MAX; size += 2)
		text[size] = ',';
	v = literal_file(text, LITERAL_FILE_MAX, &faults);
	assert_int_equal(faults.errors, 3);
	value_free(v);
	fault_clear(&faults);
	free(text);
}

/* Brackets, signs and strings without end cost neither stack nor patience. */
static void
unterminated_text_is_a_fault(void **state)
{
	static const char *const	 pieces[] = {
		"[", "(", "{", "{1:", "-", "+", "1+", "1*", "'a'", "\\\n",
		"x=", "x=[\n", "a:", ";", "a;", "\n ", "if x:\n", "'''", "\"",
		"from ", "((1),", "\xff", "1,", ")", "0x", "r'\\", "1.e"
	};
	struct faults	 faults;
	struct value	*v;
	char		*text;
	size_t		 i, size;

	(void)state;
	size = 200000;
	text = alloc_zero(size, 1);
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t	at, len = strlen(pieces[i]);

		memcpy(text, "x = ", 4);
		for (at = 4; at + len <= size; at += len)
			memcpy(text + at, pieces[i], len);
		fault_init(&faults, NULL);
		v = literal_file(text, at, &faults);
		assert_non_null(v);
		value_free(v);
		assert_true(faults.count <= 2 * 202);
		fault_clear(&faults);
		value_free(literal_value(text + 4, 60000, &faults));
		fault_clear(&faults);
	}
	free(text);
}

static const struct value *
place_of(const struct value *v, const char *name, unsigned int line,
    unsigned int column)
{
	const struct value	*found;

	found = value_get(v, name);
	assert_non_null(found);
	assert_int_equal(found->line, line);
	assert_int_equal(found->column, column);
	return found;
}

/* Everything knows where it stands, in characters. */
static void
faults_have_line_and_column(void **state)
{
	static const char	 text[] =
		"a = 1\n"
		"  \n"
		"ä = 2; b = -3\n"
		"c = {'äöü': [1, '世界', (2)],\n"
		"\t'd': (1 + 2) * 3}\n"
		"e = 'x' \\\n"
		"    'y'\n"
		"f = 1, 2\n";
	struct faults		 faults;
	struct value		*v;
	const struct value	*c, *list;

	(void)state;
	fault_init(&faults, NULL);
	v = literal_file(text, sizeof(text) - 1, &faults);
	assert_int_equal(faults.errors, 1);	/* no setting has such a name */
	assert_int_equal(faults.list[0].line, 3);
	assert_int_equal(faults.list[0].column, 1);
	place_of(v, "a", 1, 5);
	place_of(v, "b", 3, 12);
	assert_int_equal(v->items[0]->line, 1);
	assert_int_equal(v->items[0]->column, 1);
	assert_int_equal(v->items[2]->line, 3);
	assert_int_equal(v->items[2]->column, 8);
	c = place_of(v, "c", 4, 5);
	assert_int_equal(c->items[0]->column, 6);
	list = place_of(c, "äöü", 4, 13);
	assert_int_equal(list->items[1]->column, 17);
	assert_int_equal(list->items[2]->column, 23);
	place_of(c, "d", 5, 7);
	place_of(v, "e", 6, 5);
	place_of(v, "f", 8, 5);
	value_free(v);
	fault_clear(&faults);
}

static void
damaged_files_do_no_harm(void **state)
{
	struct mutate	m = { .random = { 20240229 } };

	(void)state;
	m.alphabet = "()[]{},:;.=+-*'\"\\#0123456789_abefnruxTNo"
	    " \n\r\t\xc3\xa4";
	mutate_add_directory(&m, "regress/fuzz/corpus/literal");
	mutate_run(&m, 20000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(sizes_and_depths_are_bounded),
		cmocka_unit_test(unterminated_text_is_a_fault),
		cmocka_unit_test(faults_have_line_and_column),
		cmocka_unit_test(damaged_files_do_no_harm)
	};

	return cmocka_run_group_tests_name("literal", tests, NULL, NULL);
}
