#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/syntax/number.h"
#include "conf/syntax/scalar.h"
#include "conf/value.h"
#include "lib/alloc.h"
#include "lib/str.h"

static const char *const	scalar_patterns[] = {
	[SCALAR_BOOL] = "^(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|"
	    "FALSE|on|On|ON|off|Off|OFF)$",
	[SCALAR_INT] = "^([-+]?0b[01_]+|[-+]?0[0-7_]*|[-+]?[1-9][0-9_]*|"
	    "[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+)$",
	[SCALAR_FLOAT] = "^([-+]?[0-9][0-9_]*[.][0-9_]*([eE][-+][0-9]+)?|"
	    "[.][0-9][0-9_]*([eE][-+][0-9]+)?|"
	    "[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+[.][0-9_]*|"
	    "[-+]?[.](inf|Inf|INF)|[.](nan|NaN|NAN))$",
	[SCALAR_DATE] = "^([0-9]{4}-[0-9]{2}-[0-9]{2}|"
	    "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:"
	    "[0-9]{2}([.][0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?)$",
	/* What Python's float() accepts beyond the resolver's. */
	[SCALAR_PYTHON_FLOAT] = "^[-+]?([0-9_]+[.]?[0-9_]*|[.][0-9][0-9_]*)"
	    "([eE][-+]?[0-9]+)?$"
};

int
scalar_init(struct scalars *s)
{
	int	i;

	for (i = 0; i < SCALAR__MAX; i++)
		if (regcomp(&s->patterns[i], scalar_patterns[i],
		    REG_EXTENDED | REG_NOSUB) != 0) {
			while (--i >= 0)
				regfree(&s->patterns[i]);
			return -1;
		}
	return 0;
}

void
scalar_clear(struct scalars *s)
{
	int	i;

	for (i = 0; i < SCALAR__MAX; i++)
		regfree(&s->patterns[i]);
}

static bool
matches_pattern(const struct scalars *s, enum scalar_pattern which,
    const char *p, size_t len)
{
	return strlen(p) == len &&
	    regexec(&s->patterns[which], p, 0, NULL, 0) == 0;
}

/* --- values of what matched --- */

/* A copy without underscores and sign; *negative: it had a minus sign. */
static char *
copy_digits(const char *p, bool *negative)
{
	char	*digits;
	size_t	 n;

	*negative = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	digits = alloc_zero(strlen(p) + 1, 1);
	for (n = 0; *p != '\0'; p++)
		if (*p != '_')
			digits[n++] = *p;
	return digits;
}

/* Parts between colons are sixty times as much as the next. */
static struct value *
int_value(const char *p, const char **fault)
{
	unsigned int	 base = 10;
	uint64_t	 sum, part;
	int64_t		 n;
	char		*digits, *at;
	size_t		 len;
	bool		 negative;

	digits = at = copy_digits(p, &negative);
	if (at[0] == '0' && (at[1] == 'b' || at[1] == 'x')) {
		base = at[1] == 'b' ? 2 : 16;
		at += 2;
	} else if (at[0] == '0')
		base = 8;
	*fault = NULL;
	for (sum = 0; *fault == NULL; at += len + 1) {
		len = strcspn(at, ":");
		*fault = number_whole(&part, at, len, base);
		if (*fault == NULL && sum > (UINT64_MAX - part) / 60)
			*fault = NUMBER_TOO_LARGE;
		sum = sum * 60 + part;
		if (at[len] == '\0')
			break;
	}
	free(digits);
	if (*fault == NULL && number_signed(&n, sum, negative) == -1)
		*fault = NUMBER_TOO_LARGE;
	return *fault == NULL ? value_int(n) : NULL;
}

static struct value *
float_value(const char *p, const char **fault)
{
	char	*digits, *colon;
	double	 d, base = 1;
	bool	 negative;

	digits = copy_digits(p, &negative);
	if (strcasecmp(digits, ".inf") == 0)
		d = (double)INFINITY;
	else if (strcasecmp(digits, ".nan") == 0)
		d = (double)NAN;
	else {
		/* PyYAML sums the parts between colons from the last one on. */
		for (d = 0; (colon = strrchr(digits, ':')) != NULL;
		    base *= 60) {
			d += strtod(colon + 1, NULL) * base;
			*colon = '\0';
		}
		d += strtod(digits, NULL) * base;
		if (isinf(d))
			*fault = NUMBER_TOO_LARGE;
	}
	free(digits);
	return *fault == NULL ? value_float(negative ? -d : d) : NULL;
}

/* One of "yes", "no", …, in any case; NULL: it is another word. */
static struct value *
bool_value(const char *p, size_t len)
{
	static const char *const	words[] = {
		"no", "yes", "false", "true", "off", "on"
	};
	size_t				i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len && strcasecmp(words[i], p) == 0)
			return value_bool(i % 2 != 0);
	return NULL;
}

struct value *
scalar_plain(const struct scalars *s, const char *p, size_t len,
    const char **fault)
{
	*fault = NULL;
	if (strlen(p) != len)
		return value_str(p, len);
	if (matches_pattern(s, SCALAR_BOOL, p, len))
		return bool_value(p, len);
	if (len == 0 || strcmp(p, "~") == 0 || strcmp(p, "null") == 0 ||
	    strcmp(p, "Null") == 0 || strcmp(p, "NULL") == 0)
		return value_new(VALUE_NONE);
	if (matches_pattern(s, SCALAR_FLOAT, p, len))
		return float_value(p, fault);
	if (matches_pattern(s, SCALAR_INT, p, len))
		return int_value(p, fault);
	if (!matches_pattern(s, SCALAR_DATE, p, len) && strcmp(p, "=") != 0 &&
	    strcmp(p, "<<") != 0)
		return value_str(p, len);
	*fault = "YAML gives dates, `=` and `<<` a meaning of their own: put "
	    "this in quotes";
	return NULL;
}

struct value *
scalar_tagged(const struct scalars *s, const char *tag, const char *p,
    size_t len, const char **fault)
{
	struct value	*v = NULL;

	*fault = NULL;
	if (strcmp(tag, SCALAR_TAG "str") == 0)
		v = value_str(p, len);
	else if (strcmp(tag, SCALAR_TAG "null") == 0)
		v = value_new(VALUE_NONE);
	else if (strcmp(tag, SCALAR_TAG "bool") == 0)
		v = bool_value(p, len);
	else if (strcmp(tag, SCALAR_TAG "int") == 0 &&
	    matches_pattern(s, SCALAR_INT, p, len))
		v = int_value(p, fault);
	else if (strcmp(tag, SCALAR_TAG "float") == 0 &&
	    (matches_pattern(s, SCALAR_FLOAT, p, len) ||
	    matches_pattern(s, SCALAR_PYTHON_FLOAT, p, len)))
		v = float_value(p, fault);
	if (v == NULL && *fault == NULL)
		*fault = SCALAR_TAG_FAULT;
	return v;
}
