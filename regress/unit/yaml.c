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
#include "../fuzz/yaml.c"
#include "conf/syntax/scalar.h"
#include "conf/syntax/yaml.h"
#include "golden.h"
#include "lib/alloc.h"

/* Where the wanted values are not faults, PyYAML 6 found the same. */
static void
files_are_read(void **state)
{
	size_t	count;

	(void)state;
	assert_int_equal(golden_directory("regress/conf/yaml", yaml_file,
	    &count), 0);
	assert_true(count >= 30);
}

static void
plain_is(const char *text, const char *expected)
{
	struct scalars	 scalars;
	struct value	*v;
	struct str	 s;
	const char	*fault;

	fault = NULL;
	str_init(&s);
	assert_int_equal(scalar_init(&scalars), 0);
	v = scalar_plain(&scalars, text, strlen(text), &fault);
	scalar_clear(&scalars);
	if (v != NULL)
		value_repr(&s, v);
	else
		str_adds(&s, fault);
	assert_string_equal(s.data, expected);
	value_free(v);
	str_clear(&s);
}

#define IS_SPECIAL	"YAML gives dates, `=` and `<<` a meaning of their " \
	"own: put this in quotes"

/* Where one regular expression of the resolver ends and the next begins. */
static void
scalars_are_read_as_pyyaml_does(void **state)
{
	(void)state;
	plain_is("", "None");
	plain_is("0", "0");
	plain_is("+0", "0");
	plain_is("-0.0", "-0.0");
	plain_is("0.", "0.0");
	plain_is(".", "'.'");
	plain_is("._1", "'._1'");
	plain_is(".1_", "0.1");
	plain_is("+.1", "'+.1'");
	plain_is("1._", "1.0");
	plain_is("_.1", "'_.1'");
	plain_is("1.e+1", "10.0");
	plain_is("1.e1", "'1.e1'");
	plain_is("1.e+", "'1.e+'");
	plain_is(".nan", "nan");
	plain_is(".NaN", "nan");
	plain_is(".Nan", "'.Nan'");
	plain_is("-.nan", "'-.nan'");
	plain_is("+.inf", "inf");
	plain_is(".infinity", "'.infinity'");
	plain_is("0b", "'0b'");
	plain_is("0b_", "a number without digits");
	plain_is("0B1", "'0B1'");
	plain_is("0x", "'0x'");
	plain_is("00x1", "'00x1'");
	plain_is("1:0", "60");
	plain_is("1:5", "65");
	plain_is("1:05", "65");
	plain_is("1:60", "'1:60'");
	plain_is("1:005", "'1:005'");
	plain_is("1:", "'1:'");
	plain_is("0:30", "'0:30'");
	plain_is("0:30.", "30.0");
	plain_is("1:30.5", "90.5");
	plain_is("1::30", "'1::30'");
	plain_is("-1:30", "-90");
	plain_is("2562047788015215:30:07", "9223372036854775807");
	plain_is("2562047788015215:30:08", "the number is too large");
	plain_is("-2562047788015215:30:08", "-9223372036854775808");
	plain_is("-0x8000000000000000", "-9223372036854775808");
	plain_is("0x8000000000000000", "the number is too large");
	plain_is("2001-01-1", "'2001-01-1'");
	plain_is("2001-1-1 1:00:00",
	    IS_SPECIAL);
	plain_is("2001-1-1 1:0:00", "'2001-1-1 1:0:00'");
	plain_is("2001-01-01T", "'2001-01-01T'");
	plain_is("2001-01-01t01:02:03.Z",
	    IS_SPECIAL);
	plain_is("2001-01-01t01:02:03+1:00",
	    IS_SPECIAL);
	plain_is("2001-01-01t01:02:03+1:0", "'2001-01-01t01:02:03+1:0'");
	plain_is("YeS", "'YeS'");
	plain_is("yes ", "'yes '");
	plain_is("<<<", "'<<<'");
	plain_is("==", "'=='");
}

/* Brackets, indents, aliases without end. */
static void
unterminated_text_is_a_fault(void **state)
{
	static const char *const	 pieces[] = {
		"[", "{", "{a: ", "? ", "- ", "-\n", "&a ", "*a ", "!a ", "'",
		"\"", "|\n", "a:\n ", "\n", ", ", "[a, ", "{? ", ": ", "a ",
		"\xff", "%", "---\n", "...\n", "<<: ", "\t"
	};
	struct faults	 faults;
	struct value	*v;
	char		*text;
	size_t		 i, size;

	(void)state;
	size = 50000;
	text = alloc_zero(size, 1);
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t	at, len = strlen(pieces[i]);

		memcpy(text, "x: ", 3);
		for (at = 3; at + len <= size; at += len)
			memcpy(text + at, pieces[i], len);
		fault_init(&faults, NULL);
		v = yaml_file(text, at, &faults);
		assert_non_null(v);
		assert_int_equal(v->type, VALUE_DICT);
		value_free(v);
		fault_clear(&faults);
	}
	free(text);
}

static void
sizes_and_depths_are_bounded(void **state)
{
	struct faults	 faults;
	struct value	*v;
	char		*text;
	size_t		 size;

	(void)state;
	size = YAML_FILE_MAX + 1;
	text = alloc_zero(size, 1);
	memset(text, '#', size);
	fault_init(&faults, NULL);
	v = yaml_file(text, size, &faults);
	assert_int_equal(faults.errors, 1);
	value_free(v);
	v = yaml_file(text, size - 1, &faults);
	assert_int_equal(faults.errors, 1);
	value_free(v);
	fault_clear(&faults);
	free(text);
}

/* Few bytes that stand for very many values, or for very long ones. */
static void
alias_bombs_are_refused(void **state)
{
	struct faults	 faults;
	struct value	*v;
	struct str	 s;
	int		 i, j;

	(void)state;
	str_init(&s);
	str_adds(&s, "a: &a [x, x, x, x, x, x, x, x, x, x]\n");
	for (i = 'b'; i < 'k'; i++) {
		str_addf(&s, "%c: &%c [", i, i);
		for (j = 0; j < 10; j++)
			str_addf(&s, "*%c, ", i - 1);
		str_adds(&s, "]\n");
	}
	fault_init(&faults, NULL);
	v = yaml_file(s.data, s.len, &faults);
	assert_int_equal(faults.errors, 1);
	assert_int_equal(faults.list[0].line, 6);
	value_free(v);
	fault_clear(&faults);
	str_clear(&s);

	str_adds(&s, "a: &a '");
	for (i = 0; i < 100000; i++)
		str_addc(&s, 'x');
	str_adds(&s, "'\nb:\n");
	for (i = 0; i < 1000; i++)
		str_adds(&s, "- *a\n");
	v = yaml_file(s.data, s.len, &faults);
	assert_int_equal(faults.errors, 1);
	assert_true(faults.list[0].line > 600 && faults.list[0].line < 700);
	value_free(v);
	fault_clear(&faults);
	str_clear(&s);
}

/* Many anchors, many keys: the time must not grow with their square. */
static void
many_entries_are_read(void **state)
{
	struct faults		 faults;
	struct value		*v;
	const struct value	*last;
	struct str		 s;
	char			 key[32];
	int			 i;

	(void)state;
	str_init(&s);
	for (i = 0; i < 50000; i++)
		str_addf(&s, "k%d: &a%d [%d]\n", i, i, i);
	str_adds(&s, "last: *a12345\n");
	fault_init(&faults, NULL);
	v = yaml_file(s.data, s.len, &faults);
	assert_int_equal(faults.count, 0);
	assert_int_equal(v->count, 2 * 50001);
	for (i = 0; i < 50000; i += 7) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(value_get(v, key)->items[0]->integer, i);
	}
	last = value_get(v, "last");
	assert_int_equal(last->items[0]->integer, 12345);
	/* What an alias stands for is where the mistake would be. */
	assert_int_equal(last->line, 12346);
	value_free(v);
	fault_clear(&faults);
	str_clear(&s);
}

static void
damaged_files_do_no_harm(void **state)
{
	struct mutate	m = { .random = { 19700101 } };

	(void)state;
	m.alphabet = "[]{},:?-&*!|>'\"%@#~<=.+_0123456789abefnoxyz"
	    " \n\r\t\xc3\xa4";
	mutate_add_directory(&m, "regress/fuzz/corpus/yaml");
	mutate_run(&m, 20000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(scalars_are_read_as_pyyaml_does),
		cmocka_unit_test(unterminated_text_is_a_fault),
		cmocka_unit_test(sizes_and_depths_are_bounded),
		cmocka_unit_test(alias_bombs_are_refused),
		cmocka_unit_test(many_entries_are_read),
		cmocka_unit_test(damaged_files_do_no_harm)
	};

	return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
