#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "ctl/duration.h"
#include "lib/num.h"

#define SECONDS_MAX	(10 * INT64_C(366) * 86400)

int64_t
duration_length(const char *word)
{
	static const struct {
		char	letter;
		int64_t	seconds;
	} units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 7 * 86400 }
	};
	size_t	i, len = strlen(word);
	int64_t	unit = 1, n;

	for (i = 0; len > 1 && i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == word[len - 1]) {
			unit = units[i].seconds;
			len--;
			break;
		}
	if (num_parse(word, len, 1, SECONDS_MAX / unit, &n) == -1)
		return -1;
	return n * unit;
}

/* Reads exactly `len` digits. */
static bool
parse_digits(const char *s, size_t len, int64_t max, int *out)
{
	int64_t	n;

	if (strspn(s, "0123456789") < len ||
	    num_parse(s, len, 0, max, &n) == -1)
		return false;
	*out = (int)n;
	return true;
}

/* "06:00" or "6:00" */
static bool
parse_clock(const char *word, struct tm *tm)
{
	size_t	hour = strcspn(word, ":");

	if (hour < 1 || hour > 2 || strlen(word) != hour + 3 ||
	    !parse_digits(word, hour, 23, &tm->tm_hour) ||
	    !parse_digits(word + hour + 1, 2, 59, &tm->tm_min))
		return false;
	tm->tm_sec = 0;
	return true;
}

/* "2026-12-24" */
static bool
parse_date(const char *word, struct tm *tm)
{
	int	year, month;

	if (strlen(word) != 10 || word[4] != '-' || word[7] != '-' ||
	    !parse_digits(word, 4, 9999, &year) ||
	    !parse_digits(word + 5, 2, 12, &month) ||
	    !parse_digits(word + 8, 2, 31, &tm->tm_mday) ||
	    month == 0 || tm->tm_mday == 0 || year < 1970)
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return true;
}

/* The number of a weekday, "Mon" or "monday"; -1: it is not one. */
static int
parse_weekday(const char *word)
{
	static const char	*const names[] = {
		"sunday", "monday", "tuesday", "wednesday", "thursday",
		"friday", "saturday"
	};
	size_t	len = strlen(word);
	int	i;

	for (i = 0; i < 7 && len >= 3; i++)
		if (len <= strlen(names[i]) &&
		    strncasecmp(names[i], word, len) == 0 &&
		    (len == 3 || len == strlen(names[i])))
			return i;
	return -1;
}

/*
 * "2026-12-24" or "2026-12-24 06:00", at midnight without an hour: the number
 * of words used, the time in *out; 0: it is not a day.
 */
static int
parse_day(char *const *words, int n, time_t *out)
{
	struct tm	tm;
	int		day, used;

	memset(&tm, 0, sizeof(tm));
	tm.tm_isdst = -1;
	if (!parse_date(words[0], &tm))
		return 0;
	used = n > 1 && parse_clock(words[1], &tm) ? 2 : 1;
	day = tm.tm_mday;
	*out = mktime(&tm);
	/* mktime(3) would turn the 30th of February into another day. */
	return tm.tm_mday == day ? used : 0;
}

/*
 * Reads the time after "until": the number of words used, the time in *out; 0:
 * it is not a time.
 */
static int
parse_time(char *const *words, int n, time_t now, time_t *out)
{
	struct tm	today, tm;
	int		day, used = 0;

	if (n == 0 || localtime_r(&now, &today) == NULL)
		return 0;
	tm = today;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	if ((used = parse_day(words, n, out)) > 0)
		return *out > now ? used : 0;
	if ((day = parse_weekday(words[0])) != -1) {
		used = n > 1 && parse_clock(words[1], &tm) ? 2 : 1;
		tm.tm_mday += (day - today.tm_wday + 7) % 7;
		if ((*out = mktime(&tm)) <= now) {
			tm.tm_mday += 7;
			tm.tm_isdst = -1;
			*out = mktime(&tm);
		}
		return used;
	}
	if (!parse_clock(words[0], &tm))
		return 0;
	if ((*out = mktime(&tm)) <= now) {
		tm.tm_mday++;
		tm.tm_isdst = -1;
		*out = mktime(&tm);
	}
	return 1;
}

int
duration_parse(struct str *out, char *const *words, int n, time_t now)
{
	struct str	 text;
	char		*list[8], *p, *word;
	int64_t		 seconds;
	time_t		 at;
	size_t		 digits;
	int		 i, j, count, used = 0;

	if (n == 0)
		return 0;
	if (strcmp(words[0], "forever") == 0) {
		str_adds(out, words[0]);
		return 1;
	}
	if ((seconds = duration_length(words[0])) != -1) {
		str_addf(out, "@%" PRId64, (int64_t)now + seconds);
		return 1;
	}
	if (strncmp(words[0], "until", 5) != 0)
		return 0;
	/*
	 * Tries as many words as a time can have: "until", a day, an hour. Each
	 * may have blanks in it.
	 */
	for (i = n < 3 ? n : 3; i > 0 && used == 0; i--) {
		str_init(&text);
		for (j = 0; j < i; j++)
			str_addf(&text, "%s%s", j > 0 ? " " : "", words[j]);
		p = text.data;
		count = 0;
		while (count < 8 && (word = strsep(&p, " ")) != NULL)
			if (*word != '\0')
				list[count++] = word;
		if (count > 1 && strcmp(list[0], "until") == 0 &&
		    parse_time(list + 1, count - 1, now, &at) == count - 1) {
			str_addf(out, "@%" PRId64, (int64_t)at);
			used = i;
		}
		str_clear(&text);
	}
	/*
	 * A malformed time must not be taken for the word after the duration.
	 */
	if (used > 0 && used < n) {
		digits = strspn(words[used], "0123456789");
		if (digits > 0 && words[used][digits] == ':')
			return 0;
	}
	return used;
}

int
duration_since(struct str *out, char *const *words, int n, time_t now)
{
	int64_t	ago;
	time_t	at;
	int	used;

	if (n == 0)
		return 0;
	if ((ago = duration_length(words[0])) != -1 && ago < (int64_t)now) {
		str_addf(out, "@%" PRId64, (int64_t)now - ago);
		return 1;
	}
	used = parse_day(words, n, &at);
	if (used == 0 || at <= 0 || at > now)
		return 0;
	str_addf(out, "@%" PRId64, (int64_t)at);
	return used;
}
