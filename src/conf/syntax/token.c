#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/syntax/number.h"
#include "conf/syntax/token.h"
#include "lib/str.h"

void
token_init(struct tokenizer *t, const char *bytes, size_t len)
{
	memset(t, 0, sizeof(*t));
	str_init(&t->string);
	t->at = bytes;
	t->end = bytes + len;
	t->line = t->column = 1;
	t->fresh = true;
	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		t->at += 3;
	token_next(t);
}

void
token_clear(struct tokenizer *t)
{
	str_wipe(&t->string);
	memset(t, 0, sizeof(*t));
}

/* The byte at offset `i`; NUL after the end. */
static int
byte_at(const struct tokenizer *t, size_t i)
{
	return i < (size_t)(t->end - t->at) ? (unsigned char)t->at[i] : '\0';
}

static bool
at_break(const struct tokenizer *t)
{
	return t->at < t->end && (*t->at == '\n' || *t->at == '\r');
}

/* Skips `n` characters; a line break of any kind counts as one. */
static void
skip_chars(struct tokenizer *t, size_t n)
{
	uint32_t	c;
	bool		printable;

	for (; n > 0; n--) {
		if (at_break(t)) {
			t->at += byte_at(t, 0) == '\r' &&
			    byte_at(t, 1) == '\n' ? 2 : 1;
			t->line++;
			t->column = 1;
			t->fresh = true;
			continue;
		}
		t->at += str_code(t->at, (size_t)(t->end - t->at), &c,
		    &printable);
		t->column++;
	}
}

/* Keeps the first fault of a token, at the current place. */
static void
set_fault(struct tokenizer *t, const char *text)
{
	if (t->token.fault != NULL)
		return;
	t->token.fault = text;
	t->token.fault_line = t->line;
	t->token.fault_column = t->column;
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* --- strings --- */

/* Appends the character in UTF-8. */
static void
put_character(struct tokenizer *t, uint32_t c)
{
	if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) {
		set_fault(t, "there is no such character");
		return;
	}
	if (c < 0x80) {
		str_addc(&t->string, (int)c);
		return;
	}
	if (c < 0x800)
		str_addc(&t->string, (int)(0xc0 | c >> 6));
	else if (c < 0x10000)
		str_addc(&t->string, (int)(0xe0 | c >> 12));
	else {
		str_addc(&t->string, (int)(0xf0 | c >> 18));
		str_addc(&t->string, (int)(0x80 | (c >> 12 & 0x3f)));
	}
	if (c >= 0x800)
		str_addc(&t->string, (int)(0x80 | (c >> 6 & 0x3f)));
	str_addc(&t->string, (int)(0x80 | (c & 0x3f)));
}

/*
 * Reads the number of a character, after `skip` bytes at the backslash: at
 * least `min` digits.
 */
static void
read_number_escape(struct tokenizer *t, size_t skip, size_t min, size_t max,
    unsigned int base)
{
	unsigned int	d;
	uint32_t	c = 0;
	size_t		i;

	for (i = 0; i < max; i++) {
		if ((d = number_digit(byte_at(t, skip + i))) >= base)
			break;
		c = c * base + d;
	}
	if (i < min) {
		set_fault(t,
		    "\\x, \\u and \\U need 2, 4 and 8 hexadecimal digits");
		i = 0;
	} else
		put_character(t, c);
	skip_chars(t, skip + i);
}

/* Reads an escape of an ordinary string, at the backslash. */
static void
read_escape(struct tokenizer *t)
{
	static const char	 from[] = "\\'\"abfnrtv";
	static const char	 to[] = "\\'\"\a\b\f\n\r\t\v";
	const char		*p;
	int			 c;

	c = byte_at(t, 1);
	if (c == '\n' || c == '\r') {
		skip_chars(t, 2);
		t->fresh = false;
	} else if (c != '\0' && (p = strchr(from, c)) != NULL) {
		str_addc(&t->string, to[p - from]);
		skip_chars(t, 2);
	} else if (c >= '0' && c <= '7')
		read_number_escape(t, 1, 1, 3, 8);
	else if (c == 'x')
		read_number_escape(t, 2, 2, 2, 16);
	else if (c == 'u')
		read_number_escape(t, 2, 4, 4, 16);
	else if (c == 'U')
		read_number_escape(t, 2, 8, 8, 16);
	else {
		if (c == 'N')
			set_fault(t, "characters by name are not known here: "
			    "write the character itself");
		/* Python keeps other backslashes. */
		str_addc(&t->string, '\\');
		skip_chars(t, 1);
	}
}

static bool
at_quote(const struct tokenizer *t, int quote, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (byte_at(t, i) != quote)
			return false;
	return true;
}

/* Reads a string, from the opening quote. */
static void
read_string(struct tokenizer *t, bool raw)
{
	const char	*from;
	size_t		 n;
	int		 quote;

	t->token.type = TOKEN_STRING;
	str_wipe(&t->string);
	str_add(&t->string, "", 0);
	quote = byte_at(t, 0);
	n = at_quote(t, quote, 3) ? 3 : 1;
	skip_chars(t, n);
	while (!at_quote(t, quote, n)) {
		if (t->at == t->end || (n == 1 && at_break(t))) {
			t->token.fault = n == 1 ?
			    "the string has no closing quote on its line" :
			    "the string has no closing quotes";
			t->token.fault_line = t->token.line;
			t->token.fault_column = t->token.column;
			return;
		}
		from = t->at;
		/* A raw string keeps a backslash, and what it would escape. */
		if (*from == '\\' && raw) {
			str_addc(&t->string, '\\');
			skip_chars(t, 1);
			if (t->at == t->end ||
			    strchr("'\"\\\n\r", *t->at) == NULL)
				continue;
			from = t->at;
		}
		if (*from == '\\' && !raw)
			read_escape(t);
		else if (at_break(t)) {
			str_addc(&t->string, '\n');
			skip_chars(t, 1);
		} else {
			skip_chars(t, 1);
			str_add(&t->string, from, (size_t)(t->at - from));
		}
	}
	skip_chars(t, n);
	t->fresh = false;
}

/* Reads a prefix of letters and its string. False: it is not one. */
static bool
read_prefixed(struct tokenizer *t)
{
	size_t	n = 0;
	bool	raw = false;

	for (; n < 2 && is_letter(byte_at(t, n)); n++) {
		if (strchr("bBfFrRuU", byte_at(t, n)) == NULL)
			return false;
		raw |= byte_at(t, n) == 'r' || byte_at(t, n) == 'R';
	}
	if (n == 0 || (byte_at(t, n) != '\'' && byte_at(t, n) != '"'))
		return false;
	if (n > 1 || strchr("bBfF", byte_at(t, 0)) != NULL)
		set_fault(t, "only r or u may stand before a string here: "
		    "bytes and formatted strings need Python");
	skip_chars(t, n);
	read_string(t, raw);
	return true;
}

/* --- the rest --- */

static void
read_operator(struct tokenizer *t)
{
	int	c = byte_at(t, 0);

	t->token.type = TOKEN_OPERATOR;
	if (c == '(' || c == '[' || c == '{')
		t->nesting++;
	else if ((c == ')' || c == ']' || c == '}') && t->nesting > 0)
		t->nesting--;
	else if (strchr(")]},:;.=+-*/%&|^~<>@!", c) == NULL)
		set_fault(t, "this character has no meaning here: blanks, "
		    "quotes and dashes must be plain ones");
	skip_chars(t, 1);
}

/*
 * Skips blanks, comments, joined lines, and line breaks inside brackets. Also
 * skips bytes that are not text: they have a fault already.
 */
static void
skip_blanks(struct tokenizer *t)
{
	uint32_t	text;
	bool		printable;
	int		c;

	while (t->at < t->end) {
		c = byte_at(t, 0);
		if (c == '#') {
			while (t->at < t->end && !at_break(t))
				skip_chars(t, 1);
		} else if (c == '\\' && (byte_at(t, 1) == '\n' ||
		    byte_at(t, 1) == '\r')) {
			skip_chars(t, 2);
			t->fresh = false;
		} else if (c == ' ' || c == '\t' || c == '\f' || c == '\0' ||
		    (at_break(t) && t->nesting > 0) ||
		    (c >= 0x80 && str_code(t->at, (size_t)(t->end - t->at),
		    &text, &printable) == 1))
			skip_chars(t, 1);
		else
			break;
	}
}

/* The offset after letters and digits. */
static size_t
name_length(const struct tokenizer *t)
{
	size_t	n;

	for (n = 0; is_letter(byte_at(t, n)) || is_digit(byte_at(t, n)); n++)
		continue;
	return n;
}

/* Whether blanks and `=` are at the offset. */
static bool
assigns_at(const struct tokenizer *t, size_t n)
{
	while (byte_at(t, n) == ' ' || byte_at(t, n) == '\t')
		n++;
	return byte_at(t, n) == '=' && byte_at(t, n + 1) != '=';
}

bool
token_assigns(const struct tokenizer *t)
{
	return assigns_at(t, 0);
}

void
token_next(struct tokenizer *t)
{
	struct number	*n = &t->token.number;
	size_t		 len;
	int		 c;

	memset(&t->token, 0, sizeof(t->token));
	skip_blanks(t);
	t->token.text = t->at;
	t->token.line = t->line;
	t->token.column = t->column;
	t->token.first = t->fresh;
	if (t->at == t->end) {
		t->token.type = TOKEN_END;
		return;
	}
	/* A name and `=` at the start of a line. */
	if (t->nesting > 0 && t->column == 1 && is_letter(byte_at(t, 0)) &&
	    assigns_at(t, name_length(t))) {
		t->nesting = 0;
		t->token.type = TOKEN_NEWLINE;
		return;
	}
	if (at_break(t)) {
		t->token.type = TOKEN_NEWLINE;
		skip_chars(t, 1);
		return;
	}
	t->fresh = false;
	c = byte_at(t, 0);
	if (c == '\'' || c == '"')
		read_string(t, false);
	else if (read_prefixed(t))
		;
	else if (is_letter(c)) {
		t->token.type = TOKEN_NAME;
		skip_chars(t, name_length(t));
	} else if (is_digit(c) || (c == '.' && is_digit(byte_at(t, 1)))) {
		len = number_read(n, t->at, (size_t)(t->end - t->at));
		t->token.type = n->whole ? TOKEN_INT : TOKEN_FLOAT;
		if (n->fault != NULL)
			set_fault(t, n->fault);
		skip_chars(t, len);
	} else
		read_operator(t);
	t->token.len = (size_t)(t->at - t->token.text);
}

bool
token_is(const struct tokenizer *t, const char *text)
{
	size_t	len;

	if (t->token.type != TOKEN_NAME && t->token.type != TOKEN_OPERATOR)
		return false;
	len = strlen(text);
	return t->token.len == len && memcmp(t->token.text, text, len) == 0;
}
