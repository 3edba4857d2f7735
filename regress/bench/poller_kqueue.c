#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "poller.h"

struct poller {
	int		fd;
	struct kevent	ready[POLLER_EVENTS];
};

struct poller *
poller_new(void)
{
	struct poller	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if ((p->fd = kqueue()) == -1) {
		free(p);
		return NULL;
	}
	return p;
}

void
poller_free(struct poller *p)
{
	if (p == NULL)
		return;
	close(p->fd);
	free(p);
}

static int
filter(struct poller *p, int fd, short which, int on, void *tag)
{
	struct kevent	kev;

	memset(&kev, 0, sizeof(kev));
	EV_SET(&kev, (uintptr_t)fd, which, on ? EV_ADD | EV_CLEAR : EV_DELETE,
	    0, 0, tag);
	if (kevent(p->fd, &kev, 1, NULL, 0, NULL) == -1) {
		/* What was never asked for need not be taken back. */
		if (!on && errno == ENOENT)
			return 0;
		return -1;
	}
	return 0;
}

int
poller_add(struct poller *p, int fd, int interest, void *tag)
{
	if (interest & POLLER_READ &&
	    filter(p, fd, EVFILT_READ, 1, tag) == -1)
		return -1;
	if (interest & POLLER_WRITE &&
	    filter(p, fd, EVFILT_WRITE, 1, tag) == -1)
		return -1;
	return 0;
}

int
poller_change(struct poller *p, int fd, int interest, void *tag)
{
	if (filter(p, fd, EVFILT_READ, interest & POLLER_READ, tag) == -1)
		return -1;
	return filter(p, fd, EVFILT_WRITE, interest & POLLER_WRITE, tag);
}

int
poller_wait(struct poller *p, struct poller_event *events, int64_t timeout)
{
	struct timespec	 ts;
	int		 i, n;

	if (timeout >= 0) {
		ts.tv_sec = timeout / 1000000000;
		ts.tv_nsec = timeout % 1000000000;
	}
	n = kevent(p->fd, NULL, 0, p->ready, POLLER_EVENTS,
	    timeout >= 0 ? &ts : NULL);
	if (n == -1)
		return errno == EINTR ? 0 : -1;
	for (i = 0; i < n; i++) {
		events[i].tag = p->ready[i].udata;
		events[i].ready = p->ready[i].filter == EVFILT_WRITE ?
		    POLLER_WRITE : POLLER_READ;
		if (p->ready[i].flags & EV_EOF)
			events[i].ready = POLLER_READ | POLLER_WRITE;
	}
	return n;
}
