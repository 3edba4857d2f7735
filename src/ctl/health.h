#ifndef CTL_HEALTH_H
#define CTL_HEALTH_H

#include "ctl/answer.h"
#include "lib/str.h"

/* Exit statuses of `policyctl status` and `page`. */
enum health {
	HEALTH_WELL = 0,
	HEALTH_DEGRADED = 1,	/* it answers, with a problem */
	HEALTH_DOWN = 2,	/* no daemon answers */
	HEALTH_UNKNOWN = 3	/* no permission, or a malformed answer */
};

/*
 * The health by an answer to "status"; appends the reason unless it is
 * HEALTH_WELL.
 */
enum health	health_of(const struct answer *, struct str *reason);

/* The health of a daemon that could not be asked, by errno. */
enum health	health_of_errno(int);

/* "well", "degraded", "not serving" or "unknown". */
const char	*health_word(enum health);

/* Appends the one line of `policyctl status -q`, with its newline. */
void	health_line(struct str *, enum health, const char *reason);

#endif
