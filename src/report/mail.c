#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/width.h"
#include "report/mail.h"

#define LINE_MAX_QP	76	/* RFC 2045 6.7 */
#define WORD_MAX	48	/* of an encoded word: RFC 2047 2 has 75 */
#define SUBJECT_MAX	70	/* written unencoded, in one line */
#define ADDRESS_MAX	250	/* likewise; a line has at most 998 */

static const char	hex[] = "0123456789ABCDEF";

/* --- headers --- */

static bool
is_plain(const char *text, size_t len, const char *also)
{
	const char	*end = text + len;

	for (; text < end; text++)
		if (!((*text >= 'a' && *text <= 'z') ||
		    (*text >= 'A' && *text <= 'Z') ||
		    (*text >= '0' && *text <= '9') ||
		    strchr(also, *text) != NULL))
			return false;
	return true;
}

/*
 * Appends encoded words, each with whole characters, also valid in a phrase
 * (RFC 2047 4.2). The text is printable UTF-8.
 */
static void
add_encoded(struct str *s, const char *text)
{
	char	piece[12];
	size_t	len, n, i, at = 0;

	str_adds(s, "=?utf-8?q?");
	for (; *text != '\0'; text += n) {
		n = width_bytes(text);
		len = 1;
		if (*text == ' ')
			piece[0] = '_';
		else if (n == 1 && is_plain(text, 1, ""))
			piece[0] = *text;
		else
			for (i = len = 0; i < n; i++) {
				piece[len++] = '=';
				piece[len++] = hex[(unsigned char)text[i] >> 4];
				piece[len++] = hex[(unsigned char)text[i] &
				    0x0f];
			}
		if (at + len > WORD_MAX) {
			str_adds(s, "?=\r\n =?utf-8?q?");
			at = 0;
		}
		str_add(s, piece, len);
		at += len;
	}
	str_adds(s, "?=");
}

static void
add_subject(struct str *s, const char *subject)
{
	char	*text;
	size_t	 len = strlen(subject), size = len * 4 + 8;

	text = alloc_zero(size, 1);
	str_printable(text, size, subject, len);
	str_adds(s, "Subject: ");
	if (strlen(text) + strlen("Subject: ") <= SUBJECT_MAX &&
	    is_plain(text, strlen(text), " !\"#$%&'()*+,-./:;<>@[]_|~"))
		str_adds(s, text);
	else
		add_encoded(s, text);
	str_adds(s, "\r\n");
	free(text);
}

/*
 * An address that is not ASCII becomes the name of an empty group. Every server
 * accepts this, and the envelope has the address itself (RFC 6857 3.1). The
 * blank ends the encoded word (RFC 2047 5).
 */
static void
add_address(struct str *s, const char *address)
{
	const char	*literal = strstr(address, "@[");
	char		*text;
	size_t		 len = strlen(address), size = len * 4 + 8, bare = len;
	bool		 plain = len > 0 && len <= ADDRESS_MAX;

	/* local@domain or local@[192.0.2.1] without characters to quote. */
	if (literal != NULL && address[len - 1] == ']') {
		literal += 2;
		bare = (size_t)(literal - 1 - address);
		plain = plain && is_plain(literal,
		    (size_t)(address + len - 1 - literal), ".:-");
	}
	if (plain && is_plain(address, bare, "@.!#$%&'*+-/=?^_`{|}~")) {
		str_adds(s, address);
		return;
	}
	text = alloc_zero(size, 1);
	str_printable(text, size, address, len);
	add_encoded(s, text);
	str_adds(s, " :;");
	free(text);
}

static void
add_headers(struct str *s, const struct mail *mail)
{
	static const char	*const days[] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
	}, *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
		"Oct", "Nov", "Dec"
	};
	struct tm	tm;
	time_t		t = (time_t)mail->now;
	size_t		i;

	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	str_addf(s, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	str_addf(s, "Message-ID: <%" PRId64 ".%016" PRIx64 "@%s>\r\n",
	    mail->now, mail->token, mail->host);
	str_adds(s, "From: ");
	add_address(s, mail->from);
	str_adds(s, "\r\nTo: ");
	for (i = 0; i < mail->nto; i++) {
		str_adds(s, i > 0 ? ",\r\n " : "");
		add_address(s, mail->to[i]);
	}
	str_adds(s, "\r\n");
	add_subject(s, mail->subject);
	str_adds(s, "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n");
}

/* --- bodies --- */

/*
 * Quoted-printable (RFC 2045 6.7), which every server passes and which has
 * short lines.
 */
static void
add_line(struct str *s, const char *line, size_t len)
{
	size_t		i, column = 0, need;
	unsigned char	c;
	bool		special;

	for (i = 0; i < len; i++) {
		c = (unsigned char)line[i];
		special = c == '=' || c < ' ' || c > '~';
		/* Blanks at the end of a line may get lost. */
		if (c == ' ' && i + 1 == len)
			special = true;
		/* Programs that keep mails in one file write ">" before it. */
		if (i == 0 && len >= 5 && memcmp(line, "From ", 5) == 0)
			special = true;
		need = special ? 3 : 1;
		if (column + need > LINE_MAX_QP - 1) {
			str_adds(s, "=\r\n");
			column = 0;
		}
		if (special)
			str_addf(s, "=%c%c", hex[c >> 4], hex[c & 0x0f]);
		else
			str_addc(s, c);
		column += need;
	}
	str_adds(s, "\r\n");
}

/* Appends lines that end in LF. */
static void
add_quoted(struct str *s, const struct str *text)
{
	const char	*p = text->data, *end = p + text->len, *lf;

	for (; p < end; p = lf + 1) {
		if ((lf = memchr(p, '\n', (size_t)(end - p))) == NULL)
			lf = end;
		add_line(s, p, (size_t)(lf - p));
	}
}

static void
add_part(struct str *s, const char *boundary, const char *headers,
    const struct str *text)
{
	str_addf(s, "--%s\r\n%sContent-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n", boundary, headers);
	add_quoted(s, text);
	str_adds(s, "\r\n");
}

void
mail_compose(struct str *s, const struct mail *mail)
{
	struct str	text;
	char		boundary[40];

	mail_text_sort(mail->hits);
	add_headers(s, mail);
	/* "=_" occurs in no line of quoted-printable. */
	snprintf(boundary, sizeof(boundary), "=_report-%016" PRIx64,
	    mail->token);
	str_addf(s, "Content-Type: multipart/mixed;\r\n boundary=\"%s\"\r\n"
	    "\r\n", boundary);
	str_init(&text);
	mail_text_add(&text, mail);
	add_part(s, boundary, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Disposition: inline\r\n", &text);
	text.len = 0;
	mail_text_add_csv(&text, mail);
	add_part(s, boundary, "Content-Type: text/csv; charset=utf-8; "
	    "header=present\r\nContent-Disposition: attachment;\r\n"
	    " filename=\"policyd-rate-limit.csv\"\r\n", &text);
	str_addf(s, "--%s--\r\n", boundary);
	str_clear(&text);
}

void
mail_compose_text(struct str *s, const struct mail *mail,
    const struct str *text)
{
	add_headers(s, mail);
	str_adds(s, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	add_quoted(s, text);
}
