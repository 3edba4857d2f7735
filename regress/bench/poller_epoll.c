#include <sys/epoll.h>
#include <sys/prctl.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "poller.h"

struct poller {
	int			 fd;
	struct epoll_event	 ready[POLLER_EVENTS];
};

struct poller *
poller_new(void)
{
	struct poller	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if ((p->fd = epoll_create1(EPOLL_CLOEXEC)) == -1) {
		free(p);
		return NULL;
	}
	/*
	 * Timeouts of an open loop are meant to the microsecond, not to 50 of
	 * them.
	 */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
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
control(struct poller *p, int operation, int fd, int interest, void *tag)
{
	struct epoll_event	ev;

	ev.events = EPOLLET;
	if (interest & POLLER_READ)
		ev.events |= EPOLLIN | EPOLLRDHUP;
	if (interest & POLLER_WRITE)
		ev.events |= EPOLLOUT;
	ev.data.ptr = tag;
	return epoll_ctl(p->fd, operation, fd, &ev);
}

int
poller_add(struct poller *p, int fd, int interest, void *tag)
{
	return control(p, EPOLL_CTL_ADD, fd, interest, tag);
}

int
poller_change(struct poller *p, int fd, int interest, void *tag)
{
	return control(p, EPOLL_CTL_MOD, fd, interest, tag);
}

int
poller_wait(struct poller *p, struct poller_event *events, int64_t timeout)
{
	struct timespec	 ts;
	uint32_t	 bits;
	int		 i, n;

	if (timeout > 0) {
		ts.tv_sec = timeout / 1000000000;
		ts.tv_nsec = timeout % 1000000000;
		n = epoll_pwait2(p->fd, p->ready, POLLER_EVENTS, &ts, NULL);
	} else
		n = epoll_wait(p->fd, p->ready, POLLER_EVENTS, (int)timeout);
	if (n == -1)
		return errno == EINTR ? 0 : -1;
	for (i = 0; i < n; i++) {
		bits = p->ready[i].events;
		events[i].tag = p->ready[i].data.ptr;
		events[i].ready = 0;
		if (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			events[i].ready |= POLLER_READ;
		if (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			events[i].ready |= POLLER_WRITE;
	}
	return n;
}
