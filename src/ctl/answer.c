#include <stdlib.h>
#include <string.h>

#include "ctl/answer.h"
#include "lib/alloc.h"
#include "lib/num.h"

/* Whether it is a JSON number, with or without a point. */
static bool
is_number(const char *s)
{
	size_t	n;

	s += *s == '-';
	if ((n = strspn(s, "0123456789")) == 0)
		return false;
	s += n;
	if (*s == '.' && (n = strspn(s + 1, "0123456789")) > 0)
		s += n + 1;
	return *s == '\0';
}

static bool
is_name(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/*
 * The answer may come from an attacker who controls the engine: text that is
 * not printable must never reach a terminal.
 */
static bool
is_printable(const char *s)
{
	struct str	bytes, again;
	bool		same;

	str_init(&bytes);
	str_init(&again);
	answer_text(&bytes, s);
	str_add_printable(&again, bytes.data, bytes.len);
	same = strcmp(again.data, s) == 0;
	str_clear(&bytes);
	str_clear(&again);
	return same;
}

static int
parse_record(struct answer *a, char *line)
{
	struct answer_record	*r;
	struct answer_field	*f;
	char			*text, *next, *type;

	a->record = alloc_resize(a->record, a->nrecord + 1, sizeof(*r));
	r = &a->record[a->nrecord++];
	memset(r, 0, sizeof(*r));
	next = line;
	r->kind = strsep(&next, "\t");
	while ((text = strsep(&next, "\t")) != NULL) {
		if ((type = strpbrk(text, "=#?")) == NULL || type == text)
			return -1;
		r->field = alloc_resize(r->field, r->nfield + 1, sizeof(*f));
		f = &r->field[r->nfield++];
		f->name = text;
		f->type = *type;
		*type = '\0';
		f->value = type + 1;
		if (!is_name(f->name) ||
		    (f->type == '=' && !is_printable(f->value)) ||
		    (f->type == '#' && !is_number(f->value)) ||
		    (f->type == '?' && strcmp(f->value, "0") != 0 &&
		    strcmp(f->value, "1") != 0))
			return -1;
	}
	return r->nfield > 0 && is_name(r->kind) ? 0 : -1;
}

int
answer_parse(struct answer *a, const char *bytes, size_t len)
{
	char	*line, *end;

	memset(a, 0, sizeof(*a));
	if (len < 4 || memcmp(bytes + len - 4, "end\n", 4) != 0 ||
	    memchr(bytes, '\0', len) != NULL)
		return -1;
	a->bytes = line = alloc_copy(bytes, len);
	if ((end = strchr(line, '\n')) == NULL)
		return -1;
	*end = '\0';
	if (strncmp(line, "error ", 6) == 0) {
		a->failed = true;
		a->error = line + 6;
		if (!is_printable(a->error))
			return -1;
	} else if (strcmp(line, "ok") != 0)
		return -1;
	for (line = end + 1; (end = strchr(line, '\n')) != NULL;
	    line = end + 1) {
		*end = '\0';
		if (strcmp(line, "end") == 0)
			return end[1] == '\0' ? 0 : -1;
		if (parse_record(a, line) == -1)
			return -1;
	}
	return -1;
}

void
answer_clear(struct answer *a)
{
	size_t	i;

	for (i = 0; i < a->nrecord; i++)
		free(a->record[i].field);
	free(a->record);
	free(a->bytes);
	memset(a, 0, sizeof(*a));
}

const char *
answer_get(const struct answer_record *r, const char *name)
{
	size_t	i;

	for (i = 0; i < r->nfield; i++)
		if (strcmp(r->field[i].name, name) == 0)
			return r->field[i].value;
	return "";
}

static int64_t
number_of(const char *value)
{
	int64_t	n = 0;

	(void)num_parse(value, strlen(value), INT64_MIN, INT64_MAX, &n);
	return n;
}

int64_t
answer_number(const struct answer_record *r, const char *name)
{
	return number_of(answer_get(r, name));
}

bool
answer_is(const struct answer_record *r, const char *name)
{
	return strcmp(answer_get(r, name), "1") == 0;
}

const char *
answer_whole(const struct answer *a, const char *name)
{
	const char	*value = "";
	size_t		 i;

	for (i = 0; i < a->nrecord && *value == '\0'; i++)
		if (a->record[i].kind[0] == '\0')
			value = answer_get(&a->record[i], name);
	return value;
}

int64_t
answer_whole_number(const struct answer *a, const char *name)
{
	return number_of(answer_whole(a, name));
}

const struct answer_record *
answer_next(const struct answer *a, const char *kind, size_t *i)
{
	for (; *i < a->nrecord; (*i)++)
		if (strcmp(a->record[*i].kind, kind) == 0)
			return &a->record[(*i)++];
	return NULL;
}

size_t
answer_count(const struct answer *a, const char *kind)
{
	size_t	i = 0, n = 0;

	while (answer_next(a, kind, &i) != NULL)
		n++;
	return n;
}

static int
hex_digit(char c)
{
	static const char	digits[] = "0123456789abcdef";
	const char		*at;

	at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

void
answer_text(struct str *out, const char *s)
{
	int	high, low;

	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && s[1] == '\\')
			s++;
		else if (s[0] == '\\' && s[1] == 'x' &&
		    (high = hex_digit(s[2])) != -1 &&
		    (low = hex_digit(s[3])) != -1) {
			str_addc(out, high * 16 + low);
			s += 3;
			continue;
		}
		str_addc(out, *s);
	}
}
