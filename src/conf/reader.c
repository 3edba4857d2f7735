#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"
#include "lib/addr.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/str.h"

#define READER_TEXT_MAX	512
#define DISTANCE_MAX	128	/* longer strings simply differ */
#define READER_LIST_MAX	10000	/* networks in one list */

/* --- faults --- */

int
reader_fault(const struct reading *r, const struct value *v, const char *fmt,
    ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(r->faults, FAULT_ERROR, v->line, v->column, r->name, fmt, ap);
	va_end(ap);
	return -1;
}

void
reader_warning(const struct reading *r, const struct value *v, const char *fmt,
    ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(r->faults, FAULT_WARNING, v->line, v->column, r->name, fmt,
	    ap);
	va_end(ap);
}

void
reader_unknown(const struct reading *r, const struct value *v, const char *fmt,
    ...)
{
	va_list	ap;

	va_start(ap, fmt);
	fault_add(r->faults, FAULT_UNKNOWN, v->line, v->column, r->name, fmt,
	    ap);
	va_end(ap);
}

int
reader_mismatch(const struct reading *r, const struct value *v,
    const char *expected)
{
	return reader_fault(r, v, "must be %s, not %s", expected,
	    value_type_name(v->type));
}

static unsigned int
least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static bool
same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Edit distance: insertions, deletions, substitutions, swaps. Differences in
 * case do not count.
 */
static unsigned int
distance_of(const char *a, const char *b)
{
	unsigned int	 row[3][DISTANCE_MAX + 1], *before, *last, *this;
	size_t		 alen = strlen(a), blen = strlen(b), i, j;

	if (alen > DISTANCE_MAX || blen > DISTANCE_MAX)
		return (unsigned int)(alen > blen ? alen : blen);
	last = row[0];
	for (j = 0; j <= blen; j++)
		last[j] = (unsigned int)j;
	for (i = 1; i <= alen; i++) {
		this = row[i % 3];
		last = row[(i + 2) % 3];
		before = row[(i + 1) % 3];
		this[0] = (unsigned int)i;
		for (j = 1; j <= blen; j++) {
			this[j] = least(last[j], this[j - 1]) + 1;
			this[j] = least(this[j],
			    last[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]))
				this[j] = least(this[j], before[j - 2] + 1);
		}
		last = this;
	}
	return last[blen];
}

/*
 * A name is similar if at most a third of its letters differ; two differences
 * are always allowed.
 */
void
reader_nearest(struct reader_nearest *n, const char *candidate)
{
	unsigned int	distance = distance_of(n->written, candidate);
	size_t		len = strlen(n->written);
	size_t		near = len / 3 < 2 ? 2 : len / 3;

	if (distance <= near && distance < len &&
	    (n->name == NULL || distance < n->distance)) {
		n->name = candidate;
		snprintf(n->hint, sizeof(n->hint), "; did you mean \"%s\"?",
		    candidate);
		n->distance = distance;
	}
}

/* --- fields --- */

void
reader_row(const struct reading *r, const struct reader_row *row, void *object,
    const struct value *v)
{
	struct reading	one = *r;

	one.out = (char *)object + row->at;
	one.min = row->min;
	one.max = row->max;
	one.words = row->words;
	(void)row->read(&one, v);
}

void
reader_field(const struct reading *r, const struct reader_row *rows, size_t n,
    void *object, const struct value *key, const struct value *v)
{
	struct reader_nearest	nearest = { .written = key->bytes };
	struct reading		field = *r;
	char			name[READER_NAME_MAX];
	size_t			i;

	if (key->type != VALUE_STR) {
		reader_unknown(r, key, "has a field that is not a string");
		return;
	}
	for (i = 0; i < n; i++) {
		if (strlen(rows[i].name) == key->len &&
		    memcmp(rows[i].name, key->bytes, key->len) == 0) {
			(void)snprintf(name, sizeof(name), "%s.%s", r->name,
			    rows[i].name);
			field.name = name;
			reader_row(&field, &rows[i], object, v);
			return;
		}
		reader_nearest(&nearest, rows[i].name);
	}
	reader_unknown(r, key, "has an unknown field \"%s\"%s", key->bytes,
	    nearest.hint);
}

void
reader_clear_rows(const struct reader_row *rows, size_t n, void *object)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (rows[i].clear != NULL)
			rows[i].clear((char *)object + rows[i].at);
}

/* --- numbers --- */

int
reader_bool(const struct reading *r, const struct value *v)
{
	bool	*out = r->out;

	if (v->type == VALUE_BOOL)
		*out = v->boolean;
	else if (v->type == VALUE_INT && (v->integer == 0 || v->integer == 1))
		*out = v->integer == 1;
	else
		return reader_mismatch(r, v, "True or False");
	return 0;
}

int
reader_truth(const struct reading *r, const struct value *v)
{
	bool	*out = r->out;

	if (v->type != VALUE_NONE)
		return reader_bool(r, v);
	*out = false;
	return 0;
}

int
reader_whole(const struct value *v, int64_t *n)
{
	return v->type != VALUE_BOOL && value_whole(v, n) ? 0 : -1;
}

static int
read_in_range(const struct reading *r, const struct value *v, int64_t *n)
{
	if (reader_whole(v, n) == -1)
		return reader_mismatch(r, v, "a whole number");
	if (*n < r->min || *n > r->max)
		return reader_fault(r, v, "must be from %lld to %lld",
		    (long long)r->min, (long long)r->max);
	return 0;
}

int
reader_unsigned(const struct reading *r, const struct value *v)
{
	int64_t	n;

	if (read_in_range(r, v, &n) == -1)
		return -1;
	*(unsigned int *)r->out = (unsigned int)n;
	return 0;
}

int
reader_int64(const struct reading *r, const struct value *v)
{
	int64_t	n;

	if (read_in_range(r, v, &n) == -1)
		return -1;
	*(int64_t *)r->out = n;
	return 0;
}

int
reader_mebibytes(const struct reading *r, const struct value *v)
{
	int64_t	n;

	if (read_in_range(r, v, &n) == -1)
		return -1;
	*(int64_t *)r->out = n * 1024 * 1024;
	return 0;
}

int
reader_milliseconds(const struct reading *r, const struct value *v)
{
	double	seconds;

	if (v->type == VALUE_INT)
		seconds = (double)v->integer;
	else if (v->type == VALUE_FLOAT)
		seconds = v->real;
	else
		return reader_mismatch(r, v, "a number of seconds");
	/* The condition is negated so that NaN is out of range. */
	if (!(seconds * 1000 >= (double)r->min &&
	    seconds * 1000 <= (double)r->max))
		return reader_fault(r, v, "must be from %g to %g seconds",
		    (double)r->min / 1000, (double)r->max / 1000);
	*(int64_t *)r->out = (int64_t)(seconds * 1000 + 0.5);
	return 0;
}

/* A string such as "0660" or "0o660" is a number that people quote in YAML. */
int
reader_mode(const struct reading *r, const struct value *v)
{
	const char	*digits;
	char		 text[24];
	int64_t		 n;

	if (v->type == VALUE_STR) {
		digits = v->bytes;
		if (digits[0] == '0' && digits[1] == 'o')
			digits += 2;
		n = strtol(digits, NULL, 8);
		if (v->bytes[0] != '0' || v->len > 6 || *digits == '\0' ||
		    strspn(digits, "01234567") !=
		    v->len - (size_t)(digits - v->bytes))
			return reader_fault(r, v,
			    "must be a mode such as 0o660");
	} else if (v->type != VALUE_INT)
		return reader_mismatch(r, v, "a mode such as 0o660");
	else
		n = v->integer;
	if (n >= r->min && n <= r->max) {
		*(unsigned int *)r->out = (unsigned int)n;
		return 0;
	}
	snprintf(text, sizeof(text), "%lld", (long long)n);
	if (v->type == VALUE_INT && n > 0 &&
	    strspn(text, "01234567") == strlen(text) && strlen(text) <= 3)
		return reader_fault(r, v,
		    "is a decimal number; did you mean 0o%s?", text);
	return reader_fault(r, v, "must be from 0 to 0o%llo",
	    (long long)r->max);
}

/* --- words --- */

int
reader_word(const struct reading *r, const struct value *v)
{
	struct reader_nearest	nearest = { .written = v->bytes };
	char			expected[READER_TEXT_MAX] = "one of ";
	size_t			i;

	/* A bound of 0: the words have no numbers. */
	if (v->type == VALUE_INT && r->max > 0 &&
	    v->integer >= r->min && v->integer <= r->max) {
		*(int *)r->out = (int)v->integer;
		return 0;
	}
	if (r->max > 0)
		snprintf(expected, sizeof(expected), "%lld to %lld or one of ",
		    (long long)r->min, (long long)r->max);
	for (i = 0; r->words[i].name != NULL; i++) {
		if (v->type == VALUE_STR && strlen(r->words[i].name) ==
		    v->len && memcmp(r->words[i].name, v->bytes, v->len) == 0) {
			*(int *)r->out = r->words[i].number;
			return 0;
		}
		if (v->type == VALUE_STR)
			reader_nearest(&nearest, r->words[i].name);
		strlcat(expected, i > 0 ? ", \"" : "\"", sizeof(expected));
		strlcat(expected, r->words[i].name, sizeof(expected));
		strlcat(expected, "\"", sizeof(expected));
	}
	if (v->type != VALUE_STR && (v->type != VALUE_INT || r->max == 0))
		return reader_mismatch(r, v, expected);
	return reader_fault(r, v, "must be %s%s", expected, nearest.hint);
}

/* --- strings --- */

bool
reader_is_line(const struct value *v)
{
	size_t	i;

	for (i = 0; i < v->len; i++)
		if ((unsigned char)v->bytes[i] < ' ' || v->bytes[i] == '\177')
			return false;
	return true;
}

int
reader_line(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_STR)
		return reader_mismatch(r, v, "a string");
	if (reader_is_line(v))
		return 0;
	return reader_fault(r, v,
	    "must be one line without control characters");
}

void
reader_replace(const struct reading *r, char *text)
{
	char	**out = r->out;

	free(*out);
	*out = text;
}

void
reader_clear_text(void *member)
{
	char	**text = member;

	free(*text);
	*text = NULL;
}

void
reader_clear_networks(void *member)
{
	struct settings_networks	*networks = member;

	free(networks->list);
}

void
reader_clear_strings(void *member)
{
	struct settings_strings	*s = member;

	while (s->count > 0)
		free(s->list[--s->count]);
	free(s->list);
	s->list = NULL;
}

void
reader_strings_add(struct settings_strings *s, char *text)
{
	s->list = alloc_resize(s->list, s->count + 1, sizeof(*s->list));
	s->list[s->count++] = text;
}

int
reader_string(const struct reading *r, const struct value *v)
{
	if (reader_line(r, v) == -1)
		return -1;
	if (v->len == 0)
		return reader_fault(r, v, "must not be empty");
	reader_replace(r, alloc_copy(v->bytes, v->len));
	return 0;
}

int
reader_string_or_none(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE && v->type != VALUE_STR)
		return reader_mismatch(r, v, "a string or None");
	if (v->type == VALUE_NONE || v->len == 0) {
		reader_replace(r, NULL);
		return 0;
	}
	return reader_string(r, v);
}

int
reader_domain(const struct reading *r, const struct value *v)
{
	if (v->type == VALUE_NONE || (v->type == VALUE_STR && v->len == 0)) {
		reader_replace(r, alloc_string(""));
		return 0;
	}
	if (reader_line(r, v) == -1)
		return -1;
	if (strpbrk(v->bytes, "@ \t") != NULL)
		return reader_fault(r, v,
		    "must be a domain, such as \"example.org\"");
	reader_replace(r, alloc_copy(v->bytes, v->len));
	return 0;
}

/* A query may have several lines. */
int
reader_query(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE && v->type != VALUE_STR)
		return reader_mismatch(r, v, "a string");
	if (v->type == VALUE_STR && memchr(v->bytes, '\0', v->len) != NULL)
		return reader_fault(r, v, "must not hold a NUL character");
	reader_replace(r, v->type == VALUE_NONE ? alloc_string("") :
	    alloc_copy(v->bytes, v->len));
	return 0;
}

int
reader_delimiter(const struct reading *r, const struct value *v)
{
	size_t	i;

	if (v->type == VALUE_NONE) {
		reader_replace(r, alloc_string(""));
		return 0;
	}
	if (reader_line(r, v) == -1)
		return -1;
	for (i = 0; i < v->len; i++)
		if (v->bytes[i] <= ' ' || v->bytes[i] == '@')
			return reader_fault(r, v, "must be characters such as "
			    "\"+\", ASCII, no blank and no \"@\"");
	reader_replace(r, alloc_copy(v->bytes, v->len));
	return 0;
}

/* --- networks --- */

int
reader_network(const struct reading *r, const struct value *v,
    struct network *n)
{
	struct addr	a;
	char		text[ADDR_TEXT_MAX];
	const char	*slash;
	size_t		len;
	int64_t		prefix;

	if (v->type != VALUE_STR)
		return reader_mismatch(r, v, "a list of networks");
	if (addr_network_parse(n, v->bytes, v->len) == 0)
		return 0;
	if (errno != EDOM)
		return reader_fault(r, v,
		    "has \"%s\", which is not a network: write it as "
		    "\"192.0.2.0/24\" or \"2001:db8::/32\"",
		    v->bytes);
	/* There are host bits; say which network was meant. */
	slash = memchr(v->bytes, '/', v->len);
	len = slash == NULL ? v->len : (size_t)(slash - v->bytes);
	if (slash == NULL || addr_parse(&a, v->bytes, len) == -1 ||
	    num_parse(slash + 1, v->len - len - 1, 0, a.bits, &prefix) == -1)
		return reader_fault(r, v, "has \"%s\", which has host bits set",
		    v->bytes);
	addr_mask(&a, (unsigned int)prefix);
	return reader_fault(r, v, "has \"%s\", which has host bits set: did "
	    "you mean \"%s/%d\"?", v->bytes,
	    addr_format(&a, text, sizeof(text)), (int)prefix);
}

int
reader_networks(const struct reading *r, const struct value *v)
{
	struct settings_networks	 found = { 0, NULL }, *out = r->out;
	size_t				 i;
	int				 result;

	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of networks");
	if (v->count > READER_LIST_MAX)
		return reader_fault(r, v, "has more than %d networks",
		    READER_LIST_MAX);
	result = 0;
	if (v->count > 0)
		found.list = alloc_zero(v->count, sizeof(*found.list));
	for (i = 0; i < v->count; i++)
		if (reader_network(r, v->items[i],
		    &found.list[found.count++]) == -1)
			result = -1;
	if (result == -1) {
		free(found.list);
		return -1;
	}
	free(out->list);
	*out = found;
	return 0;
}

int
reader_nothing(const struct reading *r, const struct value *v)
{
	(void)r;
	(void)v;
	return 0;
}
