#include <stdint.h>
#include <string.h>

#include "fuzz.h"
#include "lib/str.h"
#include "report/smtp.h"

/*
 * Whatever a server says, under each kind of settings, at once and in pieces:
 * the same end. No password without TLS, no mail without what was asked for,
 * and a mail is taken only after it was sent.
 */
static int
smtp_fuzz_hmac(const void *key, size_t keylen, const void *text, size_t len,
    unsigned char digest[16])
{
	(void)key;
	(void)keylen;
	memset(digest, len > 0 ? ((const unsigned char *)text)[0] : 0, 16);
	return 0;
}

static const struct smtp_config	smtp_fuzz_configs[] = {
	{ .name = "h", .hmac = smtp_fuzz_hmac },
	{ .name = "h", .starttls = true, .user = "u", .password = "pw" },
	{ .name = "h", .tls = true, .user = "u", .password = "pw",
	    .hmac = smtp_fuzz_hmac },
	{ .name = "h", .user = "u", .password = "pw" }
};

static const char *const	smtp_fuzz_to[] = {
	"b@x", "\303\274@x", "c d", "e@x"
};

static void
smtp_fuzz_write(struct smtp *s, struct str *sent)
{
	const char	*out;
	size_t		 len;

	out = smtp_output(s, &len);
	str_add(sent, out, len);
	smtp_wrote(s, len);
}

/* Everything that was said to the server is left in `sent`. */
static bool
smtp_fuzz_play(const struct smtp_config *c, const char *bytes, size_t size,
    size_t piece, struct str *sent)
{
	static const struct smtp_mail	 mail = {
		.from = "a@x", .to = smtp_fuzz_to, .nto = 4,
		.data = ".a\r\n", .len = 4
	};
	struct smtp			*s = smtp_new(c, &mail);
	enum smtp_want			 want = SMTP_WANT_REPLY;
	bool				 taken;
	size_t				 n;

	for (; size > 0 && want != SMTP_WANT_CLOSE; bytes += n, size -= n) {
		n = size < piece ? size : piece;
		want = smtp_input(s, bytes, n);
		smtp_fuzz_write(s, sent);
		if (want == SMTP_WANT_TLS) {
			str_adds(sent, "(TLS)");
			want = smtp_secured(s);
			smtp_fuzz_write(s, sent);
		}
	}
	taken = smtp_taken(s);
	fuzz_require(strlen(smtp_reason(s)) < SMTP_REASON_MAX);
	fuzz_require(smtp_timeout(s) > 0);
	smtp_free(s);
	return taken;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct smtp_config	*c;
	const char			*bytes = (const char *)data;
	struct str			 sent;
	size_t				 i;
	bool				 taken;

	for (i = 0; i < 8; i++) {
		c = &smtp_fuzz_configs[i % 4];
		str_init(&sent);
		str_adds(&sent, c->tls ? "(TLS)" : "");
		taken = smtp_fuzz_play(c, bytes, size, i < 4 ? 1 : 7, &sent);
		if (taken)
			fuzz_require(strstr(sent.data, "\r\n..a\r\n.\r\n") !=
			    NULL);
		if (c->user != NULL && strstr(sent.data, "(TLS)") == NULL)
			fuzz_require(strstr(sent.data, "AUTH") == NULL &&
			    strstr(sent.data, "MAIL") == NULL);
		fuzz_require(!taken || c->user == NULL ||
		    strstr(sent.data, "AUTH") != NULL);
		str_clear(&sent);
	}
	return 0;
}
