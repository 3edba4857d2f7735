#include <errno.h>
#include <stdbool.h>
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

/* A request without `request` is taken for smtpd_access_policy. */
static bool
request_is_policy(const struct request *req)
{
	const struct request_value	*v = &req->attr[ATTR_REQUEST];

	return v->bytes == NULL || (v->len == sizeof(POLICY) - 1 &&
	    memcmp(v->bytes, POLICY, v->len) == 0);
}

/* Parses the lines up to the empty one. Returns their length; 0: malformed. */
static size_t
request_lines(struct request *req, const char *buf, size_t len,
    const char **reason)
{
	const char	*line, *end = buf + len, *lf, *at;

	for (line = buf; line < end; line = lf + 1) {
		if ((lf = memchr(line, '\n', (size_t)(end - line))) == NULL) {
			*reason = "a line without an end";
			return 0;
		}
		if (lf == line)
			return (size_t)(lf - buf) + 1;
		at = memchr(line, '=', (size_t)(lf - line));
		if (at == NULL) {
			*reason = "a line without `='";
			return 0;
		}
		request_take(req, line, (size_t)(at - line), at + 1,
		    (size_t)(lf - at) - 1);
	}
	return len;
}

int
request_parse_first(struct request *req, const char *buf, size_t len,
    size_t *used, const char **reason)
{
	size_t	n;

	memset(req, 0, sizeof(*req));
	n = request_lines(req, buf, len, reason);
	if (memchr(buf, '\0', n > 0 ? n : len) != NULL) {
		*reason = "a NUL byte";
		n = 0;
	} else if (n > 0 && !request_is_policy(req)) {
		*reason = "not a request for " POLICY;
		n = 0;
	}
	*used = n;
	if (n > 0)
		return 0;
	errno = EBADMSG;
	return -1;
}

int
request_parse(struct request *req, const char *buf, size_t len,
    const char **reason)
{
	size_t	used;

	return request_parse_first(req, buf, len, &used, reason);
}

const char *
request_attribute_name(enum request_attribute attr)
{
	return names[attr];
}
