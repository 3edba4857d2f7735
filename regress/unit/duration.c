#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ctl/duration.h"

/* Saturday, the 28th of November 2026, 12:00:00 UTC. */
#define NOW	INT64_C(1795867200)
#define MIDNIGHT (NOW - 43200)		/* before it */
#define HOUR	3600
#define DAY	86400
#define MOST	(10 * INT64_C(366) * DAY)
#define WORDS	5

/* `used` of these words are a duration, which ends at `until`; 0: for ever. */
struct duration_case {
	const char	*words[WORDS];
	int		 used;
	int64_t		 until;
};

static void
zone(const char *name)
{
	assert_int_equal(setenv("TZ", name, 1), 0);
	tzset();
}

static void
check(const struct duration_case *c, time_t now)
{
	char		*words[WORDS], want[32] = "forever";
	struct str	 out;
	int		 n;

	for (n = 0; n < WORDS && c->words[n] != NULL; n++)
		assert_non_null(words[n] = strdup(c->words[n]));
	str_init(&out);
	if (duration_parse(&out, words, n, now) != c->used)
		fail_msg("%s %s %s: %s", c->words[0], n > 1 ? words[1] : "",
		    n > 2 ? words[2] : "", out.len > 0 ? out.data : "none");
	if (c->used > 0) {
		if (c->until > 0)
			snprintf(want, sizeof(want), "@%" PRId64, c->until);
		assert_string_equal(out.data, want);
	}
	str_clear(&out);
	while (n-- > 0)
		free(words[n]);
}

static void
check_all(const struct duration_case *cases, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		check(&cases[i], NOW);
}

#define ALL(cases)	check_all(cases, sizeof(cases) / sizeof(cases[0]))

static void
lengths_are_parsed(void **state)
{
	static const struct duration_case	cases[] = {
		{ { "1" }, 1, NOW + 1 },
		{ { "3600" }, 1, NOW + HOUR },
		{ { "90s" }, 1, NOW + 90 },
		{ { "15m" }, 1, NOW + 15 * 60 },
		{ { "2h", "spam" }, 1, NOW + 2 * HOUR },
		{ { "3d" }, 1, NOW + 3 * DAY },
		{ { "2w" }, 1, NOW + 14 * DAY },
		{ { "3660d" }, 1, NOW + MOST },
		{ { "316224000" }, 1, NOW + MOST },
		{ { "forever" }, 1, 0 },
		{ { "forever", "until", "06:00" }, 1, 0 },
	};

	(void)state;
	zone("UTC0");
	ALL(cases);
}

static void
clock_times_are_parsed(void **state)
{
	static const struct duration_case	cases[] = {
		{ { "until", "12:01" }, 2, NOW + 60 },
		{ { "until", "12:00" }, 2, NOW + DAY },
		{ { "until", "06:00" }, 2, MIDNIGHT + DAY + 6 * HOUR },
		{ { "until", "6:00" }, 2, MIDNIGHT + DAY + 6 * HOUR },
		{ { "until", "00:00" }, 2, MIDNIGHT + DAY },
		{ { "until", "23:59", "why" }, 2, MIDNIGHT + DAY - 60 },
		{ { "until 06:00" }, 1, MIDNIGHT + DAY + 6 * HOUR },
		{ { "until  06:00 ", "why" }, 1, MIDNIGHT + DAY + 6 * HOUR },
		{ { "until", "Mon" }, 2, MIDNIGHT + 2 * DAY },
		{ { "until", "monday" }, 2, MIDNIGHT + 2 * DAY },
		{ { "until", "Mon", "06:00" }, 3,
		    MIDNIGHT + 2 * DAY + 6 * HOUR },
		{ { "until", "MON", "6:30", "why" }, 3,
		    MIDNIGHT + 2 * DAY + 6 * HOUR + 1800 },
		{ { "until Mon 06:00" }, 1, MIDNIGHT + 2 * DAY + 6 * HOUR },
		{ { "until Mon", "06:00" }, 2,
		    MIDNIGHT + 2 * DAY + 6 * HOUR },
		{ { "until", "Mon", "why" }, 2, MIDNIGHT + 2 * DAY },
		{ { "until", "Sat" }, 2, MIDNIGHT + 7 * DAY },
		{ { "until", "Sat", "12:30" }, 3, NOW + 1800 },
		{ { "until", "Sat", "11:30" }, 3, NOW + 7 * DAY - 1800 },
		{ { "until", "2026-12-24" }, 2, MIDNIGHT + 26 * DAY },
		{ { "until", "2026-12-24", "18:00" }, 3,
		    MIDNIGHT + 26 * DAY + 18 * HOUR },
		{ { "until", "2028-02-29" }, 2, INT64_C(1835395200) },
		{ { "until", "2026-11-28", "12:01" }, 3, NOW + 60 },
	};

	(void)state;
	zone("UTC0");
	ALL(cases);
}

static void
other_texts_are_no_durations(void **state)
{
	static const struct duration_case	cases[] = {
		{ { NULL }, 0, 0 },
		{ { "" }, 0, 0 },
		{ { "0" }, 0, 0 },
		{ { "0d" }, 0, 0 },
		{ { "-1" }, 0, 0 },
		{ { "+1" }, 0, 0 },
		{ { " 1" }, 0, 0 },
		{ { "1.5h" }, 0, 0 },
		{ { "h" }, 0, 0 },
		{ { "1y" }, 0, 0 },
		{ { "1H" }, 0, 0 },
		{ { "1hh" }, 0, 0 },
		{ { "0x10" }, 0, 0 },
		{ { "3661d" }, 0, 0 },
		{ { "316224001" }, 0, 0 },
		{ { "99999999999999999999" }, 0, 0 },
		{ { "soon" }, 0, 0 },
		{ { "FOREVER" }, 0, 0 },
		{ { "until" }, 0, 0 },
		{ { "until", "tomorrow" }, 0, 0 },
		{ { "untilMon" }, 0, 0 },
		{ { "until06:00" }, 0, 0 },
		{ { "until", "24:00" }, 0, 0 },
		{ { "until", "06:60" }, 0, 0 },
		{ { "until", "006:00" }, 0, 0 },
		{ { "until", ":00" }, 0, 0 },
		{ { "until", "06:0" }, 0, 0 },
		{ { "until", "06:00:00" }, 0, 0 },
		{ { "until", "-6:00" }, 0, 0 },
		{ { "until", "Mo" }, 0, 0 },
		{ { "until", "Mond" }, 0, 0 },
		{ { "until", "2026-11-28" }, 0, 0 },
		{ { "until", "2026-11-28", "12:00" }, 0, 0 },
		{ { "until", "1969-12-31" }, 0, 0 },
		{ { "until", "2027-02-29" }, 0, 0 },
		{ { "until", "2026-13-01" }, 0, 0 },
		{ { "until", "2026-00-01" }, 0, 0 },
		{ { "until", "2026-12-00" }, 0, 0 },
		{ { "until", "2026-12-32" }, 0, 0 },
		{ { "until", "26-12-24" }, 0, 0 },
		{ { "until", "2026/12/24" }, 0, 0 },
		/* Not a reason behind a day. */
		{ { "until", "Mon", "25:00" }, 0, 0 },
		{ { "until", "Mon", "6:0" }, 0, 0 },
		{ { "until", "2026-12-24", "18:60" }, 0, 0 },
		{ { "until", "06:00", "07:00" }, 0, 0 },
	};

	(void)state;
	zone("UTC0");
	ALL(cases);
}

/* The local clock: central Europe, where the summer ends and begins. */
static void
times_are_local(void **state)
{
	static const struct duration_case	cases[] = {
		{ { "until", "13:30" }, 2, NOW + 1800 },
		{ { "until", "12:30" }, 2, NOW + DAY - 1800 },
		/* On the 28th of March 2027 there is no 02:30. */
		{ { "until", "2027-03-28", "04:00" }, 3,
		    INT64_C(1806199200) },
		{ { "until", "2027-07-01" }, 2, INT64_C(1814392800) },
	};
	static const struct duration_case	shorter = {
		{ "until", "12:00" }, 2, INT64_C(1806145200) + 23 * HOUR
	};

	(void)state;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	ALL(cases);
	/* The day before, a day on the clock is 23 hours. */
	check(&shorter, (time_t)INT64_C(1806145200) + 60);
	zone("UTC0");
}

/* A time in the past, for policyctl forget. */
static void
times_in_the_past_are_parsed(void **state)
{
	static const struct {
		const char	*words[2];
		int		 used;
		int64_t		 at;
	} cases[] = {
		{ { "3600" }, 1, NOW - HOUR },
		{ { "2d" }, 1, NOW - 2 * DAY },
		{ { "2026-11-28" }, 1, MIDNIGHT },
		{ { "2026-11-28", "06:00" }, 2, MIDNIGHT + 6 * HOUR },
		{ { "2026-11-28", "bob" }, 1, MIDNIGHT },
		{ { "2026-11-28", "18:00" }, 0, 0 },
		{ { "2026-11-29" }, 0, 0 },
		{ { "2026-02-30" }, 0, 0 },
		{ { "yesterday" }, 0, 0 },
		{ { "0" }, 0, 0 },
		{ { "-1d" }, 0, 0 },
	};
	char		*words[2], want[32];
	struct str	 out;
	size_t		 i, j;
	int		 n;

	(void)state;
	zone("UTC0");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (n = 0; n < 2 && cases[i].words[n] != NULL; n++)
			assert_non_null(words[n] = strdup(cases[i].words[n]));
		str_init(&out);
		assert_int_equal(duration_since(&out, words, n, NOW),
		    cases[i].used);
		snprintf(want, sizeof(want), "@%" PRId64, cases[i].at);
		if (cases[i].used > 0)
			assert_string_equal(out.data, want);
		str_clear(&out);
		for (j = 0; j < (size_t)n; j++)
			free(words[j]);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(times_in_the_past_are_parsed),
		cmocka_unit_test(lengths_are_parsed),
		cmocka_unit_test(clock_times_are_parsed),
		cmocka_unit_test(other_texts_are_no_durations),
		cmocka_unit_test(times_are_local)
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
