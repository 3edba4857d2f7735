#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>

#include "lib/str.h"

/* How the answer of `events` ended, which goes on until the daemon ends. */
enum follow_end {
	FOLLOW_ON,		/* it has not: never returned */
	FOLLOW_ENDED,		/* the daemon said that it ends */
	FOLLOW_FAILED,		/* the daemon refused; the text says why */
	FOLLOW_LOST,		/* the connection broke, or it is no answer */
	FOLLOW_UNWRITTEN	/* standard output, errno */
};

/*
 * Prints the events that come from the socket, each as one line and at once:
 * as text, or with `json` as an object. Appends a printable text of a failure
 * to `fault`. The socket's timeout holds until the daemon has accepted.
 */
enum follow_end	follow(int fd, bool json, struct str *fault);

#endif
