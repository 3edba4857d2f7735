#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ipc/wire.h"
#include "random.h"

static void
strings_follow_their_length(void **state)
{
	static const uint32_t	lens[] = { 3, 0, 2 };
	static const char	*const texts[] = { "a\0b", "", "hi" };
	struct str		s;
	size_t			i, at = 0;

	(void)state;
	str_init(&s);
	wire_put_bytes(&s, "a\0b", 3);
	wire_put_text(&s, "");
	wire_put_text(&s, "hi");
	for (i = 0; i < 3; i++) {
		assert_memory_equal(s.data + at, &lens[i], 4);
		assert_memory_equal(s.data + at + 4, texts[i], lens[i]);
		at += 4 + lens[i];
	}
	assert_int_equal(s.len, at);
	str_clear(&s);
}

static void
values_are_read_as_they_were_written(void **state)
{
	struct wire	 w;
	struct str	 s;
	const void	*p;
	char		 text[6];
	size_t		 len;

	(void)state;
	str_init(&s);
	wire_put_u8(&s, UINT8_MAX);
	wire_put_u32(&s, UINT32_MAX);
	wire_put_u64(&s, UINT64_MAX);
	wire_put_i64(&s, INT64_MIN);
	wire_put_i64(&s, INT64_MAX);
	wire_put_i64(&s, -1);
	wire_put_i64(&s, 42);
	wire_put_u8(&s, true);
	wire_put_u8(&s, false);
	wire_put_bytes(&s, "a\0b", 3);
	wire_put_text(&s, "");
	wire_put_text(&s, "hello");
	wire_init(&w, s.data, s.len);
	assert_int_equal(wire_get_u8(&w), UINT8_MAX);
	assert_true(wire_get_u32(&w) == UINT32_MAX);
	assert_true(wire_get_u64(&w) == UINT64_MAX);
	assert_true(wire_get_i64(&w) == INT64_MIN);
	assert_true(wire_get_i64(&w) == INT64_MAX);
	assert_int_equal(wire_get_i64(&w), -1);
	assert_int_equal(wire_get_range(&w, 42, 42), 42);
	assert_true(wire_get_bool(&w));
	assert_false(wire_get_bool(&w));
	p = wire_get_bytes(&w, 3, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(p, "a\0b", 3);
	wire_get_array(&w, text, 1);
	assert_string_equal(text, "");
	assert_false(w.bad);
	assert_int_equal(wire_done(&w), -1);
	assert_int_equal(errno, EBADMSG);
	wire_get_array(&w, text, 6);
	assert_string_equal(text, "hello");
	assert_int_equal(wire_done(&w), 0);
	str_clear(&s);
}

static void
broken_for_good(struct wire *w)
{
	size_t	len = 99;
	char	text[10] = "text";

	assert_true(w->bad);
	assert_int_equal(wire_get_u8(w), 0);
	assert_int_equal(wire_get_u32(w), 0);
	assert_int_equal(wire_get_i64(w), 0);
	assert_int_equal(wire_get_range(w, 5, 6), 0);
	assert_false(wire_get_bool(w));
	assert_non_null(wire_get_bytes(w, 10, &len));
	assert_int_equal(len, 0);
	wire_get_array(w, text, sizeof(text));
	assert_string_equal(text, "");
	errno = 0;
	assert_int_equal(wire_done(w), -1);
	assert_int_equal(errno, EBADMSG);
}

/* Each get on one byte less than it needs, and on nothing. */
static void
short_messages_are_refused(void **state)
{
	static const unsigned char	zeros[8];
	struct wire			w;
	size_t				len;
	char				text[10];

	(void)state;
	wire_init(&w, NULL, 0);
	assert_int_equal(wire_done(&w), 0);
	assert_int_equal(wire_get_u8(&w), 0);
	broken_for_good(&w);
	wire_init(&w, zeros, 1);
	assert_null(wire_take(&w, 2));
	broken_for_good(&w);
	wire_init(&w, zeros, 3);
	assert_int_equal(wire_get_u32(&w), 0);
	broken_for_good(&w);
	wire_init(&w, zeros, 7);
	assert_int_equal(wire_get_u64(&w), 0);
	broken_for_good(&w);
	wire_init(&w, zeros, 7);
	assert_int_equal(wire_get_i64(&w), 0);
	broken_for_good(&w);
	wire_init(&w, zeros, 3);
	assert_non_null(wire_get_bytes(&w, 10, &len));
	broken_for_good(&w);
	wire_init(&w, zeros, 3);
	wire_get_array(&w, text, sizeof(text));
	broken_for_good(&w);
}

/* Three bytes with any length before them. */
static void
string(struct wire *w, struct str *s, uint32_t len, const char *three)
{
	s->len = 0;
	wire_put_u32(s, len);
	str_add(s, three, 3);
	wire_init(w, s->data, s->len);
}

static void
values_out_of_range_are_refused(void **state)
{
	struct wire	w;
	struct str	s;
	size_t		len;
	char		text[10];

	(void)state;
	str_init(&s);
	wire_put_i64(&s, 11);
	wire_init(&w, s.data, s.len);
	assert_int_equal(wire_get_range(&w, 0, 10), 0);
	broken_for_good(&w);
	wire_init(&w, s.data, s.len);
	assert_int_equal(wire_get_range(&w, 12, 13), 0);
	broken_for_good(&w);
	wire_init(&w, "\2", 1);
	assert_false(wire_get_bool(&w));
	broken_for_good(&w);
	/* Longer than allowed, longer than there is, longer than anything. */
	string(&w, &s, 3, "abc");
	wire_get_bytes(&w, 2, &len);
	broken_for_good(&w);
	string(&w, &s, 4, "abc");
	wire_get_bytes(&w, 10, &len);
	broken_for_good(&w);
	string(&w, &s, UINT32_MAX - 1, "abc");
	wire_get_bytes(&w, SIZE_MAX, &len);
	broken_for_good(&w);
	string(&w, &s, 3, "abc");
	wire_get_array(&w, text, 3);
	broken_for_good(&w);
	string(&w, &s, 3, "a\0c");
	wire_get_array(&w, text, sizeof(text));
	broken_for_good(&w);
	wire_init(&w, "abc", 3);
	wire_fail(&w);
	broken_for_good(&w);
	str_clear(&s);
}

/*
 * Bytes at random, read at random: never past the end, and a fault stays one.
 */
static void
random_bytes_do_no_harm(void **state)
{
	struct random	 r = { 21 };
	struct wire	 w;
	uint8_t		*in, some[2];
	char		 text[20];
	const uint8_t	*p;
	size_t		 len, n, i;
	int		 round;
	bool		 bad;

	(void)state;
	for (round = 0; round < 20000; round++) {
		len = random_below(&r, 40);
		/* Its own allocation, so that a sanitizer sees the end. */
		in = malloc(len + 1);
		assert_non_null(in);
		for (i = 0; i < len; i++)
			in[i] = random_below(&r, 3) == 0 ?
			    (uint8_t)random_next(&r) :
			    (uint8_t)random_below(&r, 4);
		in = realloc(in, len > 0 ? len : 1);
		assert_non_null(in);
		wire_init(&w, in, len);
		while (!w.bad && w.left > 0) {
			bad = w.bad;
			switch (random_below(&r, 7)) {
			case 0:
				wire_get_u8(&w);
				break;
			case 1:
				wire_get(&w, some, sizeof(some));
				break;
			case 2:
				wire_get_range(&w, -1, 1000);
				break;
			case 3:
				wire_get_bool(&w);
				break;
			case 4:
				p = wire_get_bytes(&w, 20, &n);
				assert_true(n <= 20);
				if (!w.bad)
					assert_true(p >= in &&
					    p + n <= in + len);
				break;
			case 5:
				wire_get_array(&w, text, sizeof(text));
				assert_true(memchr(text, '\0',
				    sizeof(text)) != NULL);
				break;
			default:
				wire_get_u64(&w);
			}
			assert_true(w.bad || !bad);
			assert_true(w.left <= len);
		}
		assert_int_equal(wire_done(&w), w.bad ? -1 : 0);
		free(in);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(strings_follow_their_length),
		cmocka_unit_test(values_are_read_as_they_were_written),
		cmocka_unit_test(short_messages_are_refused),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(random_bytes_do_no_harm)
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
