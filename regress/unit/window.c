#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/num.h"
#include "lib/window.h"
#include "random.h"

#define START	INT64_C(1700000000)

/* --- the model: every record kept, everything added up every time --- */

#define MODEL_MAX	6000

struct model {
	size_t	count;
	int64_t	when[MODEL_MAX];
	int64_t	amount[MODEL_MAX];
};

static void
model_add(struct model *m, int64_t when, int64_t amount)
{
	assert_true(m->count < MODEL_MAX);
	m->when[m->count] = when;
	m->amount[m->count++] = amount;
}

static int64_t
model_used(const struct model *m, int64_t seconds, int64_t now)
{
	int64_t	used = 0;
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (m->when[i] >= now - seconds &&
		    m->when[i] <= now + WINDOW_SKEW)
			used += m->amount[i];
	return used;
}

static int
model_full(const struct model *m, const struct limits *limits, int64_t amount,
    int64_t now)
{
	size_t	i;

	for (i = 0; i < limits->count; i++)
		if (model_used(m, limits->list[i].seconds, now) + amount >
		    limits->list[i].mails)
			return (int)i;
	return -1;
}

/* Second by second, until the longest window is past all. */
static int64_t
model_retry_after(const struct model *m, const struct limits *limits,
    int64_t amount, int64_t now)
{
	int64_t	at, end = now;
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (m->when[i] > end)
			end = m->when[i];
	for (at = now; at <= end + 302; at++)
		if (model_full(m, limits, amount, at) == -1)
			return at - now;
	return -1;
}

static void
model_forget(struct model *m, int64_t before)
{
	size_t	i, kept = 0;

	for (i = 0; i < m->count; i++) {
		if (m->when[i] < before)
			continue;
		m->when[kept] = m->when[i];
		m->amount[kept++] = m->amount[i];
	}
	m->count = kept;
}

static int64_t
model_newest(const struct model *m)
{
	int64_t	newest = INT64_MIN, sum;
	size_t	i, j;

	for (i = 0; i < m->count; i++) {
		for (j = 0, sum = 0; j < m->count; j++)
			if (m->when[j] == m->when[i])
				sum += m->amount[j];
		if (sum != 0 && m->when[i] > newest)
			newest = m->when[i];
	}
	return newest;
}

/* --- at random --- */

struct walk {
	uint64_t	seed;
	int		steps;
	int64_t		spread;		/* times lie so far around now */
	int64_t		most;		/* amounts up to this */
	unsigned int	corrections;	/* one in so many; 0: none */
	unsigned int	leaps;		/* one step in so many: now jumps */
	int64_t		unit;		/* amounts are multiples of it */
};

static const int64_t	lengths[] = { 1, 2, 7, 10, 60, 61, 150, 300 };
#define LENGTHS	(sizeof(lengths) / sizeof(lengths[0]))

static void
check_sums(const struct window *w, const struct model *m, int64_t now)
{
	size_t	i;

	for (i = 0; i < LENGTHS; i++)
		assert_int_equal(window_used(w, lengths[i], now),
		    model_used(m, lengths[i], now));
}

/* The first limit with used + amount > mails, -1: none. *used: its sum. */
static int
first_full(const struct window *w, const struct limits *limits, int64_t amount,
    int64_t now, int64_t *used)
{
	int64_t	sum;
	size_t	i;

	for (i = 0; i < limits->count; i++) {
		sum = window_used(w, limits->list[i].seconds, now);
		if (num_add_clamp(sum, amount) > limits->list[i].mails) {
			if (used != NULL)
				*used = sum;
			return (int)i;
		}
	}
	return -1;
}

static void
check_limits(const struct window *w, const struct model *m, struct random *r,
    const struct walk *walk, int64_t now)
{
	struct limit	list[3];
	struct limits	limits = { 0, list };
	int64_t		amount, used = -77;
	int		full;

	limits.count = random_below(r, 4);
	for (full = 0; full < (int)limits.count; full++) {
		list[full].mails = walk->unit *
		    random_from(r, 0, walk->most * 12);
		list[full].seconds = lengths[random_below(r, LENGTHS)];
	}
	amount = random_from(r, 0, walk->most * 2) * walk->unit;
	full = first_full(w, &limits, amount, now, &used);
	assert_int_equal(full, model_full(m, &limits, amount, now));
	if (full == -1)
		assert_int_equal(used, -77);
	else
		assert_int_equal(used, model_used(m, list[full].seconds, now));
	assert_int_equal(window_retry_after(w, &limits, amount, now),
	    model_retry_after(m, &limits, amount, now));
}

static void
check_walk(const struct walk *walk)
{
	struct random	 r = { walk->seed };
	struct model	*m;
	struct window	 w[1];
	int64_t		 now = START, when, amount;
	int		 step;

	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	window_init(w);
	for (step = 0; step < walk->steps; step++) {
		now += random_from(&r, 0, 3);
		if (walk->leaps != 0 && random_below(&r, walk->leaps) == 0)
			now += random_from(&r, -walk->spread, walk->spread);
		when = now;
		if (random_below(&r, 3) == 0)
			when += random_from(&r, -walk->spread, walk->spread);
		amount = random_from(&r, 1, walk->most);
		if (walk->corrections != 0 &&
		    random_below(&r, walk->corrections) == 0)
			amount = -amount;
		window_add(w, when, amount * walk->unit);
		model_add(m, when, amount * walk->unit);
		check_sums(w, m, now);
		if (step % 8 == 0)
			check_limits(w, m, &r, walk, now);
		if (step % 16 == 0)
			assert_int_equal(window_newest(w), model_newest(m));
		if (random_below(&r, 20) == 0) {
			when = now - random_from(&r, 0, 2 * walk->spread);
			window_forget(w, when);
			model_forget(m, when);
			check_sums(w, m, now);
		}
		if (random_below(&r, 500) == 0) {
			window_forget(w, INT64_MAX);
			model_forget(m, INT64_MAX);
			assert_int_equal(window_newest(w), INT64_MIN);
		}
	}
	window_clear(w);
	free(m);
}

static void
as_the_model_in_order(void **state)
{
	static const struct walk	walk = {
		.seed = 1, .steps = 6000, .spread = 0, .most = 5, .unit = 1
	};

	(void)state;
	check_walk(&walk);
}

static void
as_the_model_out_of_order(void **state)
{
	static const struct walk	walk = {
		.seed = 2, .steps = 8000, .spread = 90, .most = 5, .unit = 1
	};

	(void)state;
	check_walk(&walk);
}

static void
as_the_model_with_corrections(void **state)
{
	static const struct walk	walk = {
		.seed = 3, .steps = 8000, .spread = 90, .most = 3,
		.corrections = 3, .unit = 1
	};

	(void)state;
	check_walk(&walk);
}

static void
a_clock_that_steps_back_is_harmless(void **state)
{
	static const struct walk	walk = {
		.seed = 4, .steps = 8000, .spread = 200, .most = 4,
		.corrections = 9, .leaps = 5, .unit = 1
	};

	(void)state;
	check_walk(&walk);
}

/* Bytes, say: the sums leave 32 bits now and then. */
static void
as_the_model_large(void **state)
{
	static const struct walk	walk = {
		.seed = 5, .steps = 8000, .spread = 90, .most = 40,
		.corrections = 6, .leaps = 50, .unit = 50000000
	};

	(void)state;
	check_walk(&walk);
}

static void
as_the_model_huge(void **state)
{
	static const struct walk	walk = {
		.seed = 6, .steps = 4000, .spread = 90, .most = 40,
		.corrections = 6, .leaps = 50, .unit = INT64_C(12345678901234)
	};

	(void)state;
	check_walk(&walk);
}

/* --- by hand --- */

static void
an_empty_window_has_room(void **state)
{
	struct limit	list[] = { { 0, 60 }, { 1, 60 } };
	struct limits	none = { 0, NULL }, zero = { 1, list };
	struct limits	one = { 1, list + 1 };
	struct window	 w[1];
	int64_t		 used = -1;

	(void)state;
	window_init(w);
	assert_int_equal(window_used(w, 60, START), 0);
	assert_int_equal(window_newest(w), INT64_MIN);
	assert_int_equal(first_full(w, &none, INT64_MAX, START, NULL), -1);
	assert_int_equal(first_full(w, &one, 1, START, NULL), -1);
	assert_int_equal(first_full(w, &one, 2, START, NULL), 0);
	assert_int_equal(first_full(w, &zero, 0, START, NULL), -1);
	assert_int_equal(first_full(w, &zero, 1, START, &used), 0);
	assert_int_equal(used, 0);
	assert_int_equal(window_retry_after(w, &none, 5, START), 0);
	assert_int_equal(window_retry_after(w, &one, 1, START), 0);
	assert_int_equal(window_retry_after(w, &one, 2, START), -1);
	window_forget(w, START);
	window_add(w, START, 0);
	assert_int_equal(window_newest(w), INT64_MIN);
	window_clear(w);
}

/* date >= floor(now) - seconds: a record counts for `seconds` and one more. */
static void
a_mail_counts_up_to_the_edge(void **state)
{
	struct limit	 list[] = { { 3, 60 }, { 10, 100 } };
	struct limits	 limits = { 2, list };
	struct window	 w[1];

	(void)state;
	window_init(w);
	window_add(w, START, 3);
	assert_int_equal(window_used(w, 60, START + 60), 3);
	assert_int_equal(window_used(w, 60, START + 61), 0);
	assert_int_equal(window_used(w, 60, START - 1000), 3);
	assert_int_equal(window_retry_after(w, &limits, 1, START), 61);
	assert_int_equal(window_retry_after(w, &limits, 1, START + 60), 1);
	assert_int_equal(window_retry_after(w, &limits, 1, START + 61), 0);
	assert_int_equal(window_retry_after(w, &limits, 4, START), -1);
	window_clear(w);
}

/*
 * What frees one window fills no other, but a correction that leaves one does.
 */
static void
retry_after_is_that_of_all_windows(void **state)
{
	struct limit	 list[] = { { 5, 10 }, { 5, 100 } };
	struct limits	 limits = { 2, list };
	struct window	 w[1];

	(void)state;
	window_init(w);
	window_add(w, START, 5);
	assert_int_equal(window_retry_after(w, &limits, 1, START), 101);
	window_add(w, START - 95, -4);
	/*
	 * 10 s: fits from START + 11. 100 s: 1 used until the correction
	 * leaves, at START + 6; full from then until START + 101.
	 */
	assert_int_equal(window_used(w, 100, START), 1);
	assert_int_equal(window_retry_after(w, &limits, 1, START), 101);
	window_clear(w);
}

static void
a_second_of_sum_zero_is_dropped(void **state)
{
	struct window	 w[1];

	(void)state;
	window_init(w);
	window_add(w, START, 4);
	window_add(w, START + 1, 2);
	window_add(w, START + 1, -2);
	assert_int_equal(window_newest(w), START);
	window_add(w, START, -4);
	assert_int_equal(window_newest(w), INT64_MIN);
	window_add(w, START, -4);
	assert_int_equal(window_newest(w), START);
	assert_int_equal(window_used(w, 1, START), -4);
	window_clear(w);
}

/* The day's window over a day full of mails, against one added up by hand. */
static void
a_window_of_a_day_is_exact(void **state)
{
	struct window	 w[1];
	int64_t		 t, sum = 0;

	(void)state;
	window_init(w);
	for (t = 0; t < 100000; t++) {
		window_add(w, START + t, t % 7 + 1);
		sum += t % 7 + 1;
		if (t > 86400)
			sum -= (t - 86401) % 7 + 1;
		assert_int_equal(window_used(w, 86400, START + t), sum);
		if (t % 1000 == 0)
			window_forget(w, START + t - 86400);
	}
	assert_true(window_memory(w) < 3 * 8 * 86400);
	window_forget(w, START + 99999);
	assert_true(window_memory(w) <= 128);
	assert_int_equal(window_used(w, 60, START + 99999), 99999 % 7 + 1);
	window_clear(w);
}

static void
a_small_window_takes_little_memory(void **state)
{
	struct window	 w[1];
	int		 i;

	(void)state;
	window_init(w);
	for (i = 0; i < 1000; i++)
		window_add(w, START + i % 5, 1);
	assert_true(window_memory(w) <= 100);
	window_forget(w, INT64_MAX);
	/* Time goes by, the window stays small. */
	for (i = 0; i < 10000; i++) {
		window_add(w, START + i, 2);
		window_forget(w, START + i - 3);
		assert_true(window_memory(w) <= 100);
		assert_int_equal(window_used(w, 3, START + i),
		    i < 3 ? 2 * (i + 1) : 8);
	}
	window_clear(w);
}

/*
 * What is forgotten weighs no more: large amounts, one after the other, stay
 * narrow.
 */
static void
a_forgotten_second_does_not_count(void **state)
{
	struct window	 w[1];
	size_t		 small;
	int		 i;

	(void)state;
	window_init(w);
	small = window_memory(w);
	for (i = 0; i < 100; i++) {
		window_add(w, START + i, 1000000000);
		window_forget(w, START + i);
		assert_int_equal(window_memory(w), small);
		window_add(w, START + i, -500000000);
		assert_int_equal(window_used(w, 60, START + i), 500000000);
	}
	window_clear(w);
}

/* Descending and shuffled insertion end in the same sums. */
static void
the_order_of_adding_does_not_matter(void **state)
{
	struct window	 up[1], down[1], mixed[1];
	int64_t		 i;

	(void)state;
	window_init(up);
	window_init(down);
	window_init(mixed);
	for (i = 0; i < 997; i++) {
		window_add(up, START + i, i + 1);
		window_add(down, START + 996 - i, 997 - i);
		window_add(mixed, START + i * 501 % 997, i * 501 % 997 + 1);
	}
	for (i = 0; i <= 1000; i++) {
		assert_int_equal(window_used(up, i, START + 996),
		    window_used(down, i, START + 996));
		assert_int_equal(window_used(up, i, START + 996),
		    window_used(mixed, i, START + 996));
	}
	assert_int_equal(window_used(up, 996, START + 996), 997 * 998 / 2);
	window_clear(up);
	window_clear(down);
	window_clear(mixed);
}

static void
times_far_apart(void **state)
{
	static const int64_t	times[] = {
		INT64_MIN, INT64_MIN + 1, -1, 0, START,
		START + (INT64_C(1) << 32), INT64_MAX - 1, INT64_MAX
	};
	struct limit		 list[] = { { 10, INT64_MAX } };
	struct limits		 limits = { 1, list };
	struct window		 w[1];
	size_t			 first, i, n = sizeof(times) / sizeof(times[0]);

	(void)state;
	for (first = 0; first < n; first++) {
		window_init(w);
		for (i = 0; i < n; i++)
			window_add(w, times[(first + i) % n], 2);
		assert_int_equal(window_newest(w), INT64_MAX);
		assert_int_equal(window_used(w, 1, START), 2);
		assert_int_equal(window_used(w, INT64_MAX, INT64_MIN), 4);
		assert_int_equal(window_used(w, INT64_MAX, INT64_MAX), 10);
		assert_int_equal(window_retry_after(w, &limits, 3, INT64_MAX),
		    -1);
		window_forget(w, 1);
		assert_int_equal(window_used(w, INT64_MAX, INT64_MAX), 8);
		window_forget(w, INT64_MAX);
		assert_int_equal(window_used(w, INT64_MAX, INT64_MAX), 2);
		window_clear(w);
	}
}

/* A clock was wrong: what it dated counts only once its time is near. */
static void
more_than_a_day_ahead_never_counts(void **state)
{
	struct limit	list[] = { { 5, 60 } };
	struct limits	limits = { 1, list };
	struct window	w[1];

	(void)state;
	window_init(w);
	window_add(w, START + WINDOW_SKEW, 1);
	window_add(w, START + WINDOW_SKEW + 1, 9);
	assert_int_equal(window_used(w, 60, START), 1);
	assert_int_equal(first_full(w, &limits, 4, START, NULL), -1);
	assert_int_equal(window_retry_after(w, &limits, 4, START), 0);
	window_add(w, START, 3);
	assert_int_equal(window_used(w, 60, START), 4);
	assert_int_equal(window_used(w, 60, START + 1), 13);
	/* The first is free again once all of it is past. */
	assert_int_equal(window_retry_after(w, &limits, 2, START),
	    WINDOW_SKEW + 62);
	window_clear(w);
}

static void
sums_are_right_at_both_ends(void **state)
{
	struct limit	 list[] = { { INT64_MAX, 60 } };
	struct limits	 limits = { 1, list };
	struct window	 w[1];
	int64_t		 used;

	(void)state;
	window_init(w);
	window_add(w, START, INT64_MAX);
	window_add(w, START, INT64_MAX);
	assert_int_equal(window_used(w, 60, START), INT64_MAX);
	window_add(w, START + 1, INT64_MAX);
	assert_int_equal(window_used(w, 60, START), INT64_MAX);
	assert_int_equal(first_full(w, &limits, INT64_MAX, START, &used), -1);
	window_add(w, START, -INT64_MAX);
	assert_int_equal(window_used(w, 60, START), 0);
	window_add(w, START, INT64_MIN);
	assert_int_equal(window_used(w, 60, START), -INT64_MAX);
	window_clear(w);
}

/* Wide for one large amount, narrow again once it was empty. */
static void
a_wide_window_becomes_narrow_again(void **state)
{
	struct window	 w[1];
	size_t		 small;

	(void)state;
	window_init(w);
	small = window_memory(w);
	window_add(w, START, 1);
	window_add(w, START + 1, INT32_MAX);
	assert_int_equal(window_used(w, 60, START), INT64_C(1) + INT32_MAX);
	assert_true(window_memory(w) > small);
	window_add(w, START + 1, -INT64_C(2) * INT32_MAX);
	assert_int_equal(window_used(w, 60, START), INT64_C(1) - INT32_MAX);
	window_forget(w, START + 2);
	assert_int_equal(window_memory(w), small);
	window_add(w, START, INT32_MAX);
	assert_int_equal(window_memory(w), small);
	assert_int_equal(window_used(w, 60, START), INT32_MAX);
	window_clear(w);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(an_empty_window_has_room),
		cmocka_unit_test(a_mail_counts_up_to_the_edge),
		cmocka_unit_test(retry_after_is_that_of_all_windows),
		cmocka_unit_test(a_second_of_sum_zero_is_dropped),
		cmocka_unit_test(a_window_of_a_day_is_exact),
		cmocka_unit_test(a_small_window_takes_little_memory),
		cmocka_unit_test(a_forgotten_second_does_not_count),
		cmocka_unit_test(the_order_of_adding_does_not_matter),
		cmocka_unit_test(times_far_apart),
		cmocka_unit_test(more_than_a_day_ahead_never_counts),
		cmocka_unit_test(sums_are_right_at_both_ends),
		cmocka_unit_test(a_wide_window_becomes_narrow_again),
		cmocka_unit_test(as_the_model_in_order),
		cmocka_unit_test(as_the_model_out_of_order),
		cmocka_unit_test(as_the_model_with_corrections),
		cmocka_unit_test(a_clock_that_steps_back_is_harmless),
		cmocka_unit_test(as_the_model_large),
		cmocka_unit_test(as_the_model_huge)
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
