#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/syntax/number.h"
#include "conf/syntax/token.h"
#include "conf/syntax/utf8.h"
#include "lib/str.h"

/* Longest first: the first match counts. */
static const char *const token_operators[] = {
	"**=", "//=", "<<=", ">>=", "...",
	"**", "//", "<<", ">>", "==", "!=", "<=", ">=", "->", ":=", "+=", "-=",
	"*=", "/=", "%=", "&=", "|=", "^=", "@=",
	"(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "=", "+", "-", "*",
	"/", "%", "&", "|", "^", "~", "<", ">", "@"
};

/* Characters that word processors substitute for ASCII ones. */
static const struct {
	uint32_t	 first;
	uint32_t	 last;
	const char	*text;
} token_lookalikes[] = {
	{ 0xa0, 0xa0, "a no-break space: write a plain space" },
	{ 0x2000, 0x200b, "a special space: write a plain space" },
	{ 0x2010, 0x2015, "a dash: write -" },
	{ 0x2018, 0x201f, "a typographic quotation mark: write \" or '" },
	{ 0xfeff, 0xfeff, "a byte order mark belongs at the file's start" }
};

static void	token_fault(struct tokenizer *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

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
token_byte(const struct tokenizer *t, size_t i)
{
	return i < (size_t)(t->end - t->at) ? (unsigned char)t->at[i] : '\0';
}

static bool
token_at_break(const struct tokenizer *t)
{
	return t->at < t->end && (*t->at == '\n' || *t->at == '\r');
}

/* Skips one character; a line break of any kind counts as one. */
static void
token_step(struct tokenizer *t)
{
	uint32_t	c;
	size_t		n;

	if (token_at_break(t)) {
		t->at += token_byte(t, 0) == '\r' && token_byte(t, 1) == '\n' ?
		    2 : 1;
		t->line++;
		t->column = 1;
		t->fresh = true;
		return;
	}
	n = utf8_decode(t->at, (size_t)(t->end - t->at), &c);
	t->at += n == 0 ? 1 : n;
	t->column++;
}

static void
token_skip(struct tokenizer *t, size_t n)
{
	while (n-- > 0)
		token_step(t);
}

/* Keeps the first fault of a token, at the current place. */
static void
token_fault(struct tokenizer *t, const char *fmt, ...)
{
	va_list	ap;

	if (t->token.fault[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(t->token.fault, sizeof(t->token.fault), fmt, ap);
	va_end(ap);
	t->token.fault_line = t->line;
	t->token.fault_column = t->column;
}

/* A fault of the whole token, at its start. */
static void
token_fault_start(struct tokenizer *t, const char *text)
{
	token_fault(t, "%s", text);
	t->token.fault_line = t->token.line;
	t->token.fault_column = t->token.column;
}

static bool
token_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
token_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* --- strings --- */

static void
token_character(struct tokenizer *t, uint32_t c)
{
	char	utf8[UTF8_MAX];
	size_t	n;

	if ((n = utf8_encode(utf8, c)) == 0)
		token_fault(t, c > 0x10ffff ? "there is no such character" :
		    "half a surrogate pair: write the character itself");
	else
		str_add(&t->string, utf8, n);
}

static int
token_hex(int c)
{
	if (token_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads \xNN, \uNNNN, \UNNNNNNNN, at the backslash. */
static void
token_escape_hex(struct tokenizer *t, size_t digits)
{
	uint32_t	c;
	size_t		i;
	int		d;

	for (c = 0, i = 0; i < digits; i++) {
		if ((d = token_hex(token_byte(t, 2 + i))) == -1) {
			token_fault(t, "\\%c needs %zu hexadecimal digits",
			    token_byte(t, 1), digits);
			token_skip(t, 2);
			return;
		}
		c = c << 4 | (uint32_t)d;
	}
	token_character(t, c);
	token_skip(t, 2 + digits);
}

static void
token_escape_octal(struct tokenizer *t)
{
	uint32_t	c;
	size_t		i;

	for (c = 0, i = 1; i <= 3; i++) {
		if (token_byte(t, i) < '0' || token_byte(t, i) > '7')
			break;
		c = c << 3 | (uint32_t)(token_byte(t, i) - '0');
	}
	token_character(t, c);
	token_skip(t, i);
}

/* Reads an escape of an ordinary string, at the backslash. */
static void
token_escape(struct tokenizer *t)
{
	static const char	 from[] = "\\'\"abfnrtv";
	static const char	 to[] = "\\'\"\a\b\f\n\r\t\v";
	const char		*p;
	int			 c;

	c = token_byte(t, 1);
	if (c == '\n' || c == '\r') {
		token_skip(t, 2);
		t->fresh = false;
	} else if (c != '\0' && (p = strchr(from, c)) != NULL) {
		str_addc(&t->string, to[p - from]);
		token_skip(t, 2);
	} else if (c >= '0' && c <= '7')
		token_escape_octal(t);
	else if (c == 'x')
		token_escape_hex(t, 2);
	else if (c == 'u')
		token_escape_hex(t, 4);
	else if (c == 'U')
		token_escape_hex(t, 8);
	else {
		if (c == 'N')
			token_fault(t, "characters by name are not known here: "
			    "write the character itself");
		/* Python keeps other backslashes. */
		str_addc(&t->string, '\\');
		token_step(t);
	}
}

static bool
token_at_quote(const struct tokenizer *t, int quote, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (token_byte(t, i) != quote)
			return false;
	return true;
}

/* A raw string keeps a backslash, and the quote or line break after it. */
static void
token_raw(struct tokenizer *t)
{
	str_addc(&t->string, '\\');
	token_step(t);
	if (token_at_break(t)) {
		str_addc(&t->string, '\n');
		token_step(t);
	} else if (t->at < t->end && strchr("'\"\\", *t->at) != NULL) {
		str_add(&t->string, t->at, 1);
		token_step(t);
	}
}

/* Reads a string, from the opening quote. */
static void
token_read_string(struct tokenizer *t, bool raw)
{
	const char	*from;
	size_t		 n;
	int		 quote;

	t->token.type = TOKEN_STRING;
	str_wipe(&t->string);
	str_add(&t->string, "", 0);
	quote = token_byte(t, 0);
	n = token_at_quote(t, quote, 3) ? 3 : 1;
	token_skip(t, n);
	while (!token_at_quote(t, quote, n)) {
		if (t->at == t->end || (n == 1 && token_at_break(t))) {
			token_fault_start(t, n == 1 ?
			    "the string has no closing quote on its line" :
			    "the string has no closing quotes");
			return;
		}
		from = t->at;
		if (*from == '\\' && raw)
			token_raw(t);
		else if (*from == '\\')
			token_escape(t);
		else if (token_at_break(t)) {
			str_addc(&t->string, '\n');
			token_step(t);
		} else {
			token_step(t);
			str_add(&t->string, from, (size_t)(t->at - from));
		}
	}
	token_skip(t, n);
	t->fresh = false;
}

/* Reads a prefix of letters and its string. False: it is not one. */
static bool
token_read_prefixed(struct tokenizer *t)
{
	char	prefix[3];
	size_t	n;

	for (n = 0; token_letter(token_byte(t, n)); n++) {
		if (n == sizeof(prefix) - 1)
			return false;
		prefix[n] = (char)token_byte(t, n);
	}
	prefix[n] = '\0';
	str_fold(prefix, n);
	if (n == 0 || strspn(prefix, "bfru") != n ||
	    (token_byte(t, n) != '\'' && token_byte(t, n) != '"'))
		return false;
	if (strchr(prefix, 'b') != NULL)
		token_fault_start(t, "bytes are not known here: "
		    "write the string without b");
	else if (strchr(prefix, 'f') != NULL)
		token_fault_start(t, "a formatted string needs Python, which "
		    "is not run here: write the text as it comes out, "
		    "without f");
	else if (n > 1)
		token_fault_start(t, "no such kind of string: write r or u");
	token_skip(t, n);
	token_read_string(t, strchr(prefix, 'r') != NULL);
	return true;
}

/* --- numbers --- */

static void
token_read_number(struct tokenizer *t)
{
	struct number	n;
	size_t		len;

	len = number_read(&n, t->at, (size_t)(t->end - t->at));
	t->token.type = n.whole ? TOKEN_INT : TOKEN_FLOAT;
	t->token.magnitude = n.magnitude;
	t->token.real = n.real;
	if (n.fault != NULL)
		token_fault_start(t, n.fault);
	token_skip(t, len);
}

/* --- the rest --- */

/* Names are ASCII, as those of all settings are. */
static void
token_read_name(struct tokenizer *t)
{
	t->token.type = TOKEN_NAME;
	while (token_letter(token_byte(t, 0)) || token_digit(token_byte(t, 0)))
		token_step(t);
}

static void
token_read_operator(struct tokenizer *t)
{
	uint32_t	c;
	size_t		i, n;

	t->token.type = TOKEN_OPERATOR;
	c = 0;
	for (i = 0; i < sizeof(token_operators) / sizeof(token_operators[0]);
	    i++) {
		n = strlen(token_operators[i]);
		if ((size_t)(t->end - t->at) < n ||
		    memcmp(t->at, token_operators[i], n) != 0)
			continue;
		if (strchr("([{", *t->at) != NULL)
			t->nesting++;
		else if (strchr(")]}", *t->at) != NULL && t->nesting > 0)
			t->nesting--;
		token_skip(t, n);
		return;
	}
	utf8_decode(t->at, (size_t)(t->end - t->at), &c);
	for (i = 0; i < sizeof(token_lookalikes) / sizeof(token_lookalikes[0]);
	    i++)
		if (c >= token_lookalikes[i].first &&
		    c <= token_lookalikes[i].last)
			token_fault(t, "%s", token_lookalikes[i].text);
	if (c == '\\')
		token_fault(t, "only the line's end may follow a backslash");
	token_fault(t, "this character has no meaning here");
	token_step(t);
}

/*
 * Skips blanks, comments, joined lines, and line breaks inside brackets. Also
 * skips bytes that are not text: they have a fault already.
 */
static void
token_skip_blanks(struct tokenizer *t)
{
	uint32_t	text;
	int		c;

	while (t->at < t->end) {
		c = token_byte(t, 0);
		if (c == '#') {
			while (t->at < t->end && !token_at_break(t))
				token_step(t);
		} else if (c == '\\' && (token_byte(t, 1) == '\n' ||
		    token_byte(t, 1) == '\r')) {
			token_skip(t, 2);
			t->fresh = false;
		} else if (c == ' ' || c == '\t' || c == '\f' || c == '\0' ||
		    (token_at_break(t) && t->nesting > 0) ||
		    utf8_decode(t->at, (size_t)(t->end - t->at), &text) == 0)
			token_step(t);
		else
			break;
	}
}

static bool
token_assigns_at(const struct tokenizer *t, size_t n)
{
	while (token_byte(t, n) == ' ' || token_byte(t, n) == '\t')
		n++;
	return token_byte(t, n) == '=' && token_byte(t, n + 1) != '=';
}

/* Whether a name at the start of a line and an `=` follow. */
static bool
token_at_statement(const struct tokenizer *t)
{
	size_t	n;

	if (t->column != 1 || !token_letter(token_byte(t, 0)))
		return false;
	for (n = 0; token_letter(token_byte(t, n)) ||
	    token_digit(token_byte(t, n)); n++)
		continue;
	return token_assigns_at(t, n);
}

bool
token_assigns(const struct tokenizer *t)
{
	return token_assigns_at(t, 0);
}

void
token_next(struct tokenizer *t)
{
	int	c;

	memset(&t->token, 0, sizeof(t->token));
	token_skip_blanks(t);
	t->token.text = t->at;
	t->token.line = t->line;
	t->token.column = t->column;
	t->token.first = t->fresh;
	if (t->at == t->end) {
		t->token.type = TOKEN_END;
		return;
	}
	if (t->nesting > 0 && t->fresh && token_at_statement(t)) {
		t->nesting = 0;
		t->token.type = TOKEN_NEWLINE;
		return;
	}
	if (token_at_break(t)) {
		t->token.type = TOKEN_NEWLINE;
		token_step(t);
		return;
	}
	t->fresh = false;
	c = token_byte(t, 0);
	if (c == '\'' || c == '"')
		token_read_string(t, false);
	else if (token_read_prefixed(t))
		;
	else if (token_letter(c))
		token_read_name(t);
	else if (token_digit(c) || (c == '.' && token_digit(token_byte(t, 1))))
		token_read_number(t);
	else
		token_read_operator(t);
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
