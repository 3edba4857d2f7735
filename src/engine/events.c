#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/reply.h"
#include "lib/alloc.h"
#include "lib/clock.h"

#define END_ROOM	8	/* bytes of the queue, for the last line */

struct follower {
	TAILQ_ENTRY(follower)	 entry;
	struct followers	*all;
	int			 fd;
	struct str		 queue;
	size_t			 written;	/* of the queue */
	int64_t			 lost;		/* events, not told yet */
	struct event		 readable;
	struct event		 writable;
};

struct followers {
	TAILQ_HEAD(, follower)	 list;
	unsigned int		 count;
};

static void
follower_free(struct follower *f)
{
	f->all->count--;
	TAILQ_REMOVE(&f->all->list, f, entry);
	event_del(&f->readable);
	event_del(&f->writable);
	close(f->fd);
	str_clear(&f->queue);
	free(f);
}

/* False: the line does not fit into the queue. */
static bool
follower_add(struct follower *f, const struct str *line)
{
	size_t	left = f->queue.len - f->written;

	if (left + line->len > EVENTS_QUEUE - END_ROOM)
		return false;
	if (f->written > 0) {
		memmove(f->queue.data, f->queue.data + f->written, left);
		f->queue.len = left;
		f->written = 0;
	}
	str_add(&f->queue, line->data, line->len);
	event_add(&f->writable, NULL);
	return true;
}

/* "events	time#...	event=..." and the fields. */
static void
compose(struct str *line, const char *event, const struct str *fields)
{
	str_init(line);
	reply_begin(line, "events");
	reply_number(line, "time", clock_wall());
	reply_text(line, "event", event);
	if (fields != NULL && fields->len > 0)
		str_add(line, fields->data, fields->len);
	reply_end(line);
}

/* Says how many events were lost, as soon as there is room to say it. */
static void
follower_tell_lost(struct follower *f)
{
	struct str	fields, line;

	if (f->lost == 0)
		return;
	str_init(&fields);
	reply_number(&fields, "events", f->lost);
	compose(&line, "lost", &fields);
	if (follower_add(f, &line))
		f->lost = 0;
	str_clear(&line);
	str_clear(&fields);
}

static void
follower_on_writable(int fd, short what, void *arg)
{
	struct follower	*f = arg;
	ssize_t		 n;

	(void)what;
	n = write(fd, f->queue.data + f->written, f->queue.len - f->written);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		follower_free(f);
		return;
	}
	if (n > 0)
		f->written += (size_t)n;
	/* Half the queue must be free, so that one slow reader is told once. */
	if (f->queue.len - f->written < EVENTS_QUEUE / 2)
		follower_tell_lost(f);
	if (f->queue.len > f->written)
		event_add(&f->writable, NULL);
}

/* A follower has nothing more to say: what it sends is thrown away. */
static void
follower_on_readable(int fd, short what, void *arg)
{
	char	bytes[512];
	ssize_t	n;

	(void)what;
	n = read(fd, bytes, sizeof(bytes));
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		follower_free(arg);
}

bool
events_wanted(const struct followers *all)
{
	return all->count > 0;
}

bool
events_full(const struct followers *all)
{
	return all->count >= EVENTS_FOLLOWERS;
}

void
events_follow(struct followers *all, int fd)
{
	struct follower	*f = alloc_zero(1, sizeof(*f));

	f->all = all;
	f->fd = fd;
	str_init(&f->queue);
	str_adds(&f->queue, "ok\n");
	event_set(&f->readable, fd, EV_READ | EV_PERSIST, follower_on_readable,
	    f);
	event_set(&f->writable, fd, EV_WRITE, follower_on_writable, f);
	TAILQ_INSERT_TAIL(&all->list, f, entry);
	all->count++;
	event_add(&f->readable, NULL);
	event_add(&f->writable, NULL);
}

void
events_add(struct followers *all, const char *event, const struct str *fields)
{
	struct follower	*f;
	struct str	 line;

	if (!events_wanted(all))
		return;
	compose(&line, event, fields);
	TAILQ_FOREACH(f, &all->list, entry)
		if (f->lost > 0 || !follower_add(f, &line))
			f->lost++;
	str_clear(&line);
}

void
events_stop(struct followers *all)
{
	struct follower	*f;

	while ((f = TAILQ_FIRST(&all->list)) != NULL) {
		follower_tell_lost(f);
		str_adds(&f->queue, "end\n");
		/* The kernel takes it, or the follower is too far behind. */
		if (write(f->fd, f->queue.data + f->written,
		    f->queue.len - f->written) == -1)
			errno = 0;
		follower_free(f);
	}
}

struct followers *
events_new(void)
{
	struct followers	*all = alloc_zero(1, sizeof(*all));

	TAILQ_INIT(&all->list);
	return all;
}
