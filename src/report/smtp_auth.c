#include <string.h>

#include "report/base64.h"
#include "report/smtp_machine.h"

#define COMMAND_MAX	512	/* RFC 5321 4.5.3.1.4, CRLF included */

static void
add_encoded(struct smtp *s, const void *bytes, size_t len)
{
	base64_add(&s->out, bytes, len);
	str_adds(&s->out, "\r\n");
}

/* "\0user\0password" (RFC 4616). */
static void
add_plain(struct smtp *s)
{
	size_t		user = strlen(s->config->user);
	size_t		password = strlen(s->config->password);
	struct str	secret;
	char		*p;

	str_init(&secret);
	p = str_extend(&secret, 1 + user + 1 + password);
	p[0] = '\0';
	memcpy(p + 1, s->config->user, user + 1);
	memcpy(p + 1 + user + 1, s->config->password, password);
	add_encoded(s, secret.data, secret.len);
	str_wipe(&secret);
}

/* Whether it fits into AUTH PLAIN; else the server asks for it (RFC 4954). */
static bool
plain_is_short(const struct smtp *s)
{
	size_t	len = strlen(s->config->user) + strlen(s->config->password);

	return sizeof("AUTH PLAIN \r\n") + (len + 4) / 3 * 4 <= COMMAND_MAX;
}

/*
 * Takes the best mechanism that is offered and has not failed. Mechanisms that
 * do not show the password come first, since another host may pose as the
 * server.
 */
void
smtp_auth_begin(struct smtp *s)
{
	unsigned int	can = s->can & CAN_AUTH & ~s->tried;

	if (can & CAN_CRAM_MD5 && s->config->hmac != NULL) {
		str_adds(&s->out, "AUTH CRAM-MD5\r\n");
		s->step = STEP_CRAM;
	} else if (can & CAN_PLAIN && plain_is_short(s)) {
		str_adds(&s->out, "AUTH PLAIN ");
		add_plain(s);
		s->step = STEP_PLAIN_END;
	} else if (can & CAN_PLAIN) {
		str_adds(&s->out, "AUTH PLAIN\r\n");
		s->step = STEP_PLAIN;
	} else if (can & CAN_LOGIN) {
		str_adds(&s->out, "AUTH LOGIN\r\n");
		s->step = STEP_LOGIN_USER;
	} else if (s->tried != 0)
		smtp_refused(s, "the server does not accept user and password");
	else
		smtp_fail(s, "the server offers no AUTH of a known kind", "");
}

/* A mechanism has ended: begins the mail, or the next mechanism. */
static void
end_auth(struct smtp *s, unsigned int mechanism)
{
	if (s->code == 235) {
		smtp_mail_begin(s);
		return;
	}
	if (s->code == 421) {
		smtp_refused(s, "the server closes");
		return;
	}
	/*
	 * A server may offer a mechanism that it is not set up for, and answer
	 * 454.
	 */
	s->tried |= mechanism;
	smtp_auth_begin(s);
}

void
smtp_auth_on_plain(struct smtp *s)
{
	if (s->code != 334) {
		end_auth(s, CAN_PLAIN);
		return;
	}
	add_plain(s);
	s->step = STEP_PLAIN_END;
}

void
smtp_auth_on_plain_end(struct smtp *s)
{
	end_auth(s, CAN_PLAIN);
}

void
smtp_auth_on_user(struct smtp *s)
{
	if (s->code != 334) {
		end_auth(s, CAN_LOGIN);
		return;
	}
	add_encoded(s, s->config->user, strlen(s->config->user));
	s->step = STEP_LOGIN_PASSWORD;
}

void
smtp_auth_on_password(struct smtp *s)
{
	if (s->code != 334) {
		end_auth(s, CAN_LOGIN);
		return;
	}
	add_encoded(s, s->config->password, strlen(s->config->password));
	s->step = STEP_LOGIN_END;
}

void
smtp_auth_on_login_end(struct smtp *s)
{
	end_auth(s, CAN_LOGIN);
}

/* Appends the answer to the challenge of RFC 2195; -1: there is none. */
static int
add_cram(struct smtp *s)
{
	unsigned char	digest[16];
	struct str	challenge, answer;
	size_t		i;
	int		result = -1;

	str_init(&challenge);
	str_init(&answer);
	if (base64_decode(&challenge, s->text.data, s->text.len) == -1 ||
	    s->config->hmac(s->config->password, strlen(s->config->password),
	    challenge.data, challenge.len, digest) == -1)
		goto done;
	str_addf(&answer, "%s ", s->config->user);
	for (i = 0; i < sizeof(digest); i++)
		str_addf(&answer, "%02x", digest[i]);
	add_encoded(s, answer.data, answer.len);
	result = 0;
 done:
	explicit_bzero(digest, sizeof(digest));
	str_wipe(&challenge);
	str_wipe(&answer);
	return result;
}

void
smtp_auth_on_cram(struct smtp *s)
{
	if (s->code != 334) {
		end_auth(s, CAN_CRAM_MD5);
		return;
	}
	/* RFC 4954 4: a lone asterisk cancels. */
	if (add_cram(s) == -1)
		str_adds(&s->out, "*\r\n");
	s->step = STEP_CRAM_END;
}

void
smtp_auth_on_cram_end(struct smtp *s)
{
	end_auth(s, CAN_CRAM_MD5);
}
