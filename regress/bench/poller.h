#ifndef POLLER_H
#define POLLER_H

#include <stdint.h>

/*
 * Readiness of many descriptors, by edges: a descriptor is reported once when
 * it becomes ready and then not again before it was used until it would block
 * (or, for a stream, until a read gave less than was asked for). poller_epoll.c
 * or poller_kqueue.c, as the Makefile chooses.
 */
#define POLLER_READ	1
#define POLLER_WRITE	2

#define POLLER_EVENTS	512	/* at most this many from one poller_wait */

struct poller;

struct poller_event {
	void	*tag;		/* as given to poller_add */
	int	 ready;		/* POLLER_READ, POLLER_WRITE; hangup: both */
};

/* NULL with errno. */
struct poller	*poller_new(void);
void		 poller_free(struct poller *);

/*
 * Watches for `interest`; close(2) ends it. poller_change replaces the interest
 * of a watched descriptor. 0 or -1 with errno.
 */
int	poller_add(struct poller *, int fd, int interest, void *tag);
int	poller_change(struct poller *, int fd, int interest, void *tag);

/*
 * Waits until something is ready or `timeout` nanoseconds have passed (-1: no
 * end). Returns how many of `events` were filled, 0 at the timeout or after a
 * signal, -1 with errno.
 */
int	poller_wait(struct poller *, struct poller_event *events,
	    int64_t timeout);

#endif
