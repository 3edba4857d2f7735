#include <string.h>

#include "conf/normal.h"
#include "engine/request.h"

#define POLICY	"smtpd_access_policy"

#define LONGEST		17
#define SAME_LENGTH	3	/* most names of one length */

/* By the length of the name. */
static const struct {
	const char		*name;
	enum request_attribute	 attr;
} names[LONGEST + 1][SAME_LENGTH] = {
	[4] =	{ { "size", ATTR_SIZE } },
	[6] =	{ { "sender", ATTR_SENDER } },
	[7] =	{ { "request", ATTR_REQUEST } },
	[8] =	{ { "queue_id", ATTR_QUEUE_ID },
		  { "instance", ATTR_INSTANCE } },
	[9] =	{ { "helo_name", ATTR_HELO_NAME },
		  { "recipient", ATTR_RECIPIENT } },
	[11] =	{ { "client_name", ATTR_CLIENT_NAME },
		  { "server_port", ATTR_SERVER_PORT } },
	[13] =	{ { "sasl_username", ATTR_SASL_USERNAME } },
	[14] =	{ { "protocol_state", ATTR_PROTOCOL_STATE },
		  { "client_address", ATTR_CLIENT_ADDRESS },
		  { "policy_context", ATTR_POLICY_CONTEXT } },
	[15] =	{ { "recipient_count", ATTR_RECIPIENT_COUNT } },
	[17] =	{ { "ccert_fingerprint", ATTR_CCERT_FINGERPRINT } },
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

size_t
request_parse(struct request *req, const char *buf, size_t len,
    const char **reason)
{
	const struct request_value	*asked = &req->attr[ATTR_REQUEST];
	const char			*line, *end = buf + len, *lf, *at;
	struct request_value		*v;
	size_t				 n, i;

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
		n = (size_t)(at - line);
		for (i = 0; n <= LONGEST && i < SAME_LENGTH; i++) {
			if (names[n][i].name == NULL)
				break;
			if (memcmp(names[n][i].name, line, n) != 0)
				continue;
			v = &req->attr[names[n][i].attr];
			v->bytes = at + 1;
			v->len = (size_t)(lf - at) - 1;
			/* Postfix itself sends no blanks at the end. */
			if (lf[-1] <= ' ')
				v->len = normal_length(v->bytes, v->len);
			break;
		}
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
