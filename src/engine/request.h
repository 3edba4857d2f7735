#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

/*
 * A policy request of Postfix (SMTPD_POLICY_README): `name=value` lines, each
 * ended by LF, and an empty line. Blanks at the end of a line are not part of
 * its value. Values may contain any bytes. Pure: bytes in, attributes out.
 */
#define REQUEST_MAX	65536		/* a request with its empty line */

enum request_attribute {		/* attributes that are used */
	ATTR_REQUEST,
	ATTR_PROTOCOL_STATE,
	ATTR_CLIENT_ADDRESS,
	ATTR_HELO_NAME,
	ATTR_SENDER,
	ATTR_RECIPIENT,
	ATTR_RECIPIENT_COUNT,
	ATTR_QUEUE_ID,
	ATTR_INSTANCE,
	ATTR_SIZE,
	ATTR_SASL_USERNAME,
	ATTR_CLIENT_NAME,
	ATTR_POLICY_CONTEXT,
	ATTR_SERVER_PORT,
	ATTR_CCERT_FINGERPRINT,
	ATTR__MAX
};

struct request_value {
	const char	*bytes;	/* into the caller's buffer; NULL: not given */
	size_t		 len;	/* 0 if not given */
};

struct request {
	struct request_value	attr[ATTR__MAX];
};

/*
 * Length of the first complete request in the buffer, including its empty line;
 * 0: it is incomplete. `*from` says where the search continues, so that no byte
 * is examined twice; it is 0 at first, and the caller keeps it between calls on
 * a growing buffer. An empty line that ends in CRLF counts, so that
 * request_parse can refuse the request.
 */
size_t	request_end(const char *, size_t, size_t *from);

/*
 * Parses the first request of a buffer that ends with the empty line of some
 * request; returns its length. If a name is repeated the last value counts;
 * unknown names are ignored. 0 with *reason (static): there is a line without
 * `=`, a NUL byte, or a `request` other than smtpd_access_policy.
 */
size_t	request_parse(struct request *, const char *, size_t,
	    const char **reason);

#endif
