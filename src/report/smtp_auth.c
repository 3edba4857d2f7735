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

/*
 * Takes the best mechanism that is offered and has not failed. Mechanisms that
 * do not show the password come first, since another host may pose as the
 * server.
 */
void
smtp_auth_begin(struct smtp *s)
{
	unsigned int	can = s->can & CAN_AUTH & ~s->tried;
	size_t		len;

	if (can & CAN_CRAM_MD5 && s->config->hmac != NULL) {
		s->mechanism = CAN_CRAM_MD5;
		str_adds(&s->out, "AUTH CRAM-MD5\r\n");
		s->step = STEP_CRAM;
	} else if (can & CAN_PLAIN) {
		s->mechanism = CAN_PLAIN;
		str_adds(&s->out, "AUTH PLAIN");
		len = strlen(s->config->user) + strlen(s->config->password);
		/* If it is too long, the server asks for it (RFC 4954). */
		if (sizeof("AUTH PLAIN \r\n") + (len + 4) / 3 * 4 >
		    COMMAND_MAX) {
			str_adds(&s->out, "\r\n");
			s->step = STEP_PLAIN;
			return;
		}
		str_addc(&s->out, ' ');
		add_plain(s);
		s->step = STEP_AUTH_END;
	} else if (can & CAN_LOGIN) {
		s->mechanism = CAN_LOGIN;
		str_adds(&s->out, "AUTH LOGIN\r\n");
		s->step = STEP_LOGIN_USER;
	} else if (s->tried != 0)
		smtp_refused(s, "the server does not accept user and password");
	else
		smtp_fail(s, "the server offers no AUTH of a known kind", "");
}

void
smtp_auth_on_reply(struct smtp *s)
{
	if (s->code == 235) {
		smtp_mail_begin(s);
		return;
	}
	if (s->code == 421) {
		smtp_refused(s, "the server closes");
		return;
	}
	if (s->code != 334 || s->step == STEP_AUTH_END) {
		/*
		 * The next mechanism: a server may offer one that it is not set
		 * up for, and answer 454.
		 */
		s->tried |= s->mechanism;
		smtp_auth_begin(s);
		return;
	}
	switch (s->step) {
	case STEP_LOGIN_USER:
		add_encoded(s, s->config->user, strlen(s->config->user));
		s->step = STEP_LOGIN_PASSWORD;
		return;
	case STEP_LOGIN_PASSWORD:
		add_encoded(s, s->config->password,
		    strlen(s->config->password));
		break;
	case STEP_CRAM:
		/* RFC 4954 4: a lone asterisk cancels. */
		if (add_cram(s) == -1)
			str_adds(&s->out, "*\r\n");
		break;
	default:
		add_plain(s);
	}
	s->step = STEP_AUTH_END;
}
