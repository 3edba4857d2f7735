#include <string.h>

#include "ctl/json.h"

/*
 * Appends one JSON string of well-formed UTF-8; characters that a terminal
 * interprets or does not show become \uNNNN.
 */
static void
add_string(struct str *out, const char *bytes, size_t len)
{
	uint32_t	code;
	size_t		n;
	bool		printable;

	str_addc(out, '"');
	for (; len > 0; bytes += n, len -= n) {
		n = str_code(bytes, len, &code, &printable);
		if (*bytes == '"' || *bytes == '\\')
			str_addc(out, '\\');
		if (printable)
			str_add(out, bytes, n);
		else if (code < 0x10000)
			str_addf(out, "\\u%04x", (unsigned int)code);
		else
			str_addf(out, "\\u%04x\\u%04x",
			    (unsigned int)(0xd7c0 + (code >> 10)),
			    (unsigned int)(0xdc00 + (code & 0x3ff)));
	}
	str_addc(out, '"');
}

static void
add_text(struct str *out, const char *printable)
{
	struct str	bytes;

	str_init(&bytes);
	answer_text(&bytes, printable);
	if (str_utf8_valid(bytes.len > 0 ? bytes.data : "", bytes.len))
		add_string(out, bytes.data, bytes.len);
	else
		add_string(out, printable, strlen(printable));
	str_clear(&bytes);
}

static void
add_field(struct str *out, const struct answer_field *f, bool *first)
{
	if (!*first)
		str_adds(out, ", ");
	*first = false;
	add_string(out, f->name, strlen(f->name));
	str_adds(out, ": ");
	if (f->type == '=')
		add_text(out, f->value);
	else if (f->type == '#')
		str_adds(out, f->value);
	else
		str_adds(out, f->value[0] == '1' ? "true" : "false");
}

static void
add_record(struct str *out, const struct answer_record *r)
{
	bool	first = true;
	size_t	i;

	str_addc(out, '{');
	for (i = 0; i < r->nfield; i++)
		add_field(out, &r->field[i], &first);
	str_addc(out, '}');
}

void
json_add_record(struct str *out, const struct answer_record *r)
{
	add_record(out, r);
	str_addc(out, '\n');
}

void
json_add_error(struct str *out, const char *printable, int status)
{
	str_adds(out, "{\"error\": ");
	add_text(out, printable);
	str_addf(out, ", \"exit_status\": %d}\n", status);
}

void
json_add(struct str *out, const struct answer *a, const char *const *lists)
{
	const struct answer_record	*r;
	const char			*comma;
	bool				 first = true;
	size_t				 i, j;

	str_addc(out, '{');
	for (i = 0; (r = answer_next(a, "", &i)) != NULL;)
		for (j = 0; j < r->nfield; j++)
			add_field(out, &r->field[j], &first);
	for (; lists != NULL && *lists != NULL; lists++) {
		str_addf(out, "%s\"%s\": [", first ? "" : ",\n ", *lists);
		first = false;
		comma = "\n  ";
		for (i = 0; (r = answer_next(a, *lists, &i)) != NULL;) {
			str_adds(out, comma);
			comma = ",\n  ";
			add_record(out, r);
		}
		str_addc(out, ']');
	}
	str_adds(out, "}\n");
}
