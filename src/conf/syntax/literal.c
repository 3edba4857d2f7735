#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "conf/syntax/expression.h"
#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/syntax/token.h"
#include "conf/value.h"
#include "lib/str.h"

/* A row of limits in SQL is never longer. */
#define LITERAL_VALUE_MAX	65536

/*
 * Adds a fault for bytes that are not UTF-8, or NUL, once for each line, and
 * for a comment such as `-*- coding: latin-1 -*-` in the first two lines:
 * Python would decode the text by it.
 */
static void
check_bytes(const char *p, size_t len, struct faults *faults)
{
	const char	*end = p + len, *name;
	uint32_t	 c;
	size_t		 n;
	unsigned int	 line = 1, column = 1, said = 0, coding = 0, at = 0;
	bool		 blank = true, comment = false, ascii = true, printable;

	for (; p < end; p += n, column++) {
		n = str_code(p, (size_t)(end - p), &c, &printable);
		ascii = ascii && c < 0x80;
		if ((c == '\0' || (n == 1 && c >= 0x80)) && said != line) {
			fault_error(faults, line, column, c == '\0' ?
			    "a NUL byte: not a text file" :
			    "not UTF-8: save the file as UTF-8");
			said = line;
		}
		if (blank) {
			comment = *p == '#';
			blank = *p == ' ' || *p == '\t' || *p == '\f';
		}
		if (comment && line <= 2 && coding == 0 && end - p > 7 &&
		    (memcmp(p, "coding:", 7) == 0 ||
		    memcmp(p, "coding=", 7) == 0)) {
			name = p + 7;
			while (name < end && (*name == ' ' || *name == '\t'))
				name++;
			if (name == end || (!isalnum((unsigned char)*name) &&
			    strchr("-_.", *name) == NULL))
				continue;
			if (end - name < 3 || strncasecmp(name, "utf", 3) != 0)
				at = column + (unsigned int)(name - p);
			coding = line;
		}
		if (*p == '\n' || (*p == '\r' &&
		    (p + 1 == end || p[1] != '\n'))) {
			line++;
			column = 0;
			blank = true;
		}
	}
	if (!ascii && at > 0)
		fault_error(faults, coding, at, "only UTF-8 is read: save the "
		    "file as UTF-8 and say so here");
}

/* --- statements --- */

/*
 * Skips to the next statement. Indented lines belong to the wrong statement.
 */
static void
skip_statement(struct expression *e)
{
	while (!expression_at_end(e))
		token_next(&e->t);
	if (token_is(&e->t, ";"))
		return;
	do {
		while (!expression_at_end(e) || token_is(&e->t, ";"))
			token_next(&e->t);
		token_next(&e->t);
	} while (e->t.token.type != TOKEN_END && (e->t.token.column > 1 ||
	    e->t.token.type == TOKEN_NEWLINE));
}

/*
 * `from policyd_rate_limit.const import ...`: its names are always known here.
 */
static int
read_import(struct expression *e)
{
	static const char *const	 words[] = {
		"from", "policyd_rate_limit", ".", "const", "import"
	};
	size_t				 i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!token_is(&e->t, words[i])) {
			expression_unexpected(e, "name = value, or from "
			    "policyd_rate_limit.const import ...,");
			return -1;
		}
		token_next(&e->t);
	}
	for (; !expression_at_end(e); token_next(&e->t))
		if (e->t.token.type != TOKEN_NAME && !token_is(&e->t, "*") &&
		    !token_is(&e->t, ",") && !token_is(&e->t, "(") &&
		    !token_is(&e->t, ")")) {
			expression_unexpected(e, "a name");
			return -1;
		}
	return 0;
}

/* Reads one name and its `=`; NULL with a fault if there is none. */
static struct value *
read_name(struct expression *e)
{
	struct value	*name;

	if (e->t.token.type != TOKEN_NAME) {
		expression_unexpected(e, "the name of a setting");
		return NULL;
	}
	name = value_str(e->t.token.text, e->t.token.len);
	name->line = e->t.token.line;
	name->column = e->t.token.column;
	token_next(&e->t);
	if (token_is(&e->t, "=")) {
		token_next(&e->t);
		return name;
	}
	expression_unexpected(e, "`=` (name = value)");
	value_free(name);
	return NULL;
}

/* Reads name = value, or name = name = value as in Python. */
static int
read_setting(struct expression *e, struct value *dict)
{
	struct value	*names, *name, *v;
	size_t		 i;

	v = NULL;
	names = value_new(VALUE_LIST);
	do {
		if ((name = read_name(e)) == NULL)
			goto fail;
		value_append(names, name);
	} while (e->t.token.type == TOKEN_NAME && token_assigns(&e->t));
	if ((v = expression_read(e)) == NULL)
		goto fail;
	for (i = 0; i < names->count; i++) {
		name = names->items[i];
		if (value_get_key(dict, name) != NULL)
			fault_warning(e->faults, name->line, name->column,
			    "%s was set before: the last one counts",
			    name->bytes);
		value_set(dict, name, value_copy(v));
	}
	names->count = 0;
	value_free(names);
	value_free(v);
	return 0;
 fail:
	value_free(names);
	value_free(v);
	return -1;
}

static void
read_statements(struct expression *e, struct value *dict)
{
	struct value	*v;
	bool		 indented, before, good;

	for (before = false; e->t.token.type != TOKEN_END;) {
		if (e->t.token.type == TOKEN_NEWLINE) {
			token_next(&e->t);
			continue;
		}
		indented = e->t.token.first && e->t.token.column > 1;
		if (indented && !before)
			expression_fault(e, "a statement begins at the start "
			    "of its line, without blanks");
		before = indented;
		if (token_is(&e->t, "from"))
			good = read_import(e) == 0;
		else if (e->t.token.type != TOKEN_STRING)
			good = read_setting(e, dict) == 0;
		else if ((good = !token_assigns(&e->t))) {
			/* A string alone: people write comments so. */
			v = expression_read(e);
			good = v != NULL;
			value_free(v);
		} else
			expression_fault(e,
			    "the name of a setting has no quotes");
		if (!good)
			skip_statement(e);
		if (token_is(&e->t, ";"))
			token_next(&e->t);
	}
}

struct value *
literal_file(const char *bytes, size_t len, struct faults *faults)
{
	struct expression	 e;
	struct value		*dict;

	dict = value_new(VALUE_DICT);
	dict->line = dict->column = 1;
	if (len > LITERAL_FILE_MAX) {
		fault_error(faults, 0, 0, "larger than %d bytes",
		    LITERAL_FILE_MAX);
		return dict;
	}
	check_bytes(bytes, len, faults);
	memset(&e, 0, sizeof(e));
	e.faults = faults;
	e.depth = 1;
	token_init(&e.t, bytes, len);
	read_statements(&e, dict);
	token_clear(&e.t);
	return dict;
}

struct value *
literal_value(const char *bytes, size_t len, struct faults *faults)
{
	struct expression	 e;
	struct value		*v;
	size_t			 errors;

	if (len > LITERAL_VALUE_MAX) {
		fault_error(faults, 0, 0, "longer than %d bytes",
		    LITERAL_VALUE_MAX);
		return NULL;
	}
	errors = faults->errors;
	check_bytes(bytes, len, faults);
	memset(&e, 0, sizeof(e));
	e.faults = faults;
	token_init(&e.t, bytes, len);
	while (e.t.token.type == TOKEN_NEWLINE)
		token_next(&e.t);
	v = expression_read(&e);
	while (e.t.token.type == TOKEN_NEWLINE)
		token_next(&e.t);
	if (v != NULL && e.t.token.type != TOKEN_END)
		expression_fault(&e,
		    "one literal is expected, nothing behind it");
	if (faults->errors != errors) {
		value_free(v);
		v = NULL;
	}
	token_clear(&e.t);
	return v;
}
