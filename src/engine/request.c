#include <string.h>

#include "conf/normal.h"
#include "engine/request.h"

#define POLICY	"smtpd_access_policy"

static const char	*const names[ATTR__MAX] = {
	[ATTR_REQUEST] =		"request",
	[ATTR_PROTOCOL_STATE] =		"protocol_state",
	[ATTR_CLIENT_ADDRESS] =		"client_address",
	[ATTR_HELO_NAME] =		"helo_name",
	[ATTR_SENDER] =			"sender",
	[ATTR_RECIPIENT] =		"recipient",
	[ATTR_RECIPIENT_COUNT] =	"recipient_count",
	[ATTR_QUEUE_ID] =		"queue_id",
	[ATTR_INSTANCE] =		"instance",
	[ATTR_SIZE] =			"size",
	[ATTR_SASL_USERNAME] =		"sasl_username",
	[ATTR_CLIENT_NAME] =		"client_name",
	[ATTR_POLICY_CONTEXT] =		"policy_context",
	[ATTR_SERVER_PORT] =		"server_port",
	[ATTR_CCERT_FINGERPRINT] =	"ccert_fingerprint",
};

size_t
request_end(const char *buf, size_t len, size_t *from)
{
	const char	*lf;
	size_t		 at;

	if (*from == 0 && len > 0 && buf[0] == '\n')
		return 1;
	for (at = *from; at < len; at++) {
		if ((lf = memchr(buf + at, '\n', len - at)) == NULL) {
			at = len;
			break;
		}
		at = (size_t)(lf - buf);
		if (at + 1 < len && buf[at + 1] == '\n')
			return at + 2;
		if (at + 2 < len && buf[at + 1] == '\r' && buf[at + 2] == '\n')
			return at + 3;
		/* The bytes that make the line empty may still have to come. */
		if (at + 1 == len || (at + 2 == len && buf[at + 1] == '\r'))
			break;
	}
	*from = at;
	return 0;
}

#define LONGEST		17
#define SAME_LENGTH	3	/* most names of one length */
#define A(attr)		(ATTR_##attr + 1)

static void
request_take(struct request *req, const char *name, size_t namelen,
    const char *value, size_t len)
{
	static const unsigned char	by_length[LONGEST + 1][SAME_LENGTH] = {
		[4] =	{ A(SIZE) },
		[6] =	{ A(SENDER) },
		[7] =	{ A(REQUEST) },
		[8] =	{ A(QUEUE_ID), A(INSTANCE) },
		[9] =	{ A(HELO_NAME), A(RECIPIENT) },
		[11] =	{ A(CLIENT_NAME), A(SERVER_PORT) },
		[13] =	{ A(SASL_USERNAME) },
		[14] =	{ A(PROTOCOL_STATE), A(CLIENT_ADDRESS),
			  A(POLICY_CONTEXT) },
		[15] =	{ A(RECIPIENT_COUNT) },
		[17] =	{ A(CCERT_FINGERPRINT) },
	};
	unsigned int			i, attr;

	if (namelen > LONGEST)
		return;
	for (i = 0; i < SAME_LENGTH && by_length[namelen][i] != 0; i++) {
		attr = by_length[namelen][i] - 1U;
		if (names[attr][0] == *name &&
		    memcmp(names[attr], name, namelen) == 0) {
			req->attr[attr].bytes = value;
			req->attr[attr].len = normal_length(value, len);
			return;
		}
	}
}
#undef A

size_t
request_parse(struct request *req, const char *buf, size_t len,
    const char **reason)
{
	const struct request_value	*asked = &req->attr[ATTR_REQUEST];
	const char			*line, *end = buf + len, *lf, *at;

	memset(req, 0, sizeof(*req));
	*reason = NULL;
	for (line = buf; line < end && *line != '\n'; line = lf + 1) {
		lf = memchr(line, '\n', (size_t)(end - line));
		if (lf == NULL) {
			*reason = "a line without an end";
			break;
		}
		at = memchr(line, '=', (size_t)(lf - line));
		if (at == NULL) {
			*reason = "a line without `='";
			break;
		}
		request_take(req, line, (size_t)(at - line), at + 1,
		    (size_t)(lf - at) - 1);
	}
	if (*reason == NULL && line < end)
		end = line + 1;
	if (memchr(buf, '\0', (size_t)(end - buf)) != NULL)
		*reason = "a NUL byte";
	/* A request without `request` is taken for smtpd_access_policy. */
	else if (*reason == NULL && asked->bytes != NULL &&
	    (asked->len != sizeof(POLICY) - 1 ||
	    memcmp(asked->bytes, POLICY, asked->len) != 0))
		*reason = "not a request for " POLICY;
	return *reason != NULL ? 0 : (size_t)(end - buf);
}
