#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../fuzz/mutate.h"
#include "../fuzz/smtp.c"
#include "report/base64.h"
#include "report/smtp.h"

/*
 * A dialogue: what each side says in turn. "!" of the client is a handshake
 * that it wants, of the server one that is done.
 */
struct turn {
	const char	*server;
	const char	*client;
};

static const char *const	one[] = { "b@example.net" };
static const char *const	three[] = {
	"b@example.net", "c@example.net", "d@example.net"
};

/* RFC 2195's example needs no MD5 here, only to be asked for it. */
static int
fake_hmac(const void *key, size_t keylen, const void *text, size_t len,
    unsigned char digest[16])
{
	assert_int_equal(keylen, 6);
	assert_memory_equal(key, "secret", 6);
	assert_int_equal(len, 5);
	assert_memory_equal(text, "hello", 5);
	memset(digest, 0xa5, 16);
	return 0;
}

static struct smtp_config
config(bool starttls, const char *user)
{
	struct smtp_config	c = {
		.name = "host", .starttls = starttls, .loopback = false,
		.user = user, .password = user != NULL ? "secret" : NULL,
		.hmac = fake_hmac
	};

	return c;
}

static struct smtp_mail
mail(const char *const *to, size_t nto)
{
	struct smtp_mail	m = {
		.from = "a@example.org", .to = to, .nto = nto,
		.data = "x: y\r\n\r\n.\r\n..a\r\n", .len = 16
	};

	return m;
}

#define BODY	"x: y\r\n\r\n..\r\n...a\r\n.\r\n"

static void
take_output(struct smtp *s, const char *expected)
{
	const char	*out;
	size_t		 len;

	out = smtp_output(s, &len);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
	smtp_wrote(s, len);
	smtp_output(s, &len);
	assert_int_equal(len, 0);
}

/* In pieces of `size` bytes; the last want. */
static enum smtp_want
feed(struct smtp *s, const char *bytes, size_t size)
{
	enum smtp_want	want = SMTP_WANT_REPLY;
	size_t		len = strlen(bytes), n;

	for (; len > 0; bytes += n, len -= n) {
		n = len < size ? len : size;
		want = smtp_input(s, bytes, n);
	}
	return want;
}

static struct smtp *
play(const struct smtp_config *c, const struct smtp_mail *m,
    const struct turn *turns, size_t size)
{
	struct smtp	*s = smtp_new(c, m);
	enum smtp_want	 want;

	for (; turns->server != NULL; turns++) {
		want = *turns->server == '!' ? smtp_secured(s) :
		    feed(s, turns->server, size);
		if (turns->client == NULL)
			assert_int_equal(want, SMTP_WANT_CLOSE);
		else {
			assert_int_equal(want, turns->client[0] == '!' ?
			    SMTP_WANT_TLS : SMTP_WANT_REPLY);
			if (turns->client[0] != '!')
				take_output(s, turns->client);
		}
	}
	return s;
}

/* Whole, byte by byte, and in threes. */
static void
ok_play(const struct smtp_config *c, const struct smtp_mail *m,
    const struct turn *turns, bool taken, const char *reason)
{
	static const size_t	 sizes[] = { SIZE_MAX, 1, 3 };
	struct smtp		*s;
	size_t			 i;

	for (i = 0; i < 3; i++) {
		s = play(c, m, turns, sizes[i]);
		assert_int_equal(smtp_taken(s), taken);
		assert_string_equal(smtp_reason(s), reason);
		smtp_free(s);
	}
}

#define GREETED	{ "220 x\r\n", "EHLO host\r\n" }
#define SENT	{ "354 go\r\n", BODY }, { "250 ok\r\n", "QUIT\r\n" },	\
		{ "221 bye\r\n", NULL }, { NULL, NULL }

static void
a_mail_is_sent(void **state)
{
	static const struct turn	turns[] = {
		{ "220-x\r\n220 y\r\n", "EHLO host\r\n" },
		{ "250-x\r\n250-SIZE 1000\r\n250 HELP\r\n",
		    "MAIL FROM:<a@example.org> SIZE=16\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n" },
		{ "250 ok\r\n", "DATA\r\n" }, SENT
	};
	static const struct turn	helo[] = {
		{ "220 x\n", "EHLO host\r\n" },
		{ "500\n", "HELO host\r\n" },
		{ "250\n", "MAIL FROM:<a@example.org>\r\n" },
		{ "250\n", "RCPT TO:<b@example.net>\r\n" },
		{ "250\n", "DATA\r\n" }, SENT
	};
	struct smtp_config	c = config(false, NULL);
	struct smtp_mail	m = mail(one, 1);

	(void)state;
	ok_play(&c, &m, turns, true, "");
	ok_play(&c, &m, helo, true, "");
}

static void
a_session_without_a_mail_ends(void **state)
{
	static const struct turn	turns[] = {
		{ "220 x\r\n", "QUIT\r\n" }, { "221 y\r\n", NULL },
		{ NULL, NULL }
	};
	struct smtp_config	c = config(true, "bob");

	(void)state;
	ok_play(&c, NULL, turns, false, "");
}

static void
commands_are_pipelined(void **state)
{
	static const struct turn	turns[] = {
		GREETED,
		{ "250-x\r\n250 pipelining\r\n",
		    "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n"
		    "RCPT TO:<c@example.net>\r\nRCPT TO:<d@example.net>\r\n" },
		{ "550 no\r\n250 ok\r\n", "" },
		{ "452 later\r\n", "DATA\r\n" }, SENT
	};
	static const struct turn	none[] = {
		GREETED,
		{ "250-x\r\n250 PIPELINING\r\n",
		    "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n"
		    "RCPT TO:<c@example.net>\r\nRCPT TO:<d@example.net>\r\n" },
		{ "550 1\r\n551 2\r\n552 3\r\n", "QUIT\r\n" },
		{ "221 bye\r\n", NULL }, { NULL, NULL }
	};
	struct smtp_config	c = config(false, NULL);
	struct smtp_mail	m = mail(three, 3);

	(void)state;
	ok_play(&c, &m, turns, true, "b@example.net was refused: 550 no; "
	    "d@example.net was refused: 452 later");
	ok_play(&c, &m, none, false, "b@example.net was refused: 550 1; "
	    "c@example.net was refused: 551 2; d@example.net was refused: "
	    "552 3; no recipient was accepted");
}

/* Recipients that are never sent have no reply. */
static void
refused_recipients_are_reported(void **state)
{
	static const char *const	to[] = {
		"no blanks@example.net", "\303\274@example.net",
		"b@example.net", "<@example.net", "c@example.net", ""
	};
	static const struct turn	one_by_one[] = {
		GREETED,
		{ "250 x\r\n", "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n" },
		{ "550 no\r\n", "RCPT TO:<c@example.net>\r\n" },
		{ "250 ok\r\n", "DATA\r\n" }, SENT
	};
	static const struct turn	at_once[] = {
		GREETED,
		{ "250-x\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n",
		    "MAIL FROM:<a@example.org> SMTPUTF8\r\n" },
		{ "250 ok\r\n", "RCPT TO:<\303\274@example.net>\r\n"
		    "RCPT TO:<b@example.net>\r\n"
		    "RCPT TO:<c@example.net>\r\n" },
		{ "250 ok\r\n", "" }, { "550 no\r\n", "" },
		{ "250 ok\r\n", "DATA\r\n" }, SENT
	};
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(to, 6);
	struct smtp		*s;

	(void)state;
	s = play(&c, &m, one_by_one, SIZE_MAX);
	assert_true(smtp_taken(s));
	assert_non_null(strstr(smtp_reason(s), "b@example.net was refused: "
	    "550 no"));
	assert_null(strstr(smtp_reason(s), "c@example.net"));
	smtp_free(s);
	s = play(&c, &m, at_once, SIZE_MAX);
	assert_true(smtp_taken(s));
	assert_non_null(strstr(smtp_reason(s), "b@example.net was refused"));
	assert_null(strstr(smtp_reason(s), "\303\274@example.net"));
	smtp_free(s);
}

static void
nothing_is_sent_in_clear_where_tls_is_set(void **state)
{
	static const struct turn	turns[] = {
		GREETED,
		{ "250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
		    "STARTTLS\r\n" },
		{ "220 go\r\n", "!" }, { "!", "EHLO host\r\n" },
		/* What was offered in clear is forgotten. */
		{ "250-x\r\n250 AUTH=LOGIN\r\n", "AUTH LOGIN\r\n" },
		{ "334 VXNlcg==\r\n", "Ym9i\r\n" },
		{ "334 UGFzcw==\r\n", "c2VjcmV0\r\n" },
		{ "235 in\r\n", "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n" },
		{ "250 ok\r\n", "DATA\r\n" }, SENT
	};
	static const struct turn	stripped[] = {
		GREETED,
		{ "250-x\r\n250 AUTH PLAIN\r\n", "QUIT\r\n" },
		{ "221 bye\r\n", NULL }, { NULL, NULL }
	};
	static const struct turn	injected[] = {
		GREETED,
		{ "250-x\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
		{ "220 go\r\n2", NULL }, { NULL, NULL }
	};
	struct smtp_config	c = config(true, "bob");
	struct smtp_mail	m = mail(one, 1);

	(void)state;
	ok_play(&c, &m, turns, true, "");
	ok_play(&c, &m, stripped, false,
	    "STARTTLS is asked for but not offered");
	ok_play(&c, &m, injected, false,
	    "the server speaks on after STARTTLS: refused");
}

static void
each_method_of_authentication_is_tried(void **state)
{
	static const struct turn	turns[] = {
		GREETED,
		{ "250-x\r\n250 AUTH LOGIN CRAM-MD5 PLAIN GSSAPI\r\n",
		    "AUTH CRAM-MD5\r\n" },
		/* "bob a5a5…" */
		{ "334 aGVsbG8=\r\n", "Ym9iIGE1YTVhNWE1YTVhNWE1YTVhNWE1"
		    "YTVhNWE1YTVhNWE1\r\n" },
		{ "454 not now\r\n", "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n" },
		{ "535 no\r\n", "AUTH LOGIN\r\n" },
		{ "535 no\r\n", "QUIT\r\n" },
		{ "221 bye\r\n", NULL }, { NULL, NULL }
	};
	static const struct turn	cancelled[] = {
		GREETED,
		{ "250-x\r\n250 AUTH CRAM-MD5\r\n", "AUTH CRAM-MD5\r\n" },
		{ "334 a\r\n", "*\r\n" }, { "501 ok\r\n", "QUIT\r\n" },
		{ "221 bye\r\n", NULL }, { NULL, NULL }
	};
	static const struct turn	clear[] = {
		GREETED,
		{ "250-x\r\n250 AUTH CRAM-MD5 PLAIN\r\n", "QUIT\r\n" },
		{ "221 bye\r\n", NULL }, { NULL, NULL }
	};
	struct smtp_config	c = config(false, "bob");
	struct smtp_mail	m = mail(one, 1);

	(void)state;
	ok_play(&c, &m, clear, false,
	    "no password is sent without TLS: set smtp_tls");
	c.loopback = true;
	ok_play(&c, &m, turns, false,
	    "the server does not accept user and password: 535 no");
	c.loopback = false;
	c.tls = true;
	ok_play(&c, &m, cancelled, false,
	    "the server does not accept user and password: 501 ok");
}

/* Each reply at each step that no server should give. */
static void
refusals_are_reported(void **state)
{
	static const struct turn	good[] = {
		GREETED,
		{ "250 x\r\n", "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n" },
		{ "250 ok\r\n", "DATA\r\n" },
		{ "354 go\r\n", BODY }
	};
	static const char *const	bad[] = {
		"421 closing\r\n", "451 later\r\n", "550 no\r\n",
		"299 what\r\n", "334 what\r\n"
	};
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(one, 1);
	struct turn		 turns[6];
	struct smtp		*s;
	const char		*out;
	size_t			 i, j, len;

	(void)state;
	for (i = 0; i <= 5; i++)
		for (j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			/* HELO is tried: no refusal yet. */
			if (i == 1 && j == 2)
				continue;
			memset(turns, 0, sizeof(turns));
			memcpy(turns, good, i * sizeof(*turns));
			s = play(&c, &m, turns, SIZE_MAX);
			feed(s, bad[j], SIZE_MAX);
			out = smtp_output(s, &len);
			assert_int_equal(len, 6);
			assert_memory_equal(out, "QUIT\r\n", 6);
			assert_false(smtp_taken(s));
			assert_true(*smtp_reason(s) != '\0');
			/* The server is gone already: nothing changes. */
			smtp_lost(s, "closed");
			assert_null(strstr(smtp_reason(s), "closed"));
			/* Nobody has said yet that this address serves. */
			assert_int_equal(smtp_next(s), i <= 1);
			assert_int_equal(smtp_input(s, "250 ok\r\n", 8),
			    SMTP_WANT_CLOSE);
			smtp_output(s, &len);
			assert_int_equal(len, 0);
			smtp_free(s);
		}
}

static void
nonsense_ends_the_session(void **state)
{
	static const char *const	lines[] = {
		"\r\n", "\n", "22\r\n", "hello\r\n", "2200 x\r\n", "22a x\r\n",
		"120 x\r\n", "620 x\r\n", "220x\r\n", "220-a\r\n250 b\r\n"
	};
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(one, 1);
	struct smtp		*s;
	char			 many[SMTP_LINE_MOST + 2];
	size_t			 i, len;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		s = smtp_new(&c, &m);
		assert_int_equal(feed(s, lines[i], 1), SMTP_WANT_CLOSE);
		assert_string_equal(smtp_reason(s),
		    "the server does not speak SMTP");
		smtp_free(s);
	}
	s = smtp_new(&c, &m);
	assert_int_equal(smtp_input(s, "220 a\0b\r\n", 9), SMTP_WANT_CLOSE);
	smtp_free(s);
	s = smtp_new(&c, &m);
	memset(many, '2', sizeof(many));
	assert_int_equal(smtp_input(s, many, sizeof(many)), SMTP_WANT_CLOSE);
	smtp_free(s);
	s = smtp_new(&c, &m);
	for (i = 0; i < SMTP_LINES_MAX; i++)
		assert_int_equal(feed(s, "220-x\r\n", SIZE_MAX),
		    SMTP_WANT_REPLY);
	assert_int_equal(feed(s, "220-x\r\n", SIZE_MAX), SMTP_WANT_CLOSE);
	smtp_output(s, &len);
	assert_int_equal(len, 0);
	smtp_free(s);
}

/* A server that says too much has taken the mail all the same. */
static void
long_lines_are_cut(void **state)
{
	struct smtp_config	 c = config(false, "bob");
	struct smtp_mail	 m = mail(one, 1);
	struct smtp		*s;
	char			 line[3 * SMTP_LINE_MAX];

	(void)state;
	c.loopback = true;
	memset(line, 'x', sizeof(line));
	memcpy(line, "220 ", 4);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	s = smtp_new(&c, &m);
	assert_int_equal(smtp_input(s, line, sizeof(line)), SMTP_WANT_REPLY);
	take_output(s, "EHLO host\r\n");
	memcpy(line, "250-", 4);
	assert_int_equal(smtp_input(s, line, sizeof(line)), SMTP_WANT_REPLY);
	feed(s, "250 AUTH\tGSSAPI\t LOGIN\r\n", 1);
	take_output(s, "AUTH LOGIN\r\n");
	smtp_free(s);
}

/* Replies to what was not said yet are nobody's. */
static void
replies_out_of_turn_end_the_session(void **state)
{
	static const struct turn	upto[] = {
		GREETED, { "250 x\r\n", "MAIL FROM:<a@example.org>\r\n" },
		{ "250 ok\r\n", "RCPT TO:<b@example.net>\r\n" },
		{ "250 ok\r\n", "DATA\r\n" }, { NULL, NULL }
	};
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(one, 1);
	struct smtp		*s;

	(void)state;
	s = smtp_new(&c, &m);
	assert_int_equal(feed(s, "220 x\r\n250 x\r\n", SIZE_MAX),
	    SMTP_WANT_CLOSE);
	assert_string_equal(smtp_reason(s), "the server answers out of turn");
	smtp_free(s);
	s = smtp_new(&c, &m);
	feed(s, "220 x\r\n421 too slow\r\n", SIZE_MAX);
	assert_string_equal(smtp_reason(s), "EHLO was refused: 421 too slow");
	smtp_free(s);
	s = play(&c, &m, upto, SIZE_MAX);
	feed(s, "354 go\r\n", SIZE_MAX);
	smtp_wrote(s, 3);
	assert_int_equal(feed(s, "250 taken\r\n", SIZE_MAX), SMTP_WANT_CLOSE);
	assert_false(smtp_taken(s));
	smtp_free(s);
	/* A mail may be refused before its end, but not by a QUIT within. */
	s = play(&c, &m, upto, SIZE_MAX);
	feed(s, "354 go\r\n", SIZE_MAX);
	smtp_wrote(s, 3);
	assert_int_equal(feed(s, "552 large\r\n", SIZE_MAX), SMTP_WANT_CLOSE);
	assert_string_equal(smtp_reason(s), "the mail was refused: 552 large");
	smtp_free(s);
}

static void
lost_connections_are_reported(void **state)
{
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(one, 1);
	struct smtp		*s;
	size_t			 len;

	(void)state;
	s = smtp_new(&c, &m);
	assert_int_equal(smtp_timeout(s), 300);
	smtp_lost(s, "gone");
	assert_string_equal(smtp_reason(s), "before the greeting: gone");
	assert_true(smtp_next(s));
	smtp_free(s);
	s = smtp_new(&c, &m);
	smtp_untrusted(s, "a bad certificate");
	assert_string_equal(smtp_reason(s),
	    "before the greeting: a bad certificate");
	assert_false(smtp_next(s));
	smtp_free(s);
	s = smtp_new(&c, &m);
	feed(s, "220 x\r\n", 1);
	smtp_lost(s, "gone\033[2J");
	assert_string_equal(smtp_reason(s), "after EHLO: gone\\x1b[2J");
	assert_int_equal(smtp_input(s, "250 x\r\n", 7), SMTP_WANT_CLOSE);
	assert_int_equal(smtp_replies(s), 1);
	assert_true(smtp_next(s));
	smtp_free(s);
	s = smtp_new(&c, &m);
	feed(s, "220 x\r\n", 1);
	smtp_output(s, &len);
	smtp_wrote(s, len);
	feed(s, "250 x\r\n", 1);
	smtp_lost(s, "gone");
	assert_string_equal(smtp_reason(s), "after MAIL: gone");
	assert_false(smtp_next(s));
	smtp_free(s);
	smtp_free(NULL);
}

/* Reasons are bounded and whole. */
static void
reasons_are_printable(void **state)
{
	static const char	*to[200];
	struct smtp_config	 c = config(false, NULL);
	struct smtp_mail	 m = mail(to, 200);
	struct smtp		*s;
	size_t			 i, len;

	(void)state;
	for (i = 0; i < 200; i++)
		to[i] = "b@example.net";
	s = smtp_new(&c, &m);
	feed(s, "220 x\r\n", 1);
	smtp_output(s, &len);
	smtp_wrote(s, len);
	feed(s, "250-x\r\n250 PIPELINING\r\n", SIZE_MAX);
	smtp_output(s, &len);
	smtp_wrote(s, len);
	feed(s, "250 x\r\n", SIZE_MAX);
	for (i = 0; i < 200; i++)
		feed(s, "550 \033 no such person in this place\r\n", SIZE_MAX);
	assert_true(strlen(smtp_reason(s)) < SMTP_REASON_MAX);
	assert_null(strchr(smtp_reason(s), '\033'));
	assert_non_null(strstr(smtp_reason(s), "; ..."));
	smtp_free(s);
}

static void
addresses_are_checked(void **state)
{
	char	large[SMTP_ADDRESS_MAX + 2];

	(void)state;
	assert_true(smtp_address_valid("a@b"));
	assert_true(smtp_address_valid("root"));
	assert_true(smtp_address_valid("\303\274@b"));
	assert_false(smtp_address_valid(""));
	assert_false(smtp_address_valid("a b"));
	assert_false(smtp_address_valid("a\r\nDATA"));
	assert_false(smtp_address_valid("a>b"));
	assert_false(smtp_address_valid("a\177"));
	assert_false(smtp_address_valid("\377@b"));
	memset(large, 'a', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	assert_false(smtp_address_valid(large));
	large[SMTP_ADDRESS_MAX] = '\0';
	assert_true(smtp_address_valid(large));
}

static void
base64_is_correct(void **state)
{
	static const char	*const pairs[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "\377\376\375", "//79" }
	};
	static const char	*const wrong[] = {
		"Z", "Zg", "Zg=", "Zg= ", "Zh==", "Zm9=", "====", "Zg==Zg==",
		"Z===", "Zm9v\n", "=Zg="
	};
	struct str		s;
	size_t			i;

	(void)state;
	str_init(&s);
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		str_clear(&s);
		base64_add(&s, pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(s.data, pairs[i][1]);
		str_clear(&s);
		assert_int_equal(base64_decode(&s, pairs[i][1],
		    strlen(pairs[i][1])), 0);
		assert_int_equal(s.len, strlen(pairs[i][0]));
		if (s.len > 0)
			assert_memory_equal(s.data, pairs[i][0], s.len);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(base64_decode(&s, wrong[i], strlen(wrong[i])),
		    -1);
	str_clear(&s);
}

static void
damaged_replies_do_no_harm(void **state)
{
	struct mutate	m = { .random = { 0x736d7470 } };

	(void)state;
	m.alphabet = "\r\n 0123459-=*AUTHPLIN\200";
	mutate_add_directory(&m, "regress/fuzz/corpus/smtp");
	mutate_run(&m, 20000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_mail_is_sent),
		cmocka_unit_test(a_session_without_a_mail_ends),
		cmocka_unit_test(commands_are_pipelined),
		cmocka_unit_test(refused_recipients_are_reported),
		cmocka_unit_test(nothing_is_sent_in_clear_where_tls_is_set),
		cmocka_unit_test(each_method_of_authentication_is_tried),
		cmocka_unit_test(refusals_are_reported),
		cmocka_unit_test(nonsense_ends_the_session),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(replies_out_of_turn_end_the_session),
		cmocka_unit_test(lost_connections_are_reported),
		cmocka_unit_test(reasons_are_printable),
		cmocka_unit_test(addresses_are_checked),
		cmocka_unit_test(base64_is_correct),
		cmocka_unit_test(damaged_replies_do_no_harm)
	};

	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
