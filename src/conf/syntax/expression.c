#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/syntax/expression.h"
#include "conf/fault.h"
#include "conf/settings.h"
#include "conf/syntax/number.h"
#include "conf/syntax/token.h"
#include "conf/value.h"
#include "lib/num.h"
#include "lib/str.h"

static struct value	*read_sum(struct expression *, bool product);

/* Whether the current token is wrong in itself; adds its fault. */
static bool
is_bad_token(struct expression *e)
{
	const struct token	*tok = &e->t.token;

	if (tok->fault == NULL)
		return false;
	fault_error(e->faults, tok->fault_line, tok->fault_column, "%s",
	    tok->fault);
	return true;
}

void
expression_unexpected(struct expression *e, const char *expected)
{
	const struct token	*tok = &e->t.token;
	char			 quote[64];

	if (is_bad_token(e))
		return;
	if (tok->type == TOKEN_END)
		strlcpy(quote, "the end", sizeof(quote));
	else if (tok->type == TOKEN_NEWLINE)
		strlcpy(quote, "the line's end", sizeof(quote));
	else if (tok->type == TOKEN_STRING)	/* may be a password */
		strlcpy(quote, "a string", sizeof(quote));
	else
		snprintf(quote, sizeof(quote), "`%.*s%s`",
		    (int)(tok->len > 30 ? 30 : tok->len), tok->text,
		    tok->len > 30 ? "..." : "");
	expression_fault(e, "%s is expected, not %s%s", expected, quote,
	    tok->type == TOKEN_NAME || (tok->type == TOKEN_OPERATOR &&
	    strchr(")]},;", *tok->text) == NULL) ?
	    ": Python is not run here, write the value itself" : "");
}

/* --- values --- */

static struct value *
set_place(struct value *v, const struct token *tok)
{
	v->line = tok->line;
	v->column = tok->column;
	return v;
}

/* Adjacent strings are joined. */
static struct value *
read_strings(struct expression *e)
{
	struct value	*v;
	struct token	 first;
	struct str	 s;
	bool		 bad;

	first = e->t.token;
	str_init(&s);
	str_add(&s, "", 0);
	for (bad = false; e->t.token.type == TOKEN_STRING; token_next(&e->t)) {
		bad |= is_bad_token(e);
		str_add(&s, e->t.string.data, e->t.string.len);
	}
	v = bad ? NULL : set_place(value_str(s.data, s.len), &first);
	str_wipe(&s);
	return v;
}

/* Signs apply to numbers only; an odd number of minus signs is `negative`. */
static struct value *
read_number(struct expression *e, bool negative)
{
	const struct token	*tok = &e->t.token;
	struct value		*v = NULL;
	int64_t			 n;

	if (is_bad_token(e))
		;
	else if (tok->type == TOKEN_FLOAT)
		v = value_float(negative ? -tok->number.real :
		    tok->number.real);
	else if (number_signed(&n, tok->number.magnitude, negative) == -1)
		expression_fault(e, NUMBER_TOO_LARGE);
	else
		v = value_int(n);
	if (v != NULL)
		set_place(v, tok);
	token_next(&e->t);
	return v;
}

static struct value *
read_name(struct expression *e)
{
	static const char *const	backends[] = {
		[BACKEND_SQLITE] = "SQLITE_DB", [BACKEND_MYSQL] = "MYSQL_DB",
		[BACKEND_PGSQL] = "PGSQL_DB"
	};
	struct value			*v = NULL;
	int				 i;

	if (token_is(&e->t, "True") || token_is(&e->t, "False"))
		v = value_bool(token_is(&e->t, "True"));
	else if (token_is(&e->t, "None"))
		v = value_new(VALUE_NONE);
	for (i = 0; i < BACKEND__MAX; i++)
		if (token_is(&e->t, backends[i]))
			v = value_int(i);
	if (v == NULL)
		expression_fault(e, "`%.*s` is not a value: Python is not run "
		    "here, write True, False, None, a number or text in quotes",
		    (int)(e->t.token.len > 30 ? 30 : e->t.token.len),
		    e->t.token.text);
	else
		set_place(v, &e->t.token);
	token_next(&e->t);
	return v;
}

/*
 * For a bracket that was left open, its place is more useful than the file's
 * end.
 */
static bool
is_unclosed(struct expression *e, const struct token *open)
{
	if (e->t.token.type != TOKEN_END && e->t.token.type != TOKEN_NEWLINE)
		return false;
	fault_error(e->faults, open->line, open->column, "`%c` is not closed",
	    *open->text);
	return true;
}

/* Skips a comma, or stops at the closing bracket. -1: neither is there. */
static int
read_comma(struct expression *e, const struct token *open, const char *close)
{
	char	expected[32];

	if (token_is(&e->t, ",")) {
		token_next(&e->t);
		return 0;
	}
	if (token_is(&e->t, close))
		return 0;
	if (!is_unclosed(e, open)) {
		snprintf(expected, sizeof(expected), "`,` or `%s`", close);
		expression_unexpected(e, expected);
	}
	return -1;
}

/* Reads a list, or the content of round brackets. */
static struct value *
read_sequence(struct expression *e, const struct token *open)
{
	struct value	*v, *item;
	const char	*close;
	bool		 comma;

	close = *open->text == '[' ? "]" : ")";
	v = value_new(*open->text == '[' ? VALUE_LIST : VALUE_TUPLE);
	comma = false;
	while (!token_is(&e->t, close)) {
		if (is_unclosed(e, open) || (item = read_sum(e, false)) == NULL)
			goto fail;
		value_append(v, item);
		comma = token_is(&e->t, ",");
		if (read_comma(e, open, close) == -1)
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

static struct value *
read_dict(struct expression *e, const struct token *open)
{
	struct value	*v, *key = NULL, *item;

	v = value_new(VALUE_DICT);
	while (!token_is(&e->t, "}")) {
		if (is_unclosed(e, open) || (key = read_sum(e, false)) == NULL)
			goto fail;
		if (!value_hashable(key)) {
			fault_error(e->faults, key->line, key->column,
			    "a %s cannot be a key",
			    value_type_name(key->type));
			goto fail;
		}
		if (!token_is(&e->t, ":")) {
			if (!is_unclosed(e, open))
				expression_unexpected(e, "`:`");
			goto fail;
		}
		token_next(&e->t);
		if (is_unclosed(e, open) || (item = read_sum(e, false)) == NULL)
			goto fail;
		if (value_get_key(v, key) != NULL)
			fault_warning(e->faults, key->line, key->column,
			    "this key was there before: the last one counts");
		value_set(v, key, item);
		key = NULL;
		if (read_comma(e, open, "}") == -1)
			goto fail;
	}
	token_next(&e->t);
	return v;
 fail:
	value_free(key);
	value_free(v);
	return NULL;
}

static struct value *
read_brackets(struct expression *e)
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
	v = *open.text == '{' ? read_dict(e, &open) :
	    read_sequence(e, &open);
	e->depth--;
	return v == NULL ? NULL : set_place(v, &open);
}

static struct value *
read_atom(struct expression *e)
{
	if (++e->values > VALUE_COUNT_MAX) {
		expression_fault(e, "more than %d values", VALUE_COUNT_MAX);
		return NULL;
	}
	switch (e->t.token.type) {
	case TOKEN_STRING:
		return read_strings(e);
	case TOKEN_INT:
	case TOKEN_FLOAT:
		return read_number(e, false);
	case TOKEN_NAME:
		return read_name(e);
	default:
		break;
	}
	if (token_is(&e->t, "(") || token_is(&e->t, "[") ||
	    token_is(&e->t, "{"))
		return read_brackets(e);
	expression_unexpected(e, "a value");
	return NULL;
}

/* --- arithmetic --- */

/* Takes both operands; the result has the place of the first. */
static struct value *
combine_numbers(struct expression *e, const struct token *sign,
    struct value *a, struct value *b)
{
	int64_t	n;
	int	r;

	if (a->type != VALUE_INT || b->type != VALUE_INT) {
		fault_error(e->faults, sign->line, sign->column,
		    "only whole numbers can be added, subtracted and "
		    "multiplied here: write what comes out of it");
		goto fail;
	}
	if (*sign->text == '+')
		r = num_add(a->integer, b->integer, &n);
	else if (*sign->text == '-')
		r = num_sub(a->integer, b->integer, &n);
	else
		r = num_mul(a->integer, b->integer, &n);
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
read_signed(struct expression *e)
{
	struct token	 first;
	struct value	*v;
	bool		 negative;

	first = e->t.token;
	negative = false;
	if (!token_is(&e->t, "-") && !token_is(&e->t, "+"))
		return read_atom(e);
	for (; token_is(&e->t, "-") || token_is(&e->t, "+"); token_next(&e->t))
		negative ^= token_is(&e->t, "-");
	if (e->t.token.type == TOKEN_INT || e->t.token.type == TOKEN_FLOAT)
		v = read_number(e, negative);
	else if ((v = read_atom(e)) == NULL)
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
	return v == NULL ? NULL : set_place(v, &first);
}

/* Reads a sum of products, or one product. */
static struct value *
read_sum(struct expression *e, bool product)
{
	struct token	 sign;
	struct value	*a, *b;

	a = product ? read_signed(e) : read_sum(e, true);
	while (a != NULL && (product ? token_is(&e->t, "*") :
	    token_is(&e->t, "+") || token_is(&e->t, "-"))) {
		sign = e->t.token;
		token_next(&e->t);
		b = product ? read_signed(e) : read_sum(e, true);
		if (b == NULL) {
			value_free(a);
			return NULL;
		}
		a = combine_numbers(e, &sign, a, b);
	}
	return a;
}

bool
expression_at_end(const struct expression *e)
{
	return e->t.token.type == TOKEN_END ||
	    e->t.token.type == TOKEN_NEWLINE ||
	    (e->t.nesting == 0 && token_is(&e->t, ";"));
}

struct value *
expression_read(struct expression *e)
{
	struct token	 first;
	struct value	*v, *item;

	first = e->t.token;
	if ((v = read_sum(e, false)) == NULL)
		return NULL;
	if (token_is(&e->t, ",")) {
		item = v;
		v = set_place(value_new(VALUE_TUPLE), &first);
		value_append(v, item);
	}
	while (v->type == VALUE_TUPLE && token_is(&e->t, ",")) {
		token_next(&e->t);
		if (expression_at_end(e))
			break;
		if ((item = read_sum(e, false)) == NULL)
			goto fail;
		value_append(v, item);
	}
	if (!expression_at_end(e)) {
		expression_unexpected(e, "the line's end");
		goto fail;
	}
	return v;
 fail:
	value_free(v);
	return NULL;
}
