#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>

#include "lib/str.h"

/*
 * The followers of `policyctl events`. Each has a bounded queue. An event that
 * does not fit is counted, and the follower is sent the count as the event
 * "lost" as soon as there is room again. The daemon does not wait for a
 * follower.
 */
struct followers;

#define EVENTS_FOLLOWERS	8
#define EVENTS_QUEUE		(128 * 1024)	/* bytes, for each */

struct followers	*events_new(void);

/* Whether there is a follower. Without one an event need not be composed. */
bool	events_wanted(const struct followers *);

/* Whether there are EVENTS_FOLLOWERS. */
bool	events_full(const struct followers *);

/*
 * Takes over a connected, non-blocking socket, and begins an answer on it that
 * ends with the daemon. The caller has checked events_full().
 */
void	events_follow(struct followers *, int fd);

/*
 * Queues an event for every follower, with the fields that reply.h wrote; NULL:
 * none.
 */
void	events_add(struct followers *, const char *event,
	    const struct str *fields);

/*
 * Ends the answers to all followers, as far as their sockets accept that, and
 * closes their connections.
 */
void	events_stop(struct followers *);

#endif
