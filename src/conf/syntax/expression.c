#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/syntax/expression.h"
#include "conf/fault.h"
#include "conf/syntax/token.h"
#include "conf/value.h"
#include "lib/num.h"
#include "lib/str.h"

static const struct {
	const char	*name;
	int		 number;
} expression_constants[] = {
	{ "SQLITE_DB", 0 },
	{ "MYSQL_DB", 1 },
	{ "PGSQL_DB", 2 }
};

/* Names that people write in place of a literal, and what to write instead. */
static const struct {
	const char	*name;
	const char	*hint;
} expression_meant[] = {
	{ "true", "write True" }, { "TRUE", "write True" },
	{ "yes", "write True" }, { "Yes", "write True" },
	{ "on", "write True" }, { "On", "write True" },
	{ "false", "write False" }, { "FALSE", "write False" },
	{ "no", "write False" }, { "No", "write False" },
	{ "off", "write False" }, { "Off", "write False" },
	{ "none", "write None" }, { "null", "write None" },
	{ "NULL", "write None" }, { "nil", "write None" },
	{ "sqlite", "write SQLITE_DB or \"sqlite\"" },
	{ "mysql", "write MYSQL_DB or \"mysql\"" },
	{ "pgsql", "write PGSQL_DB or \"pgsql\"" },
	{ "dict", "write {\"name\": value}" }, { "list", "write [ ]" },
	{ "set", "write [ ]" }, { "tuple", "write ( )" },
	{ "range", "write the numbers themselves, in [ ]" },
	{ "lambda", "write the value itself" },
	{ "not", "write True or False" }
};

/* What people write after a value that is Python but not data. */
static const struct {
	const char	*token;
	const char	*text;
} expression_behind[] = {
	{ "(", "a comma is missing, or this is a call, which needs Python: "
	    "write the value it returns" },
	{ "[", "a comma is missing, or this takes a part, which needs Python: "
	    "write the value itself" },
	{ ".", "an attribute" EXPRESSION_NOT_RUN "write the value itself" },
	{ "%", "`%`" EXPRESSION_NOT_RUN "write what comes out of it" },
	{ "/", "only + - * are known here: write what comes out of it" },
	{ "//", "only + - * are known here: write what comes out of it" },
	{ "**", "only + - * are known here: write what comes out of it" },
	{ "<<", "only + - * are known here: write what comes out of it" },
	{ ">>", "only + - * are known here: write what comes out of it" },
	{ "|", "only + - * are known here: write what comes out of it" },
	{ "&", "only + - * are known here: write what comes out of it" },
	{ "^", "only + - * are known here: write what comes out of it" },
	{ "==", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ "!=", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ "<", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ ">", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ "<=", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ ">=", "a comparison" EXPRESSION_NOT_RUN "write True or False" },
	{ "if", "a condition" EXPRESSION_NOT_RUN
	    "write the value that applies" },
	{ "for", "a comprehension" EXPRESSION_NOT_RUN
	    "write the items themselves" },
	{ "and", "`and`" EXPRESSION_NOT_RUN "write the value itself" },
	{ "or", "`or`" EXPRESSION_NOT_RUN "write the value itself" },
	{ "in", "`in`" EXPRESSION_NOT_RUN "write True or False" },
	{ "is", "`is`" EXPRESSION_NOT_RUN "write True or False" },
	{ "not", "`not`" EXPRESSION_NOT_RUN "write True or False" },
	{ ":=", "`:=`" EXPRESSION_NOT_RUN "write name = value" },
	{ "=", "`=` within a value: write {\"name\": value} for several "
	    "values with names" }
};

#define EXPRESSION_COUNT(table)	(sizeof(table) / sizeof((table)[0]))

static struct value	*expression_sum(struct expression *);

/* --- faults --- */

void
expression_fault(struct expression *e, const char *fmt, ...)
{
	char	text[512];
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_error(e->faults, e->t.token.line, e->t.token.column, "%s", text);
}

const char *
expression_quote(const struct token *tok, char *dst, size_t size)
{
	switch (tok->type) {
	case TOKEN_END:
		strlcpy(dst, "the end", size);
		break;
	case TOKEN_NEWLINE:
		strlcpy(dst, "the line's end", size);
		break;
	case TOKEN_STRING:		/* may be a password */
		strlcpy(dst, "a string", size);
		break;
	default:
		snprintf(dst, size, "`%.*s%s`", (int)(tok->len > 30 ? 30 :
		    tok->len), tok->text, tok->len > 30 ? "..." : "");
		break;
	}
	return dst;
}

#define expression_fault(e, ...) \
	fault_error((e)->faults, (e)->t.token.line, (e)->t.token.column, \
	    __VA_ARGS__)

/* Whether the current token is wrong in itself; adds its fault. */
static bool
expression_bad_token(struct expression *e)
{
	const struct token	*tok = &e->t.token;

	if (tok->fault[0] == '\0')
		return false;
	fault_error(e->faults, tok->fault_line, tok->fault_column, "%s",
	    tok->fault);
	return true;
}

void
expression_unexpected(struct expression *e, const char *expected)
{
	char	quote[64];

	if (!expression_bad_token(e))
		expression_fault(e, "%s is expected, not %s", expected,
		    expression_quote(&e->t.token, quote, sizeof(quote)));
}

/* The same, after a value. */
static void
expression_unexpected_behind(struct expression *e, const char *expected)
{
	size_t	i;

	for (i = 0; i < EXPRESSION_COUNT(expression_behind); i++)
		if (token_is(&e->t, expression_behind[i].token)) {
			expression_fault(e, "%s", expression_behind[i].text);
			return;
		}
	expression_unexpected(e, expected);
}

/* A fault for a name in place of a value. */
static void
expression_unknown_name(struct expression *e)
{
	char		 quote[64];
	const char	*hint;
	size_t		 i;

	expression_quote(&e->t.token, quote, sizeof(quote));
	for (i = 0; i < EXPRESSION_COUNT(expression_meant); i++)
		if (token_is(&e->t, expression_meant[i].name)) {
			expression_fault(e, "%s is not a value: %s", quote,
			    expression_meant[i].hint);
			return;
		}
	hint = "write the value itself; text belongs in quotes";
	if (e->t.at < e->t.end && (*e->t.at == '(' || *e->t.at == '.'))
		expression_fault(e, "%s" EXPRESSION_NOT_RUN "%s", quote, hint);
	else
		expression_fault(e, "%s is not a value: %s", quote, hint);
}

/* --- values --- */

static struct value *
expression_place(struct value *v, const struct token *tok)
{
	v->line = tok->line;
	v->column = tok->column;
	return v;
}

/* Adjacent strings are joined. */
static struct value *
expression_strings(struct expression *e)
{
	struct value	*v;
	struct token	 first;
	struct str	 s;
	bool		 bad;

	first = e->t.token;
	str_init(&s);
	str_add(&s, "", 0);
	for (bad = false; e->t.token.type == TOKEN_STRING; token_next(&e->t)) {
		bad |= expression_bad_token(e);
		str_add(&s, e->t.string.data, e->t.string.len);
	}
	v = bad ? NULL : expression_place(value_str(s.data, s.len), &first);
	str_wipe(&s);
	return v;
}

/* Signs apply to numbers only; an odd number of minus signs is `negative`. */
static struct value *
expression_number(struct expression *e, bool negative)
{
	const struct token	*tok = &e->t.token;
	struct value		*v;
	uint64_t		 limit;

	limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	v = NULL;
	if (expression_bad_token(e))
		;
	else if (tok->type == TOKEN_FLOAT)
		v = value_float(negative ? -tok->real : tok->real);
	else if (tok->magnitude > limit)
		expression_fault(e, "the number is too large");
	else if (tok->magnitude > INT64_MAX)
		v = value_int(INT64_MIN);
	else
		v = value_int(negative ? -(int64_t)tok->magnitude :
		    (int64_t)tok->magnitude);
	if (v != NULL)
		expression_place(v, tok);
	token_next(&e->t);
	return v;
}

static struct value *
expression_name(struct expression *e)
{
	struct value	*v;
	size_t		 i;

	v = NULL;
	if (token_is(&e->t, "True") || token_is(&e->t, "False"))
		v = value_bool(token_is(&e->t, "True"));
	else if (token_is(&e->t, "None"))
		v = value_new(VALUE_NONE);
	for (i = 0; i < EXPRESSION_COUNT(expression_constants); i++)
		if (token_is(&e->t, expression_constants[i].name))
			v = value_int(expression_constants[i].number);
	if (v == NULL)
		expression_unknown_name(e);
	else
		expression_place(v, &e->t.token);
	token_next(&e->t);
	return v;
}

/*
 * For a bracket that was left open, its place is more useful than the file's
 * end.
 */
static bool
expression_unclosed(struct expression *e, const struct token *open)
{
	if (e->t.token.type != TOKEN_END && e->t.token.type != TOKEN_NEWLINE)
		return false;
	fault_error(e->faults, open->line, open->column, "`%c` is not closed",
	    *open->text);
	return true;
}

/* Skips a comma, or stops at the closing bracket. -1: neither is there. */
static int
expression_comma(struct expression *e, const struct token *open,
    const char *close)
{
	char	expected[32];

	if (token_is(&e->t, ",")) {
		token_next(&e->t);
		return 0;
	}
	if (token_is(&e->t, close))
		return 0;
	if (!expression_unclosed(e, open)) {
		snprintf(expected, sizeof(expected), "`,` or `%s`", close);
		expression_unexpected_behind(e, expected);
	}
	return -1;
}

/* Reads a list, or the content of round brackets. */
static struct value *
expression_sequence(struct expression *e, const struct token *open)
{
	struct value	*v, *item;
	const char	*close;
	bool		 comma;

	close = *open->text == '[' ? "]" : ")";
	v = value_new(*open->text == '[' ? VALUE_LIST : VALUE_TUPLE);
	comma = false;
	while (!token_is(&e->t, close)) {
		if (expression_unclosed(e, open) ||
		    (item = expression_sum(e)) == NULL)
			goto fail;
		value_append(v, item);
		comma = token_is(&e->t, ",");
		if (expression_comma(e, open, close) == -1)
			goto fail;
	}
	token_next(&e->t);
	if (v->type == VALUE_TUPLE && v->count == 1 && !comma) {
		/* Round brackets around one value do not make a tuple. */
		item = v->items[0];
		v->count = 0;
		value_free(v);
		v = item;
	}
	return v;
 fail:
	value_free(v);
	return NULL;
}

static int
expression_entry(struct expression *e, struct value *dict,
    const struct token *open)
{
	struct value	*key, *item;

	if ((key = expression_sum(e)) == NULL)
		return -1;
	if (!value_hashable(key)) {
		fault_error(e->faults, key->line, key->column,
		    "a %s cannot be a key", value_type_name(key->type));
		goto fail;
	}
	if (token_is(&e->t, ",") || token_is(&e->t, "}")) {
		expression_fault(e, "`:` and a value are missing: "
		    "{name: value} is a dictionary, [a, b] a list");
		goto fail;
	}
	if (!token_is(&e->t, ":")) {
		if (!expression_unclosed(e, open))
			expression_unexpected(e, "`:`");
		goto fail;
	}
	token_next(&e->t);
	if (expression_unclosed(e, open) || (item = expression_sum(e)) == NULL)
		goto fail;
	if (value_get_key(dict, key) != NULL)
		fault_warning(e->faults, key->line, key->column,
		    "this key was there before: the last one counts");
	value_set(dict, key, item);
	return 0;
 fail:
	value_free(key);
	return -1;
}

static struct value *
expression_dict(struct expression *e, const struct token *open)
{
	struct value	*v;

	v = value_new(VALUE_DICT);
	while (!token_is(&e->t, "}"))
		if (expression_unclosed(e, open) ||
		    expression_entry(e, v, open) == -1 ||
		    expression_comma(e, open, "}") == -1) {
			value_free(v);
			return NULL;
		}
	token_next(&e->t);
	return v;
}

static struct value *
expression_brackets(struct expression *e)
{
	struct value	*v;
	struct token	 open;

	/* Reserves one level for a tuple without brackets around everything. */
	if (e->depth >= VALUE_DEPTH_MAX - 1) {
		expression_fault(e, "too many brackets inside each other");
		return NULL;
	}
	open = e->t.token;
	e->depth++;
	token_next(&e->t);
	v = *open.text == '{' ? expression_dict(e, &open) :
	    expression_sequence(e, &open);
	e->depth--;
	return v == NULL ? NULL : expression_place(v, &open);
}

static struct value *
expression_atom(struct expression *e)
{
	if (++e->values > VALUE_COUNT_MAX) {
		expression_fault(e, "more than %d values", VALUE_COUNT_MAX);
		return NULL;
	}
	switch (e->t.token.type) {
	case TOKEN_STRING:
		return expression_strings(e);
	case TOKEN_INT:
	case TOKEN_FLOAT:
		return expression_number(e, false);
	case TOKEN_NAME:
		return expression_name(e);
	default:
		break;
	}
	if (token_is(&e->t, "(") || token_is(&e->t, "[") ||
	    token_is(&e->t, "{"))
		return expression_brackets(e);
	if (token_is(&e->t, "*") || token_is(&e->t, "**"))
		expression_fault(e, "unpacking" EXPRESSION_NOT_RUN
		    "write the items themselves");
	else
		expression_unexpected(e, "a value");
	return NULL;
}

/* --- arithmetic --- */

/* Python adds lists and strings too; here the result must be written. */
static const char *
expression_no_sum(const struct value *a, const struct value *b)
{
	if (a->type == VALUE_STR && b->type == VALUE_STR)
		return "strings are joined by writing them beside each other, "
		    "without +";
	if (a->type == b->type && a->type != VALUE_BOOL && a->count > 0)
		return "write one list with all items";
	return "only whole numbers can be added, subtracted and multiplied "
	    "here: write what comes out of it";
}

/* Takes both operands; the result has the place of the first. */
static struct value *
expression_combine(struct expression *e, const struct token *sign,
    struct value *a, struct value *b)
{
	int64_t	n;
	int	r;

	if (a->type != VALUE_INT || b->type != VALUE_INT) {
		fault_error(e->faults, sign->line, sign->column, "%s",
		    expression_no_sum(a, b));
		goto fail;
	}
	switch (*sign->text) {
	case '+':
		r = num_add(a->integer, b->integer, &n);
		break;
	case '-':
		r = num_sub(a->integer, b->integer, &n);
		break;
	default:
		r = num_mul(a->integer, b->integer, &n);
		break;
	}
	if (r == -1) {
		fault_error(e->faults, sign->line, sign->column,
		    "the result is too large");
		goto fail;
	}
	a->integer = n;
	value_free(b);
	return a;
 fail:
	value_free(a);
	value_free(b);
	return NULL;
}

/*
 * Reads signs before a value, in a loop, since there may be very many of them.
 */
static struct value *
expression_signed(struct expression *e)
{
	struct token	 first;
	struct value	*v;
	bool		 negative;

	first = e->t.token;
	negative = false;
	if (!token_is(&e->t, "-") && !token_is(&e->t, "+"))
		return expression_atom(e);
	for (; token_is(&e->t, "-") || token_is(&e->t, "+"); token_next(&e->t))
		negative ^= token_is(&e->t, "-");
	if (e->t.token.type == TOKEN_INT || e->t.token.type == TOKEN_FLOAT)
		v = expression_number(e, negative);
	else if ((v = expression_atom(e)) == NULL)
		return NULL;
	else if (v->type == VALUE_FLOAT)
		v->real = negative ? -v->real : v->real;
	else if (v->type != VALUE_INT || (negative &&
	    num_sub(0, v->integer, &v->integer) == -1)) {
		fault_error(e->faults, first.line, first.column,
		    v->type == VALUE_INT ? "the result is too large" :
		    "a sign needs a number behind it");
		value_free(v);
		return NULL;
	}
	return v == NULL ? NULL : expression_place(v, &first);
}

static struct value *
expression_product(struct expression *e)
{
	struct token	 sign;
	struct value	*a, *b;

	a = expression_signed(e);
	while (a != NULL && token_is(&e->t, "*")) {
		sign = e->t.token;
		token_next(&e->t);
		if ((b = expression_signed(e)) == NULL) {
			value_free(a);
			return NULL;
		}
		a = expression_combine(e, &sign, a, b);
	}
	return a;
}

static struct value *
expression_sum(struct expression *e)
{
	struct token	 sign;
	struct value	*a, *b;

	a = expression_product(e);
	while (a != NULL && (token_is(&e->t, "+") || token_is(&e->t, "-"))) {
		sign = e->t.token;
		token_next(&e->t);
		if ((b = expression_product(e)) == NULL) {
			value_free(a);
			return NULL;
		}
		a = expression_combine(e, &sign, a, b);
	}
	return a;
}

static bool
expression_at_end(const struct expression *e)
{
	return e->t.token.type == TOKEN_END ||
	    e->t.token.type == TOKEN_NEWLINE || token_is(&e->t, ";");
}

struct value *
expression_read(struct expression *e)
{
	struct token	 first;
	struct value	*v, *item;

	first = e->t.token;
	if ((v = expression_sum(e)) == NULL)
		return NULL;
	if (token_is(&e->t, ",")) {
		item = v;
		v = expression_place(value_new(VALUE_TUPLE), &first);
		value_append(v, item);
	}
	while (v->type == VALUE_TUPLE && token_is(&e->t, ",")) {
		token_next(&e->t);
		if (expression_at_end(e))
			break;
		if ((item = expression_sum(e)) == NULL)
			goto fail;
		value_append(v, item);
	}
	if (!expression_at_end(e)) {
		expression_unexpected_behind(e, "the line's end");
		goto fail;
	}
	return v;
 fail:
	value_free(v);
	return NULL;
}
