#include <err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

#define DIGITS	7			/* of a user's number */

/* What is written over for each mail, as it stands in the text below. */
enum field {
	FIELD_LOGIN,
	FIELD_SENDER,
	FIELD_INSTANCE_PID,
	FIELD_INSTANCE_SECONDS,
	FIELD_INSTANCE_MICROSECONDS,
	FIELD_QUEUE_ID,
	FIELD_PORT,
	FIELD__MAX
};

static const struct {
	char	 mark;			/* runs of it are the field */
	int	 width;
	int	 base;
} fields[FIELD__MAX] = {
	[FIELD_LOGIN] =			{ '\1', DIGITS, 10 },
	[FIELD_SENDER] =		{ '\2', DIGITS, 10 },
	[FIELD_INSTANCE_PID] =		{ '\3', 6, 16 },
	[FIELD_INSTANCE_SECONDS] =	{ '\4', 8, 16 },
	[FIELD_INSTANCE_MICROSECONDS] =	{ '\5', 5, 16 },
	[FIELD_QUEUE_ID] =		{ '\6', 8, 10 },
	[FIELD_PORT] =			{ '\7', 5, 10 },
};

#define LOGIN		"user\1\1\1\1\1\1\1"
#define SENDER		"user\2\2\2\2\2\2\2"
#define INSTANCE	"\3\3\3\3\3\3.\4\4\4\4\4\4\4\4.\5\5\5\5\5.0"
#define QUEUE_ID	"4F\6\6\6\6\6\6\6\6"
#define PORT		"\7\7\7\7\7"

/*
 * The mails of a submission service in small: who sends from where, to how
 * many.
 */
static const struct scene {
	const char	*address, *name, *helo, *recipient;
	const char	*tls, *cipher, *bits;
	unsigned int	 size;
	uint32_t	 recipients;
} scenes[] = {
	{ "192.0.2.17", "dslb-192-000-002-017.pools.provider.example",
	  "[192.168.178.24]", "anna.schmidt@customer.example", "TLSv1.3",
	  "TLS_AES_256_GCM_SHA384", "256", 3412, 1 },
	{ "198.51.100.203", "pool-198-51-100-203.north.cable.example.net",
	  "DESKTOP-7K2M4QP", "orders@wholesale-supplies.example.com", "TLSv1.2",
	  "ECDHE-RSA-AES256-GCM-SHA384", "256", 48213, 1 },
	{ "2001:db8:4711:8::1f2a",
	  "dynamic-2001-0db8-4711-0008.6.provider.example",
	  "notebook.fritz.box",
	  "michael.o-brien@university.example.edu", "TLSv1.3",
	  "TLS_AES_128_GCM_SHA256", "128", 1822, 1 },
	{ "203.0.113.5", "mail-gw.branch-office.example.org",
	  "mail-gw.branch-office.example.org",
	  "board@customer.example", "TLSv1.3",
	  "TLS_AES_256_GCM_SHA384", "256", 153077, 3 },
	{ "192.0.2.140", "nat-192-0-2-140.campus.university.example",
	  "[10.20.30.40]", "support+ticket-201844@helpdesk.example", "TLSv1.3",
	  "TLS_CHACHA20_POLY1305_SHA256", "256", 7730, 1 },
	{ "198.51.100.66", "web1.customers.hosting-company.example",
	  "localhost.localdomain", "newsletter-bounces@lists.example.org",
	  "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "128", 22790, 1 },
	{ "2001:db8:1:2:3:4:5:6",
	  "static-2001-0db8-0001-0002.v6.carrier.example",
	  "[IPv6:2001:db8:1:2:3:4:5:6]", "press@newspaper.example",
	  "TLSv1.3", "TLS_AES_256_GCM_SHA384", "256", 910244, 2 },
	{ "203.0.113.91", "mobile-91.carrier.example.net", "smtpclient.apple",
	  "a.very.long.local.part.of.an.address@department.company.example",
	  "TLSv1.3", "TLS_AES_256_GCM_SHA384", "256", 2650, 1 },
};
#define NSCENES	(sizeof(scenes) / sizeof(scenes[0]))

static struct form {
	char		 text[2048];
	size_t		 len;
	size_t		 at[FIELD__MAX];
	uint32_t	 recipients;
} forms[NSCENES];

static char	user_domain[128];

static void
form_build(struct form *f, const struct scene *s, uint32_t recipients)
{
	char		*mark;
	size_t		 i;
	int		 len;

	f->recipients = recipients != 0 ? recipients : s->recipients;
	len = snprintf(f->text, sizeof(f->text),
	    "request=smtpd_access_policy\nprotocol_state=DATA\n"
	    "protocol_name=ESMTP\nclient_address=%s\nclient_name=%s\n"
	    "client_port=" PORT "\nreverse_client_name=%s\n"
	    "server_address=203.0.113.25\nserver_port=587\nhelo_name=%s\n"
	    "sender=" SENDER "@%s\nrecipient=%s\nrecipient_count=%u\n"
	    "queue_id=" QUEUE_ID "\ninstance=" INSTANCE "\nsize=%u\n"
	    "etrn_domain=\nstress=\nsasl_method=PLAIN\n"
	    "sasl_username=" LOGIN "@%s\nsasl_sender=\n"
	    "ccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
	    "ccert_pubkey_fingerprint=\nencryption_protocol=%s\n"
	    "encryption_cipher=%s\nencryption_keysize=%s\npolicy_context=\n\n",
	    s->address, s->name, s->name, s->helo, user_domain,
	    f->recipients == 1 ? s->recipient : "", f->recipients,
	    s->size, user_domain, s->tls, s->cipher, s->bits);
	if (len < 0 || (size_t)len >= sizeof(f->text))
		errx(1, "a request is too long");
	f->len = (size_t)len;
	for (i = 0; i < FIELD__MAX; i++) {
		if ((mark = memchr(f->text, fields[i].mark, f->len)) == NULL)
			errx(1, "a request lacks field %zu", i);
		f->at[i] = (size_t)(mark - f->text);
	}
}

static void
form_set(struct form *f, enum field which, uint64_t value)
{
	static const char	 digit[] = "0123456789abcdef";
	char			*first, *p;
	unsigned int		 base;

	/*
	 * The base is written out so that the compiler needs no division for
	 * 16.
	 */
	base = fields[which].base == 16 ? 16 : 10;
	first = f->text + f->at[which];
	for (p = first + fields[which].width; p > first;) {
		if (base == 16) {
			*--p = digit[value & 15];
			value >>= 4;
		} else {
			*--p = digit[value % 10];
			value /= 10;
		}
	}
}

/*
 * splitmix64 of Steele, Lea and Flood (2014): small, and no state to warm up.
 */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t	z;

	z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void
traffic_init(struct traffic *t, uint32_t users, uint64_t seed,
    uint32_t recipients, const char *domain)
{
	size_t	i;

	memset(t, 0, sizeof(*t));
	t->users = users;
	t->random = seed;
	t->pid = (uint32_t)getpid();
	t->since = (uint64_t)time(NULL);
	if (strlen(domain) >= sizeof(user_domain))
		errx(1, "the domain is too long");
	memcpy(user_domain, domain, strlen(domain) + 1);
	for (i = 0; i < NSCENES; i++)
		form_build(&forms[i], &scenes[i], recipients);
}

void
traffic_next(struct traffic *t, struct mail *mail)
{
	struct form	*f;
	uint64_t	 random;

	random = random_next(&t->random);
	f = &forms[random % NSCENES];
	mail->user = t->in_turn ? (uint32_t)(t->sent % t->users) :
	    (uint32_t)(((random >> 32) * t->users) >> 32);
	mail->recipients = f->recipients;
	form_set(f, FIELD_LOGIN, mail->user);
	form_set(f, FIELD_SENDER, mail->user);
	form_set(f, FIELD_PORT, 20000 + t->sent % 40000);
	form_set(f, FIELD_QUEUE_ID, random >> 8);
	/*
	 * A million a second would be needed to run ahead of the clock, so a
	 * later run that gets the same pid cannot meet an instance of this one.
	 */
	form_set(f, FIELD_INSTANCE_PID, t->pid);
	form_set(f, FIELD_INSTANCE_SECONDS, t->since + t->sent / 1000000);
	form_set(f, FIELD_INSTANCE_MICROSECONDS, t->sent % 1000000);
	t->sent++;
	mail->bytes = f->text;
	mail->len = f->len;
}

const char *
traffic_user(uint32_t user)
{
	static char	name[256];

	(void)snprintf(name, sizeof(name), "user%0*u@%s", DIGITS, user,
	    user_domain);
	return name;
}
