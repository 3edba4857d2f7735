#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

/*
 * A policy request of Postfix (SMTPD_POLICY_README): `name=value` lines, each
 * ended by LF, and an empty line. Blanks at the end of a line are not part of
 * its value. Pure: bytes in, attributes out. Bytes are bytes.
 */
#define REQUEST_MAX	65536		/* one request with its empty line */

enum request_attribute {		/* those that decide something */
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
	ATTR__MAX
};

struct request_value {
	const char	*bytes;	/* into the caller's buffer; NULL: not given */
	size_t		 len;	/* 0 as well when not given */
};

struct request {
	struct request_value	attr[ATTR__MAX];
};

/*
 * Length of the first whole request in the buffer, its empty line included; 0
 * when it is not whole yet. `*from` (0 at first, kept by the caller between
 * calls on a growing buffer) is where the search goes on, so no byte is looked
 * at twice. An empty line that ends in CRLF counts as one, so that
 * request_parse can refuse what would never end otherwise.
 */
size_t	request_end(const char *, size_t, size_t *from);

/*
 * Parses exactly one whole request. Of a repeated name the last counts,
 * unknown names are ignored. 0, or -1 with errno EBADMSG and *reason (static)
 * for a line without `=`, a NUL byte, or a `request` that is not
 * smtpd_access_policy.
 */
int	request_parse(struct request *, const char *, size_t,
	    const char **reason);

/*
 * The same for the first request of a buffer that ends with some request's
 * empty line: *used is its length.
 */
int	request_parse_first(struct request *, const char *, size_t,
	    size_t *used, const char **reason);

const char	*request_attribute_name(enum request_attribute);

#endif
