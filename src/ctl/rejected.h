#ifndef REJECTED_H
#define REJECTED_H

#include <stdbool.h>

#include "lib/str.h"

/*
 * Reads a line that Postfix logs when it rejects a request, such as
 *
 *	NOQUEUE: reject: RCPT from host[192.0.2.1]: 450 4.7.1 <b@example.net>:
 *	Recipient address rejected: ...; from=<a@example.org> to=<b@example.net>
 *	proto=ESMTP helo=<host>
 *
 * and appends what it says as words "client=192.0.2.1", each with a NUL byte
 * at its end. The queue id, if the line begins with one, is not needed. False:
 * it is no such line. Pure.
 */
bool	rejected_parse(struct str *words, const char *line);

#endif
