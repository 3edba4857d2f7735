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
#include "../fuzz/request.c"
#include "engine/request.h"

/* What Postfix 3.7 sends at RCPT, its values shortened. */
static const char	postfix[] =
	"request=smtpd_access_policy\n"
	"protocol_state=RCPT\n"
	"protocol_name=ESMTP\n"
	"client_address=192.0.2.7\n"
	"client_name=mail.example.net\n"
	"client_port=49152\n"
	"reverse_client_name=mail.example.net\n"
	"server_address=192.0.2.1\n"
	"server_port=587\n"
	"helo_name=laptop\n"
	"sender=alice@example.org\n"
	"recipient=bob@example.com\n"
	"recipient_count=0\n"
	"queue_id=\n"
	"instance=1a2b.655e0000.1234.0\n"
	"size=12345\n"
	"etrn_domain=\n"
	"stress=\n"
	"sasl_method=PLAIN\n"
	"sasl_username=alice\n"
	"sasl_sender=\n"
	"ccert_subject=\n"
	"ccert_issuer=\n"
	"ccert_fingerprint=\n"
	"ccert_pubkey_fingerprint=\n"
	"encryption_protocol=TLSv1.3\n"
	"encryption_cipher=TLS_AES_256_GCM_SHA384\n"
	"encryption_keysize=256\n"
	"policy_context=\n"
	"\n";

/* A copy with no byte to spare: a sanitizer sees every step too far. */
static char *
exact(const char *bytes, size_t len)
{
	char	*copy;

	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return copy;
}

static size_t
end_of(const char *bytes, size_t len)
{
	char	*copy = exact(bytes, len);
	size_t	 from = 0, n;

	n = request_end(copy, len, &from);
	free(copy);
	return n;
}

static void
value_is(const struct request *req, enum request_attribute attr,
    const char *want)
{
	if (want == NULL) {
		assert_null(req->attr[attr].bytes);
		assert_int_equal(req->attr[attr].len, 0);
		return;
	}
	assert_non_null(req->attr[attr].bytes);
	assert_int_equal(req->attr[attr].len, strlen(want));
	assert_memory_equal(req->attr[attr].bytes, want, strlen(want));
}

static void
parsed(struct request *req, const char *text)
{
	const char	*reason = NULL;

	assert_int_equal(end_of(text, strlen(text)), strlen(text));
	assert_true(request_parse(req, text, strlen(text), &reason) > 0);
}

static void
refused(const char *bytes, size_t len, const char *why)
{
	struct request	 req;
	const char	*reason = NULL;
	char		*copy = exact(bytes, len);

	assert_int_equal(request_parse(&req, copy, len, &reason), 0);
	assert_string_equal(reason, why);
	free(copy);
}

static void
as_postfix_sends_it(void **state)
{
	struct request	req;

	(void)state;
	parsed(&req, postfix);
	value_is(&req, ATTR_REQUEST, "smtpd_access_policy");
	value_is(&req, ATTR_PROTOCOL_STATE, "RCPT");
	value_is(&req, ATTR_CLIENT_ADDRESS, "192.0.2.7");
	value_is(&req, ATTR_HELO_NAME, "laptop");
	value_is(&req, ATTR_SENDER, "alice@example.org");
	value_is(&req, ATTR_RECIPIENT, "bob@example.com");
	value_is(&req, ATTR_RECIPIENT_COUNT, "0");
	value_is(&req, ATTR_QUEUE_ID, "");
	value_is(&req, ATTR_INSTANCE, "1a2b.655e0000.1234.0");
	value_is(&req, ATTR_SIZE, "12345");
	value_is(&req, ATTR_SASL_USERNAME, "alice");
}

/* However the bytes are cut, the end is found once, and at the same place. */
static void
utf8_split_across_reads(void **state)
{
	static const char	text[] =
	    "sasl_username=z\xc3\xbcrich\xe2\x82\xac@example.org\n"
	    "protocol_state=DATA\n\n";
	size_t			len = sizeof(text) - 1, cut, from, n;
	struct request		req;
	const char		*reason;
	char			*part;

	(void)state;
	for (cut = 0; cut < len; cut++) {
		part = exact(text, cut);
		from = 0;
		assert_int_equal(request_end(part, cut, &from), 0);
		assert_true(from <= cut);
		free(part);
		assert_int_equal(request_end(text, len, &from), len);
	}
	/* Byte by byte. */
	from = 0;
	for (n = 1; n < len; n++)
		assert_int_equal(request_end(text, n, &from), 0);
	assert_int_equal(request_end(text, len, &from), len);
	assert_true(request_parse(&req, text, len, &reason) > 0);
	value_is(&req, ATTR_SASL_USERNAME,
	    "z\xc3\xbcrich\xe2\x82\xac@example.org");
}

static void
no_byte_is_looked_at_twice(void **state)
{
	static char	buf[REQUEST_MAX];
	size_t		from = 0, before;

	(void)state;
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(request_end(buf, 1000, &from), 0);
	assert_int_equal(from, 1000);
	/* What was looked at may change: nobody notices. */
	memset(buf, '\n', 999);
	assert_int_equal(request_end(buf, 2000, &from), 0);
	assert_int_equal(from, 2000);
	/* A line's end at the end of what is there is looked at again. */
	buf[2000] = '\n';
	before = from;
	assert_int_equal(request_end(buf, 2001, &from), 0);
	assert_true(from >= before && from <= 2000);
	buf[2001] = '\n';
	assert_int_equal(request_end(buf, 2002, &from), 2002);
}

static void
two_requests_in_one_write_merged(void **state)
{
	static const char	text[] = "protocol_state=RCPT\nsender=a@b\n\n"
	    "protocol_state=DATA\nsender=c@d\n\nsender=half";
	struct request		req;
	const char		*reason;
	size_t			n, from = 0;

	(void)state;
	n = request_end(text, sizeof(text) - 1, &from);
	assert_int_equal(n, strlen("protocol_state=RCPT\nsender=a@b\n\n"));
	assert_true(request_parse(&req, text, n, &reason) > 0);
	value_is(&req, ATTR_SENDER, "a@b");
	value_is(&req, ATTR_PROTOCOL_STATE, "RCPT");
	from = 0;
	assert_int_equal(request_end(text + n, sizeof(text) - 1 - n, &from), n);
	assert_true(request_parse(&req, text + n, n, &reason) > 0);
	value_is(&req, ATTR_SENDER, "c@d");
	from = 0;
	assert_int_equal(request_end(text + 2 * n, sizeof(text) - 1 - 2 * n,
	    &from), 0);
}

static void
value_with_equals(void **state)
{
	struct request	req;

	(void)state;
	parsed(&req, "sasl_username=a=b==c=\nsender==\n=x\n\n");
	value_is(&req, ATTR_SASL_USERNAME, "a=b==c=");
	value_is(&req, ATTR_SENDER, "=");
}

static void
names(void **state)
{
	static const char *const	names_of[ATTR__MAX] = {
		[ATTR_REQUEST] = "request",
		[ATTR_PROTOCOL_STATE] = "protocol_state",
		[ATTR_CLIENT_ADDRESS] = "client_address",
		[ATTR_HELO_NAME] = "helo_name",
		[ATTR_SENDER] = "sender",
		[ATTR_RECIPIENT] = "recipient",
		[ATTR_RECIPIENT_COUNT] = "recipient_count",
		[ATTR_QUEUE_ID] = "queue_id",
		[ATTR_INSTANCE] = "instance",
		[ATTR_SIZE] = "size",
		[ATTR_SASL_USERNAME] = "sasl_username",
		[ATTR_CLIENT_NAME] = "client_name",
		[ATTR_POLICY_CONTEXT] = "policy_context",
		[ATTR_SERVER_PORT] = "server_port",
		[ATTR_CCERT_FINGERPRINT] = "ccert_fingerprint",
	};
	struct request		req;
	unsigned int		i;
	char			text[128];

	(void)state;
	/* Each is found under its name, and none under a part of it. */
	for (i = 0; i < ATTR__MAX; i++) {
		const char	*name = names_of[i];

		snprintf(text, sizeof(text), "%s=%s\n\n", name,
		    i == ATTR_REQUEST ? "smtpd_access_policy" : "here");
		parsed(&req, text);
		value_is(&req, i, i == ATTR_REQUEST ? "smtpd_access_policy" :
		    "here");
		snprintf(text, sizeof(text), "%.*s=x\nx%s=x\n%sx=x\n\n",
		    (int)strlen(name) - 1, name, name, name);
		parsed(&req, text);
		value_is(&req, i, NULL);
	}
	parsed(&req, "Sender=a\nSENDER=b\n sender=c\nsender =d\n\n");
	value_is(&req, ATTR_SENDER, NULL);
}

static void
of_a_repeated_name_the_last(void **state)
{
	struct request	req;

	(void)state;
	parsed(&req, "sender=a\nrecipient=x\nsender=b\nsender=\n\n");
	value_is(&req, ATTR_SENDER, "");
	parsed(&req, "sender=\nsender=b\n\n");
	value_is(&req, ATTR_SENDER, "b");
}

static void
nothing_in_it(void **state)
{
	struct request	req;
	unsigned int	i;

	(void)state;
	parsed(&req, "\n");
	for (i = 0; i < ATTR__MAX; i++)
		value_is(&req, i, NULL);
	assert_int_equal(end_of("\n\n\n", 3), 1);
	assert_int_equal(end_of("", 0), 0);
}

static void
long_helo_hides_sasl(void **state)
{
	struct request	 req;
	const char	*reason;
	char		*text;
	size_t		 len = 0, from = 0;

	(void)state;
	text = malloc(REQUEST_MAX);
	assert_non_null(text);
	memcpy(text, "helo_name=", 10);
	len = 10;
	memset(text + len, 'h', REQUEST_MAX - 100);
	len += REQUEST_MAX - 100;
	memcpy(text + len, "\nsasl_username=mallory\n\n", 24);
	len += 24;
	assert_int_equal(request_end(text, len, &from), len);
	assert_true(request_parse(&req, text, len, &reason) > 0);
	value_is(&req, ATTR_SASL_USERNAME, "mallory");
	assert_int_equal(req.attr[ATTR_HELO_NAME].len, REQUEST_MAX - 100);
	free(text);
}

static void
odd_bytes_are_bytes(void **state)
{
	struct request	 req;
	const char	*reason;
	char		 text[300] = "sender=";
	size_t		 len = 7;
	int		 c;

	(void)state;
	for (c = 1; c < 256; c++)
		if (c != '\n')
			text[len++] = (char)c;
	memcpy(text + len, "\n\n", 2);
	len += 2;
	assert_int_equal(end_of(text, len), len);
	assert_true(request_parse(&req, text, len, &reason) > 0);
	assert_int_equal(req.attr[ATTR_SENDER].len, 254);
	assert_memory_equal(req.attr[ATTR_SENDER].bytes, text + 7, 254);
}

static void
malformed(void **state)
{
	(void)state;
	refused("sender=a\nnothing\n\n", 18, "a line without `='");
	refused("sender\n\n", 8, "a line without `='");
	refused("sender=a\0b\n\n", 12, "a NUL byte");
	refused("\0\n", 2, "a NUL byte");
	refused("request=junk\n\n", 14,
	    "not a request for smtpd_access_policy");
	refused("request=\n\n", 10, "not a request for smtpd_access_policy");
	refused("request=smtpd_access_policyx\n\n", 30,
	    "not a request for smtpd_access_policy");
	refused("sender=a", 8, "a line without an end");
}

/* As 1.x strips them: an id is the same with and without them. */
static void
blanks_at_line_ends(void **state)
{
	static const struct {
		const char	*text;
		const char	*sender;
	} cases[] = {
		{ "sender=bob \n\n", "bob" },
		{ "sender=bob \t\v\f\r \n\n", "bob" },
		{ "sender=bob\r\nrecipient=x\n\n", "bob" },
		{ "sender= bob b \n\n", " bob b" },
		{ "sender=bob=\n\n", "bob=" },
		{ "sender== \n\n", "=" },
		{ "sender=bob\xc2\xa0\n\n", "bob\xc2\xa0" },
		{ "sender= \n\n", "" },
		{ "sender=\n\n", "" },
	};
	struct request	 req;
	const char	*reason;
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(request_parse(&req, cases[i].text,
		    strlen(cases[i].text), &reason) > 0);
		assert_int_equal(req.attr[ATTR_SENDER].len,
		    strlen(cases[i].sender));
		assert_memory_equal(req.attr[ATTR_SENDER].bytes,
		    cases[i].sender, req.attr[ATTR_SENDER].len);
	}
	/* Not what is only a blank. */
	refused("sender=bob\n \n\n", 14, "a line without `='");
}

/* It would never end otherwise. */
static void
crlf_line_ends(void **state)
{
	static const char	text[] = "sender=a\r\nrecipient=b\r\n\r\n";
	size_t			len = sizeof(text) - 1, from = 0, n;

	(void)state;
	for (n = 0; n < len; n++)
		assert_int_equal(request_end(text, n, &from), 0);
	assert_int_equal(request_end(text, len, &from), len);
	refused(text, len, "a line without `='");
	/* A value may end in CR, a line of CR may have `=`. */
	assert_int_equal(end_of("a=\r\n\r=\n\n", 8), 8);
	assert_int_equal(end_of("a=b\n\r", 5), 0);
}

static void
mutated(void **state)
{
	struct mutate	m = { .random = { 0x72657175657374 } };

	(void)state;
	m.alphabet = "\n\n\r=\x01+@,\\.:_0123456789abcdefDATARCPT\xc3\xa4\xff";
	mutate_add_directory(&m, "regress/fuzz/corpus/request");
	mutate_run(&m, 20000);
}

#define TEST(name)	cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(as_postfix_sends_it),
		TEST(utf8_split_across_reads),
		TEST(no_byte_is_looked_at_twice),
		TEST(two_requests_in_one_write_merged),
		TEST(value_with_equals),
		TEST(names),
		TEST(of_a_repeated_name_the_last),
		TEST(nothing_in_it),
		TEST(long_helo_hides_sasl),
		TEST(odd_bytes_are_bytes),
		TEST(malformed),
		TEST(blanks_at_line_ends),
		TEST(crlf_line_ends),
		TEST(mutated)
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
