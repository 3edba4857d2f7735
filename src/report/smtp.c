#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "report/smtp_machine.h"

/*
 * Commands are short, so `out` is not reallocated while it holds a password,
 * and the password has one copy, which is wiped.
 */
#define OUT_FIRST	4096

struct smtp *
smtp_new(const struct smtp_config *config, const struct smtp_mail *mail)
{
	struct smtp	*s;

	s = alloc_zero(1, sizeof(*s));
	s->config = config;
	s->mail = mail;
	s->tls = config->tls;
	s->step = STEP_GREETING;
	str_init(&s->line);
	str_init(&s->text);
	str_init(&s->out);
	str_extend(&s->out, OUT_FIRST);
	s->out.len = 0;
	/* Makes them strings, even if empty. */
	str_add(&s->line, "", 0);
	str_add(&s->text, "", 0);
	return s;
}

void
smtp_free(struct smtp *s)
{
	if (s == NULL)
		return;
	str_wipe(&s->line);
	str_wipe(&s->text);
	str_wipe(&s->out);
	free(s);
}

/* --- the greeting and what is offered --- */

/*
 * Whether the server has answered no EHLO yet, including one before STARTTLS.
 */
static bool
is_new(const struct smtp *s)
{
	return s->step == STEP_GREETING ||
	    (s->step == STEP_EHLO && s->tls == s->config->tls);
}

static void
on_greeting(struct smtp *s)
{
	s->next = s->code != 220;
	if (s->next)
		smtp_refused(s, "the server greets with a refusal");
	else if (s->mail == NULL)
		smtp_quit(s);
	else {
		str_addf(&s->out, "EHLO %s\r\n", s->config->name);
		s->step = STEP_EHLO;
	}
}

struct offer {
	const char	*name;
	unsigned int	 bit;
};

/* The bit of a word of `len` bytes; 0: unknown. */
static unsigned int
find_offer(const struct offer *offers, const char *word, size_t len)
{
	for (; offers->name != NULL; offers++)
		if (strlen(offers->name) == len &&
		    strncasecmp(word, offers->name, len) == 0)
			return offers->bit;
	return 0;
}

/* Takes one line of the reply to EHLO, without its code. */
static void
on_offer(struct smtp *s, const char *line)
{
	static const struct offer	offers[] = {
		{ "STARTTLS", CAN_STARTTLS },
		{ "PIPELINING", CAN_PIPELINING },
		{ "SMTPUTF8", CAN_SMTPUTF8 },
		{ "SIZE", CAN_SIZE },
		{ NULL, 0 }
	}, mechanisms[] = {
		{ "PLAIN", CAN_PLAIN },
		{ "LOGIN", CAN_LOGIN },
		{ "CRAM-MD5", CAN_CRAM_MD5 },
		{ NULL, 0 }
	};
	size_t	len;

	len = strcspn(line, " \t");
	/* AUTH= is an older form that some servers use. */
	if (strncasecmp(line, "AUTH", 4) != 0 || line[4] == '\0' ||
	    strchr(" \t=", line[4]) == NULL) {
		s->can |= find_offer(offers, line, len);
		return;
	}
	for (line += 5; *line != '\0'; line += len, line += *line != '\0') {
		len = strcspn(line, " \t");
		s->can |= find_offer(mechanisms, line, len);
	}
}

/* Begins TLS and AUTH, if they are configured, before the mail. */
static void
begin_session(struct smtp *s)
{
	if (s->config->starttls && !s->tls) {
		if (!(s->can & CAN_STARTTLS)) {
			smtp_fail(s, "STARTTLS is asked for but not offered",
			    "");
			return;
		}
		str_adds(&s->out, "STARTTLS\r\n");
		s->step = STEP_STARTTLS;
	} else if (s->config->user == NULL)
		smtp_mail_begin(s);
	else if (!s->tls && !s->config->loopback)
		smtp_fail(s, "no password is sent without TLS: set smtp_tls",
		    "");
	else
		smtp_auth_begin(s);
}

static void
on_ehlo(struct smtp *s)
{
	if (s->code == 250) {
		begin_session(s);
		return;
	}
	/*
	 * RFC 5321 3.2: a server without EHLO may know HELO, without
	 * extensions.
	 */
	if (s->code / 100 == 5) {
		s->can = 0;
		str_addf(&s->out, "HELO %s\r\n", s->config->name);
		s->step = STEP_HELO;
		return;
	}
	s->next = is_new(s);
	smtp_refused(s, "EHLO was refused");
}

static void
on_helo(struct smtp *s)
{
	s->can = 0;
	if (s->code == 250)
		begin_session(s);
	else
		smtp_refused(s, "HELO was refused");
}

static void
on_starttls(struct smtp *s)
{
	if (s->code != 220)
		smtp_refused(s, "STARTTLS was refused");
	else
		s->step = STEP_HANDSHAKE;
}

static void
on_quit(struct smtp *s)
{
	smtp_drop_output(s);
	s->step = STEP_OVER;
}

/* --- replies --- */

/*
 * For each step: the function for the reply, how long to wait for it (the
 * minimum of RFC 5321 4.5.3.2 if it has one), and words for a reply that did
 * not come.
 */
static const struct {
	void		(*on_reply)(struct smtp *);
	int		  timeout;
	const char	 *when;
} steps[STEP__MAX] = {
	[STEP_GREETING] = { on_greeting, 300, "before the greeting" },
	[STEP_EHLO] = { on_ehlo, 300, "after EHLO" },
	[STEP_HELO] = { on_helo, 300, "after HELO" },
	[STEP_STARTTLS] = { on_starttls, 120, "after STARTTLS" },
	[STEP_HANDSHAKE] = { NULL, 120, "in the TLS handshake" },
	[STEP_PLAIN] = { smtp_auth_on_reply, 180, "after AUTH" },
	[STEP_LOGIN_USER] = { smtp_auth_on_reply, 180, "after AUTH" },
	[STEP_LOGIN_PASSWORD] = { smtp_auth_on_reply, 180, "after AUTH" },
	[STEP_CRAM] = { smtp_auth_on_reply, 180, "after AUTH" },
	[STEP_AUTH_END] = { smtp_auth_on_reply, 180, "after AUTH" },
	[STEP_MAIL] = { smtp_mail_on_mail, 300, "after MAIL" },
	[STEP_RCPT] = { smtp_mail_on_rcpt, 300, "after RCPT" },
	[STEP_DATA] = { smtp_mail_on_data, 120, "after DATA" },
	[STEP_BODY] = { smtp_mail_on_body, 600, "after the mail's end" },
	[STEP_QUIT] = { on_quit, 5, "after QUIT" },
	[STEP_OVER] = { NULL, 5, "after the end" }
};

void
smtp_lost(struct smtp *s, const char *reason)
{
	s->next = s->next || is_new(s);
	/* What comes after the mail's end does not matter. */
	if (s->step != STEP_QUIT && s->step != STEP_OVER)
		smtp_add_reason(s, steps[s->step].when, reason);
	smtp_drop_output(s);
	s->step = STEP_OVER;
}

void
smtp_untrusted(struct smtp *s, const char *reason)
{
	smtp_lost(s, reason);
	s->next = false;
}

/* The code of a line of a reply; -1: the line is malformed. */
static int
line_code(const char *line, size_t len)
{
	size_t	i;

	if (len < 3 || line[0] < '2' || line[0] > '5')
		return -1;
	for (i = 1; i < 3; i++)
		if (line[i] < '0' || line[i] > '9')
			return -1;
	if (len > 3 && line[3] != ' ' && line[3] != '-')
		return -1;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

/* Takes one complete line without its end. */
static void
on_line(struct smtp *s)
{
	const char	*line = s->line.data;
	size_t		 len = s->line.len, skip;
	int		 code = line_code(line, len);

	if (code == -1 || memchr(line, '\0', len) != NULL ||
	    (s->lines > 0 && code != s->code) || ++s->lines > SMTP_LINES_MAX) {
		smtp_give_up(s, "the server does not speak SMTP");
		return;
	}
	s->code = code;
	/* The first line of a reply to EHLO is the server's name. */
	if (s->step == STEP_EHLO && s->lines == 1)
		s->can = 0;
	else if (s->step == STEP_EHLO && len > 4)
		on_offer(s, line + 4);
	/* A challenge follows the code. */
	skip = code != 334 ? 0 : len > 3 ? 4 : 3;
	s->text.len = 0;
	str_add(&s->text, line + skip, len - skip);
	if (len > 3 && line[3] == '-')
		return;
	s->lines = 0;
	s->replies++;
	/*
	 * No reply comes before its command was sent. Exceptions: recipients
	 * are answered one by one, a mail may be refused before its end, and a
	 * closing server may say so at any time.
	 */
	if (smtp_pending(s) && s->code != 421 && s->step != STEP_RCPT &&
	    s->step != STEP_BODY && s->step != STEP_QUIT)
		smtp_give_up(s, "the server answers out of turn");
	else
		steps[s->step].on_reply(s);
}

static enum smtp_want
want(const struct smtp *s)
{
	switch (s->step) {
	case STEP_HANDSHAKE:
		return SMTP_WANT_TLS;
	case STEP_OVER:
		return SMTP_WANT_CLOSE;
	default:
		return SMTP_WANT_REPLY;
	}
}

enum smtp_want
smtp_input(struct smtp *s, const void *bytes, size_t len)
{
	const char	*p = bytes, *end = p + len;

	for (; p < end && s->step != STEP_OVER; p++) {
		if (s->step == STEP_HANDSHAKE) {
			/*
			 * Somebody inserted bytes after the reply to STARTTLS,
			 * to have them taken for a reply inside TLS
			 * (CVE-2011-0411).
			 */
			smtp_give_up(s, "the server speaks on after STARTTLS: "
			    "refused");
		} else if (*p == '\n') {
			if (s->line.len > 0 &&
			    s->line.data[s->line.len - 1] == '\r')
				s->line.data[--s->line.len] = '\0';
			on_line(s);
			s->line.len = s->skipped = 0;
			s->line.data[0] = '\0';
		} else if (s->line.len < SMTP_LINE_MAX)
			str_addc(&s->line, *p);
		else if (++s->skipped > SMTP_LINE_MOST - SMTP_LINE_MAX)
			smtp_give_up(s, "the server does not speak SMTP");
	}
	return want(s);
}

enum smtp_want
smtp_secured(struct smtp *s)
{
	if (s->step != STEP_HANDSHAKE)
		return want(s);
	s->tls = true;
	/* Forgets what was said in clear (RFC 3207). */
	s->can = 0;
	str_addf(&s->out, "EHLO %s\r\n", s->config->name);
	s->step = STEP_EHLO;
	return SMTP_WANT_REPLY;
}

/* --- for the driver --- */

const char *
smtp_output(const struct smtp *s, size_t *len)
{
	*len = s->out.len - s->gone;
	return s->out.data + s->gone;
}

/* The bytes may contain a password. */
void
smtp_wrote(struct smtp *s, size_t n)
{
	explicit_bzero(s->out.data + s->gone, n);
	s->gone += n;
	if (s->gone == s->out.len)
		s->out.len = s->gone = 0;
}

int
smtp_timeout(const struct smtp *s)
{
	return steps[s->step].timeout;
}

size_t
smtp_replies(const struct smtp *s)
{
	return s->replies;
}

bool
smtp_taken(const struct smtp *s)
{
	return s->taken;
}

bool
smtp_next(const struct smtp *s)
{
	return s->next;
}

const char *
smtp_reason(const struct smtp *s)
{
	return s->reason;
}
