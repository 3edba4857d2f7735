#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/syntax/scalar.h"
#include "conf/value.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/str.h"

#define SCALAR_DIGITS	"0123456789"

static const char scalar_too_large[] = "the number is too large";

static const struct {
	const char	*text;
	bool		 boolean;
} scalar_booleans[] = {
	{ "yes", true }, { "true", true }, { "on", true },
	{ "no", false }, { "false", false }, { "off", false }
};

/* --- patterns: each moves on over what it matches --- */

struct scalar {
	const char	*at;
	const char	*end;
};

static bool
scalar_end(const struct scalar *s)
{
	return s->at == s->end;
}

/* Matches one byte of the set. */
static bool
scalar_one(struct scalar *s, const char *set)
{
	if (s->at == s->end || *s->at == '\0' || strchr(set, *s->at) == NULL)
		return false;
	s->at++;
	return true;
}

/* Matches min to max bytes of the set, as many as there are. */
static bool
scalar_many(struct scalar *s, const char *set, size_t min, size_t max)
{
	size_t	n;

	for (n = 0; n < max && scalar_one(s, set); n++)
		continue;
	return n >= min;
}

static bool
scalar_word(struct scalar *s, const char *word)
{
	size_t	len;

	len = strlen(word);
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* Whether it is exactly word, Word or WORD. */
static bool
scalar_is_word(const char *p, size_t len, const char *word)
{
	bool	lower, upper, title;
	size_t	i;
	int	up;

	if (len != strlen(word))
		return false;
	lower = upper = title = true;
	for (i = 0; i < len; i++) {
		up = toupper((unsigned char)word[i]);
		lower = lower && p[i] == word[i];
		upper = upper && p[i] == up;
		title = title && p[i] == (i == 0 ? up : word[i]);
	}
	return lower || upper || title;
}

/* (?::[0-5]?[0-9])+ */
static bool
scalar_sixties(struct scalar *s)
{
	size_t	n;

	for (n = 0; !scalar_end(s) && *s->at == ':'; n++) {
		s->at++;
		if (!scalar_many(s, SCALAR_DIGITS, 1, 2))
			return false;
		if (s->at[-2] != ':' && s->at[-2] > '5')
			return false;
	}
	return n > 0;
}

static bool
scalar_is_int(const char *p, size_t len)
{
	struct scalar	s = { p, p + len };

	scalar_one(&s, "+-");
	if (scalar_word(&s, "0b"))
		return scalar_many(&s, "01_", 1, SIZE_MAX) && scalar_end(&s);
	if (scalar_word(&s, "0x"))
		return scalar_many(&s, SCALAR_DIGITS "abcdefABCDEF_", 1,
		    SIZE_MAX) && scalar_end(&s);
	if (scalar_one(&s, "0"))
		return scalar_many(&s, "01234567_", 0, SIZE_MAX) &&
		    scalar_end(&s);
	if (!scalar_one(&s, "123456789"))
		return false;
	scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX);
	return scalar_end(&s) || (scalar_sixties(&s) && scalar_end(&s));
}

/* (?:[eE][-+][0-9]+)? and the end */
static bool
scalar_exponent_end(struct scalar *s)
{
	if (scalar_end(s))
		return true;
	return scalar_one(s, "eE") && scalar_one(s, "+-") &&
	    scalar_many(s, SCALAR_DIGITS, 1, SIZE_MAX) && scalar_end(s);
}

static bool
scalar_is_float(const char *p, size_t len)
{
	struct scalar	s = { p, p + len };

	if (len > 0 && *p == '.' && scalar_is_word(p + 1, len - 1, "inf"))
		return true;
	/* The third spelling is NaN, not Nan. */
	if (len == 4 && (memcmp(p, ".nan", 4) == 0 ||
	    memcmp(p, ".NaN", 4) == 0 || memcmp(p, ".NAN", 4) == 0))
		return true;
	if (scalar_one(&s, "."))	/* this form has no sign */
		return scalar_one(&s, SCALAR_DIGITS) &&
		    scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX) &&
		    scalar_exponent_end(&s);
	scalar_one(&s, "+-");
	if (!scalar_end(&s) && *s.at == '.')
		return scalar_is_word(s.at + 1, (size_t)(s.end - s.at) - 1,
		    "inf");
	if (!scalar_one(&s, SCALAR_DIGITS))
		return false;
	scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX);
	if (!scalar_end(&s) && *s.at == ':')
		return scalar_sixties(&s) && scalar_one(&s, ".") &&
		    scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX) &&
		    scalar_end(&s);
	return scalar_one(&s, ".") &&
	    scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX) &&
	    scalar_exponent_end(&s);
}

static bool
scalar_is_time(struct scalar *s)
{
	if (!scalar_one(s, "Tt") && !scalar_many(s, " \t", 1, SIZE_MAX))
		return false;
	if (!scalar_many(s, SCALAR_DIGITS, 1, 2) || !scalar_one(s, ":") ||
	    !scalar_many(s, SCALAR_DIGITS, 2, 2) || !scalar_one(s, ":") ||
	    !scalar_many(s, SCALAR_DIGITS, 2, 2))
		return false;
	if (scalar_one(s, "."))
		scalar_many(s, SCALAR_DIGITS, 0, SIZE_MAX);
	if (scalar_end(s))
		return true;
	scalar_many(s, " \t", 0, SIZE_MAX);
	if (scalar_one(s, "Z"))
		return scalar_end(s);
	if (!scalar_one(s, "+-") || !scalar_many(s, SCALAR_DIGITS, 1, 2))
		return false;
	return scalar_end(s) || (scalar_one(s, ":") &&
	    scalar_many(s, SCALAR_DIGITS, 2, 2) && scalar_end(s));
}

static bool
scalar_is_timestamp(const char *p, size_t len)
{
	struct scalar	s = { p, p + len };
	size_t		month, day;

	if (!scalar_many(&s, SCALAR_DIGITS, 4, 4) || !scalar_one(&s, "-"))
		return false;
	month = (size_t)(s.end - s.at);
	if (!scalar_many(&s, SCALAR_DIGITS, 1, 2) || !scalar_one(&s, "-"))
		return false;
	month -= (size_t)(s.end - s.at) + 1;
	day = (size_t)(s.end - s.at);
	if (!scalar_many(&s, SCALAR_DIGITS, 1, 2))
		return false;
	day -= (size_t)(s.end - s.at);
	if (scalar_end(&s))		/* a date alone needs two digits */
		return month == 2 && day == 2;
	return scalar_is_time(&s);
}

static bool
scalar_is_null(const char *p, size_t len)
{
	return len == 0 || (len == 1 && *p == '~') ||
	    scalar_is_word(p, len, "null");
}

/* --- values of what matched --- */

/* A copy without underscores and sign; *negative: it had a minus sign. */
static char *
scalar_digits(const char *p, size_t len, bool *negative)
{
	char	*digits;
	size_t	 i, n;

	*negative = len > 0 && *p == '-';
	digits = alloc_zero(len + 1, 1);
	i = len > 0 && (*p == '-' || *p == '+') ? 1 : 0;
	for (n = 0; i < len; i++)
		if (p[i] != '_')
			digits[n++] = p[i];
	return digits;
}

static int
scalar_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return tolower(c) - 'a' + 10;
}

/*
 * Appends a digit to the number, which is kept negative, since int64_t reaches
 * further there.
 */
static int
scalar_shift(int64_t *n, int base, int digit)
{
	if (num_mul(*n, base, n) == -1)
		return -1;
	return num_sub(*n, digit, n);
}

static struct value *
scalar_int(const char *p, size_t len, const char **fault)
{
	int64_t	 n, part;
	char	*digits, *at;
	int	 base, r;
	bool	 negative;

	digits = at = scalar_digits(p, len, &negative);
	base = 10;
	if (at[0] == '0' && (at[1] == 'b' || at[1] == 'x')) {
		base = at[1] == 'b' ? 2 : 16;
		at += 2;
	} else if (at[0] == '0')
		base = 8;
	*fault = *at == '\0' ? "a number without digits" : scalar_too_large;
	r = *at == '\0' ? -1 : 0;
	for (n = part = 0; r == 0 && *at != '\0'; at++) {
		if (*at != ':')
			r = scalar_shift(&part, base, scalar_digit(*at));
		if (at[1] == ':' || at[1] == '\0') {
			if (r == 0 && (r = num_mul(n, 60, &n)) == 0)
				r = num_add(n, part, &n);
			part = 0;
		}
	}
	if (r == 0 && !negative)
		r = num_sub(0, n, &n);
	free(digits);
	return r == -1 ? NULL : value_int(n);
}

/* Sums the parts between colons, last one first, as PyYAML does. */
static double
scalar_sum(char *digits)
{
	char	*colon;
	double	 sum, base;

	sum = 0;
	base = 1;
	while ((colon = strrchr(digits, ':')) != NULL) {
		sum += strtod(colon + 1, NULL) * base;
		base *= 60;
		*colon = '\0';
	}
	return sum + strtod(digits, NULL) * base;
}

static struct value *
scalar_float(const char *p, size_t len, const char **fault)
{
	char	*digits;
	double	 d;
	bool	 negative;

	digits = scalar_digits(p, len, &negative);
	str_fold(digits, strlen(digits));
	if (strcmp(digits, ".inf") == 0)
		d = (double)INFINITY;
	else if (strcmp(digits, ".nan") == 0)
		d = (double)NAN;
	else if (isinf(d = scalar_sum(digits))) {
		*fault = scalar_too_large;
		free(digits);
		return NULL;
	}
	free(digits);
	return value_float(negative ? -d : d);
}

struct value *
scalar_plain(const char *p, size_t len, const char **fault)
{
	size_t	i;

	for (i = 0; i < sizeof(scalar_booleans) / sizeof(scalar_booleans[0]);
	    i++)
		if (scalar_is_word(p, len, scalar_booleans[i].text))
			return value_bool(scalar_booleans[i].boolean);
	if (scalar_is_null(p, len))
		return value_new(VALUE_NONE);
	if (scalar_is_float(p, len))
		return scalar_float(p, len, fault);
	if (scalar_is_int(p, len))
		return scalar_int(p, len, fault);
	if (scalar_is_timestamp(p, len)) {
		*fault = "YAML takes this for a date: put it in quotes";
		return NULL;
	}
	if (len == 1 && *p == '=') {
		*fault = "`=` has a meaning of its own in YAML: put it in "
		    "quotes";
		return NULL;
	}
	if (len == 2 && memcmp(p, "<<", 2) == 0) {
		*fault = "`<<` has a meaning of its own in YAML: put it in "
		    "quotes";
		return NULL;
	}
	return value_str(p, len);
}

/* --- explicit tags --- */

static struct value *
scalar_tagged_str(const char *p, size_t len, const char **fault)
{
	(void)fault;
	return value_str(p, len);
}

static struct value *
scalar_tagged_null(const char *p, size_t len, const char **fault)
{
	(void)p;
	(void)len;
	(void)fault;
	return value_new(VALUE_NONE);
}

static struct value *
scalar_tagged_bool(const char *p, size_t len, const char **fault)
{
	char	text[8];
	size_t	i;

	strlcpy(text, "", sizeof(text));
	if (len < sizeof(text)) {
		memcpy(text, p, len);
		text[len] = '\0';
		str_fold(text, len);
	}
	for (i = 0; i < sizeof(scalar_booleans) / sizeof(scalar_booleans[0]);
	    i++)
		if (strcmp(text, scalar_booleans[i].text) == 0)
			return value_bool(scalar_booleans[i].boolean);
	*fault = "neither true nor false, in spite of its tag";
	return NULL;
}

static struct value *
scalar_tagged_int(const char *p, size_t len, const char **fault)
{
	if (scalar_is_int(p, len))
		return scalar_int(p, len, fault);
	*fault = "not a whole number, in spite of its tag";
	return NULL;
}

/* Python's float() accepts more than the resolver: "1", "1e3", "-.5". */
static struct value *
scalar_tagged_float(const char *p, size_t len, const char **fault)
{
	struct scalar	s = { p, p + len };

	if (scalar_is_float(p, len))
		return scalar_float(p, len, fault);
	scalar_one(&s, "+-");
	if (!scalar_end(&s) && *s.at == '.' && s.end - s.at > 1 &&
	    isdigit((unsigned char)s.at[1]))
		s.at++;
	if (scalar_many(&s, SCALAR_DIGITS "_", 1, SIZE_MAX)) {
		if (scalar_one(&s, "."))
			scalar_many(&s, SCALAR_DIGITS "_", 0, SIZE_MAX);
		if (scalar_one(&s, "eE")) {
			scalar_one(&s, "+-");
			if (!scalar_many(&s, SCALAR_DIGITS, 1, SIZE_MAX))
				s.at = p;
		}
		if (scalar_end(&s) && len > 0)
			return scalar_float(p, len, fault);
	}
	*fault = "not a number, in spite of its tag";
	return NULL;
}

struct value *
scalar_tagged(const char *tag, const char *p, size_t len, const char **fault)
{
	static const struct {
		const char	*tag;
		struct value	*(*read)(const char *, size_t, const char **);
		const char	*fault;
	} tags[] = {
		{ SCALAR_TAG "str", scalar_tagged_str, NULL },
		{ SCALAR_TAG "int", scalar_tagged_int, NULL },
		{ SCALAR_TAG "float", scalar_tagged_float, NULL },
		{ SCALAR_TAG "bool", scalar_tagged_bool, NULL },
		{ SCALAR_TAG "null", scalar_tagged_null, NULL },
		{ SCALAR_TAG "binary", NULL,
		    "no setting is binary: write text, without the tag" },
		{ SCALAR_TAG "timestamp", NULL,
		    "no setting is a date: write text, without the tag" },
		{ SCALAR_TAG "seq", NULL,
		    "this is not a list, in spite of its tag" },
		{ SCALAR_TAG "map", NULL,
		    "this is not a mapping, in spite of its tag" }
	};
	size_t	i;

	for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strcmp(tags[i].tag, tag) != 0)
			continue;
		if (tags[i].read != NULL)
			return tags[i].read(p, len, fault);
		*fault = tags[i].fault;
		return NULL;
	}
	*fault = "this tag is not known here: leave it out";
	return NULL;
}
