#ifndef CTL_HEALTH_H
#define CTL_HEALTH_H

#include "ctl/answer.h"
#include "lib/str.h"

/* Exit statuses of `policyctl status`. */
enum health {
	HEALTH_WELL = 0,
	HEALTH_DEGRADED = 1,	/* it answers, but not as it should */
	HEALTH_DOWN = 2,	/* no daemon answers */
	HEALTH_UNKNOWN = 3	/* no permission, no whole answer */
};

/* Of an answer to "status"; appends the reason of anything but HEALTH_WELL. */
enum health	health_of(const struct answer *, struct str *reason);

/* Of a daemon that could not be asked, by errno. */
enum health	health_of_errno(int);

/* The one line of `policyctl status -q`, with its newline. */
void	health_line(struct str *, enum health, const char *reason);

#endif
