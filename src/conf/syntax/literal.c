#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/syntax/expression.h"
#include "conf/fault.h"
#include "conf/syntax/literal.h"
#include "conf/syntax/token.h"
#include "conf/syntax/utf8.h"
#include "conf/value.h"
#include "lib/str.h"

/* A row of limits in SQL is never longer. */
#define LITERAL_VALUE_MAX	65536

/* Keywords that begin a statement other than a setting. */
static const struct {
	const char	*name;
	bool		 block;		/* may be followed by else, except, … */
} literal_keywords[] = {
	{ "assert", false }, { "async", true }, { "await", false },
	{ "break", false }, { "class", true }, { "continue", false },
	{ "def", true }, { "del", false }, { "elif", true }, { "else", true },
	{ "except", true }, { "exec", false }, { "finally", true },
	{ "for", true }, { "global", false }, { "if", true },
	{ "import", false }, { "lambda", false }, { "nonlocal", false },
	{ "not", false }, { "pass", false }, { "print", false },
	{ "raise", false }, { "return", false }, { "try", true },
	{ "while", true }, { "with", true }, { "yield", false }
};

/* Keywords that continue a block. */
static const char *const literal_branches[] = {
	"elif", "else", "except", "finally"
};

/* Names of values, which cannot be assigned to. */
static const char *const literal_reserved[] = {
	"False", "MYSQL_DB", "None", "PGSQL_DB", "SQLITE_DB", "True"
};

/* What may follow a name in Python, other than `=`. */
static const struct {
	const char	*token;
	const char	*text;
} literal_behind[] = {
	{ ":", "`=` is expected here, as in name = value "
	    "(the name of a file in YAML ends in .yaml)" },
	{ ",", "setting several names" EXPRESSION_NOT_RUN
	    "write name = value for each" },
	{ ".", "an attribute" EXPRESSION_NOT_RUN
	    "write name = value, with the whole value" },
	{ "(", "a call" EXPRESSION_NOT_RUN "write name = value" },
	{ "[", "setting a part" EXPRESSION_NOT_RUN
	    "write name = value, with the whole value" },
	{ "+=", "adding to a value" EXPRESSION_NOT_RUN
	    "write name = value, with the whole value" },
	{ "==", "`==` compares: write name = value" },
	{ ":=", "`:=` has no meaning here: write name = value" }
};

#define LITERAL_COUNT(table)	(sizeof(table) / sizeof((table)[0]))

/* --- bytes --- */

/*
 * Adds a fault for bytes that are not UTF-8, or NUL, once for each line. False:
 * the text has characters beyond ASCII.
 */
static bool
literal_check_bytes(const char *p, size_t len, struct faults *faults)
{
	uint32_t	c;
	size_t		n;
	unsigned int	line, column, said;
	bool		ascii;

	line = column = 1;
	said = 0;
	for (ascii = true; len > 0; p += n, len -= n) {
		if ((n = utf8_decode(p, len, &c)) != 1 || c == '\0') {
			ascii = false;
			if (n < 2 && said != line) {
				fault_error(faults, line, column, n == 0 ?
				    "not UTF-8: save the file as UTF-8" :
				    "a NUL byte: not a text file");
				said = line;
			}
			n = n == 0 ? 1 : n;
		}
		column++;
		if (*p == '\n' || (*p == '\r' && (len == 1 || p[1] != '\n'))) {
			line++;
			column = 1;
		}
	}
	return ascii;
}

/* The name in a comment such as `-*- coding: latin-1 -*-`, or NULL. */
static const char *
literal_coding(const char *p, size_t len, size_t *namelen)
{
	static const char	 name[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";
	const char		*end, *c;

	end = p + len;
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\f'))
		p++;
	if (p == end || *p != '#')
		return NULL;
	for (; end - p > 7; p++) {
		if (memcmp(p, "coding", 6) != 0 || (p[6] != ':' && p[6] != '='))
			continue;
		for (c = p + 7; c < end && (*c == ' ' || *c == '\t'); c++)
			continue;
		for (p = c; c < end && *c != '\0' && strchr(name, *c) != NULL;)
			c++;
		*namelen = (size_t)(c - p);
		return c == p ? NULL : p;
	}
	return NULL;
}

/* Python would decode the file by the encoding it names; we read only UTF-8. */
static void
literal_check_coding(const char *p, size_t len, struct faults *faults)
{
	const char	*name, *end;
	char		 folded[16];
	size_t		 namelen, n;
	unsigned int	 line;

	for (line = 1; line <= 2 && len > 0; line++) {
		end = memchr(p, '\n', len);
		n = end == NULL ? len : (size_t)(end - p);
		if ((name = literal_coding(p, n, &namelen)) != NULL) {
			strlcpy(folded, "", sizeof(folded));
			if (namelen < sizeof(folded)) {
				memcpy(folded, name, namelen);
				folded[namelen] = '\0';
				str_fold(folded, namelen);
			}
			if (strncmp(folded, "utf-8", 5) != 0 &&
			    strncmp(folded, "utf_8", 5) != 0 &&
			    strcmp(folded, "utf8") != 0)
				fault_error(faults, line, 1 + (unsigned int)
				    utf8_count(p, (size_t)(name - p)),
				    "only UTF-8 is read: save the file as "
				    "UTF-8 and say so here");
			return;
		}
		if (end == NULL)
			return;
		len -= n + 1;
		p += n + 1;
	}
}

/* --- statements --- */

static bool
literal_at_end(const struct expression *e)
{
	return e->t.token.type == TOKEN_END ||
	    e->t.token.type == TOKEN_NEWLINE ||
	    (e->t.nesting == 0 && token_is(&e->t, ";"));
}

static void
literal_skip_line(struct expression *e)
{
	while (e->t.token.type != TOKEN_END && e->t.token.type != TOKEN_NEWLINE)
		token_next(&e->t);
	token_next(&e->t);
}

/*
 * Skips to the next statement. Indented lines belong to the wrong statement,
 * and so do the branches of a rejected block.
 */
static void
literal_skip(struct expression *e, bool block)
{
	size_t	i;

	if (!block)
		while (!literal_at_end(e))
			token_next(&e->t);
	if (token_is(&e->t, ";"))
		return;
	for (;;) {
		literal_skip_line(e);
		while (e->t.token.type != TOKEN_END && (e->t.token.column > 1 ||
		    e->t.token.type == TOKEN_NEWLINE))
			literal_skip_line(e);
		if (!block)
			return;
		for (i = 0; i < LITERAL_COUNT(literal_branches); i++)
			if (token_is(&e->t, literal_branches[i]))
				break;
		if (i == LITERAL_COUNT(literal_branches))
			return;
	}
}

/*
 * `from policyd_rate_limit.const import …`: these names are always known here.
 */
static int
literal_import_names(struct expression *e)
{
	bool	brackets;

	if (token_is(&e->t, "*")) {
		token_next(&e->t);
		return 0;
	}
	if ((brackets = token_is(&e->t, "(")))
		token_next(&e->t);
	for (;;) {
		if (e->t.token.type != TOKEN_NAME) {
			expression_unexpected(e, "a name");
			return -1;
		}
		token_next(&e->t);
		if (token_is(&e->t, "as")) {
			expression_fault(e, "another name" EXPRESSION_NOT_RUN
			    "use SQLITE_DB, MYSQL_DB and PGSQL_DB as they are");
			return -1;
		}
		if (!token_is(&e->t, ","))
			break;
		token_next(&e->t);
		if (brackets && token_is(&e->t, ")"))
			break;
	}
	if (brackets) {
		if (!token_is(&e->t, ")")) {
			expression_unexpected(e, "`,` or `)`");
			return -1;
		}
		token_next(&e->t);
	}
	return 0;
}

static int
literal_import(struct expression *e)
{
	static const char *const	 module[] = {
		"policyd_rate_limit", ".", "const", "import"
	};
	struct token			 from;
	size_t				 i;

	from = e->t.token;
	for (i = 0; i < LITERAL_COUNT(module); i++) {
		token_next(&e->t);
		if (!token_is(&e->t, module[i])) {
			fault_error(e->faults, from.line, from.column,
			    "an import" EXPRESSION_NOT_RUN "leave it out and "
			    "write the values themselves (only `from "
			    "policyd_rate_limit.const import ...` may stay)");
			return -1;
		}
	}
	token_next(&e->t);
	return literal_import_names(e);
}

/*
 * A statement that is not a setting. *block: an indented block belongs to it.
 */
static bool
literal_keyword(struct expression *e, bool *block)
{
	char	quote[64];
	size_t	i;

	for (i = 0; i < LITERAL_COUNT(literal_keywords); i++)
		if (token_is(&e->t, literal_keywords[i].name))
			break;
	if (i == LITERAL_COUNT(literal_keywords))
		return false;
	*block = literal_keywords[i].block;
	expression_fault(e, "%s" EXPRESSION_NOT_RUN "%s",
	    expression_quote(&e->t.token, quote, sizeof(quote)),
	    token_is(&e->t, "import") ?
	    "leave it out and write the values themselves" :
	    "write each setting once, as name = value");
	return true;
}

/* A fault: there is no `=` after the last name. */
static void
literal_no_assignment(struct expression *e)
{
	size_t	i;

	for (i = 0; i < LITERAL_COUNT(literal_behind); i++)
		if (token_is(&e->t, literal_behind[i].token)) {
			expression_fault(e, "%s", literal_behind[i].text);
			return;
		}
	expression_unexpected(e, "`=`");
}

/* Reads one name and its `=`; NULL with a fault if there is none. */
static struct value *
literal_setting_name(struct expression *e)
{
	struct value	*name;
	char		 quote[64];
	size_t		 i;

	if (e->t.token.type != TOKEN_NAME) {
		expression_unexpected(e, "the name of a setting");
		return NULL;
	}
	for (i = 0; i < LITERAL_COUNT(literal_reserved); i++)
		if (token_is(&e->t, literal_reserved[i])) {
			expression_fault(e, "%s is not the name of a setting",
			    expression_quote(&e->t.token, quote,
			    sizeof(quote)));
			return NULL;
		}
	name = value_str(e->t.token.text, e->t.token.len);
	name->line = e->t.token.line;
	name->column = e->t.token.column;
	token_next(&e->t);
	if (!token_is(&e->t, "=")) {
		literal_no_assignment(e);
		value_free(name);
		return NULL;
	}
	token_next(&e->t);
	return name;
}

static void
literal_set(struct expression *e, struct value *dict, struct value *name,
    struct value *v)
{
	if (value_get_key(dict, name) != NULL)
		fault_warning(e->faults, name->line, name->column,
		    "%s was set before: the last one counts", name->bytes);
	value_set(dict, name, v);
}

/* Reads name = value, or name = name = value as in Python. */
static int
literal_setting(struct expression *e, struct value *dict)
{
	struct value	*names, *name, *v;
	size_t		 i;

	v = NULL;
	names = value_new(VALUE_LIST);
	do {
		if ((name = literal_setting_name(e)) == NULL)
			goto fail;
		value_append(names, name);
	} while (e->t.token.type == TOKEN_NAME && token_assigns(&e->t));
	if ((v = expression_read(e)) == NULL)
		goto fail;
	for (i = 0; i < names->count; i++)
		literal_set(e, dict, value_copy(names->items[i]),
		    value_copy(v));
	value_free(names);
	value_free(v);
	return 0;
 fail:
	value_free(names);
	value_free(v);
	return -1;
}

/* A string alone has no effect, but people describe files with it. */
static int
literal_description(struct expression *e)
{
	struct value	*v;

	if (token_assigns(&e->t)) {
		expression_fault(e, "the name of a setting has no quotes");
		return -1;
	}
	if ((v = expression_read(e)) == NULL)
		return -1;
	value_free(v);
	return 0;
}

static void
literal_statement(struct expression *e, struct value *dict)
{
	bool	block;
	int	r;

	block = false;
	if (literal_keyword(e, &block))
		r = -1;
	else if (token_is(&e->t, "from"))
		r = literal_import(e);
	else if (e->t.token.type == TOKEN_STRING)
		r = literal_description(e);
	else
		r = literal_setting(e, dict);
	if (r == 0 && !literal_at_end(e)) {
		expression_unexpected(e, "the line's end");
		r = -1;
	}
	if (r == -1)
		literal_skip(e, block);
	if (token_is(&e->t, ";"))
		token_next(&e->t);
}

static void
literal_statements(struct expression *e, struct value *dict)
{
	bool	indented, before;

	before = false;
	while (e->t.token.type != TOKEN_END) {
		if (e->t.token.type == TOKEN_NEWLINE) {
			token_next(&e->t);
			continue;
		}
		indented = e->t.token.first && e->t.token.column > 1;
		if (indented && !before)
			expression_fault(e, "a statement begins at the start "
			    "of its line, without blanks");
		before = indented;
		literal_statement(e, dict);
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
	if (!literal_check_bytes(bytes, len, faults))
		literal_check_coding(bytes, len, faults);
	memset(&e, 0, sizeof(e));
	e.faults = faults;
	e.depth = 1;
	token_init(&e.t, bytes, len);
	literal_statements(&e, dict);
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
	literal_check_bytes(bytes, len, faults);
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
