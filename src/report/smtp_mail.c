#include <stdio.h>
#include <string.h>

#include "report/smtp_machine.h"

static bool
needs_utf8(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address >= 0x80)
			return true;
	return false;
}

bool
smtp_address_valid(const char *address)
{
	size_t	len = strlen(address), i;

	if (len == 0 || len > SMTP_ADDRESS_MAX)
		return false;
	for (i = 0; i < len; i++)
		if ((unsigned char)address[i] <= ' ' ||
		    strchr("<>\177", address[i]) != NULL)
			return false;
	return str_utf8_valid(address, len);
}

/* Whether the address may be used with this server. */
static bool
can_name(const struct smtp *s, const char *address)
{
	return smtp_address_valid(address) &&
	    (s->can & CAN_SMTPUTF8 || !needs_utf8(address));
}

void
smtp_mail_begin(struct smtp *s)
{
	const struct smtp_mail	*mail = s->mail;
	bool			 utf8 = needs_utf8(mail->from);
	size_t			 i;

	/* "": the null sender. */
	if (*mail->from != '\0' && !can_name(s, mail->from)) {
		smtp_fail(s, "this sender cannot be used here", mail->from);
		return;
	}
	for (i = 0; i < mail->nto; i++)
		if (needs_utf8(mail->to[i]) && can_name(s, mail->to[i]))
			utf8 = true;
	str_addf(&s->out, "MAIL FROM:<%s>", mail->from);
	if (s->can & CAN_SIZE)
		str_addf(&s->out, " SIZE=%zu", mail->len);
	if (utf8)
		str_adds(&s->out, " SMTPUTF8");
	str_adds(&s->out, "\r\n");
	s->step = STEP_MAIL;
	s->rcpt = s->sent_rcpt = s->accepted = 0;
}

/*
 * Sends the next recipient, or with PIPELINING all of them; false: there is
 * none.
 */
static bool
send_rcpt(struct smtp *s)
{
	const char	*to;
	bool		 sent = false;

	while (s->sent_rcpt < s->mail->nto) {
		to = s->mail->to[s->sent_rcpt++];
		if (!can_name(s, to)) {
			smtp_add_reason(s,
			    "this recipient cannot be written to here", to);
			continue;
		}
		str_addf(&s->out, "RCPT TO:<%s>\r\n", to);
		sent = true;
		if (!(s->can & CAN_PIPELINING))
			break;
	}
	return sent;
}

/* Moves on to the next recipient that was sent, whose reply comes next. */
static void
skip_unsent(struct smtp *s)
{
	while (s->rcpt < s->sent_rcpt && !can_name(s, s->mail->to[s->rcpt]))
		s->rcpt++;
}

static void
end_rcpt(struct smtp *s)
{
	if (s->accepted == 0) {
		smtp_fail(s, "no recipient was accepted", "");
		return;
	}
	str_adds(&s->out, "DATA\r\n");
	s->step = STEP_DATA;
}

void
smtp_mail_on_mail(struct smtp *s)
{
	if (s->code != 250) {
		smtp_refused(s, "the sender was refused");
		return;
	}
	s->step = STEP_RCPT;
	if (!send_rcpt(s))
		end_rcpt(s);
}

void
smtp_mail_on_rcpt(struct smtp *s)
{
	char	what[SMTP_ADDRESS_MAX + 16];

	/* 421: the server is about to close (RFC 5321 3.8). */
	if (s->code == 421) {
		smtp_refused(s, "the server closes");
		return;
	}
	skip_unsent(s);
	if (s->code / 10 == 25)
		s->accepted++;
	else {
		snprintf(what, sizeof(what), "%s was refused",
		    s->mail->to[s->rcpt]);
		smtp_add_reason(s, what, s->text.data);
	}
	s->rcpt++;
	skip_unsent(s);
	if (s->rcpt < s->sent_rcpt)
		return;
	if (!send_rcpt(s))
		end_rcpt(s);
}

/* Appends the body with stuffed dots (RFC 5321 4.5.2), and the final dot. */
void
smtp_mail_on_data(struct smtp *s)
{
	const char	*p = s->mail->data, *end = p + s->mail->len, *lf;

	if (s->code != 354) {
		smtp_refused(s, "DATA was refused");
		return;
	}
	while (p < end) {
		if (*p == '.')
			str_addc(&s->out, '.');
		if ((lf = memchr(p, '\n', (size_t)(end - p))) == NULL)
			lf = end - 1;
		str_add(&s->out, p, (size_t)(lf + 1 - p));
		p = lf + 1;
	}
	if (s->mail->len > 0 && end[-1] != '\n')
		str_adds(&s->out, "\r\n");
	str_adds(&s->out, ".\r\n");
	s->step = STEP_BODY;
}

void
smtp_mail_on_body(struct smtp *s)
{
	if (s->code / 10 == 25) {
		/*
		 * A server that accepts the mail must have received all of it.
		 */
		if (smtp_pending(s)) {
			smtp_give_up(s, "the server answers out of turn");
			return;
		}
		s->taken = true;
		smtp_quit(s);
		return;
	}
	/* A QUIT inside the body would be a line of it. */
	if (smtp_pending(s)) {
		smtp_add_reason(s, "the mail was refused", s->text.data);
		smtp_give_up(s, "");
		return;
	}
	smtp_refused(s, "the mail was refused");
}
