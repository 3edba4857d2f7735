#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/control/scan_queue.h"
#include "ipc/channel.h"
#include "lib/alloc.h"

#define ENDED	"the process that reads the rows ended; the log has the reason"

struct scan_command {
	TAILQ_ENTRY(scan_command)	 entry;
	uint64_t			 number;
	const struct scan_question	*question;
	struct str			 payload;
};

static struct {
	TAILQ_HEAD(, scan_command)	 list;	/* the first one is served */
	bool				 requested;	/* of the parent */
	struct channel			*channel;	/* NULL: none */
	struct event			 readable;
	struct event			 writable;
} queue;

static void
drop(struct scan_command *r)
{
	TAILQ_REMOVE(&queue.list, r, entry);
	str_clear(&r->payload);
	free(r);
}

/* Closes the channel, if there is one. The ledger ends with it. */
static void
close_channel(void)
{
	if (queue.channel == NULL)
		return;
	event_del(&queue.readable);
	event_del(&queue.writable);
	channel_free(queue.channel);
	queue.channel = NULL;
}

/* Has the parent start a ledger for the first command whose caller waits. */
static void
start(void)
{
	struct scan_command	*r;
	struct control		*c;

	while ((r = TAILQ_FIRST(&queue.list)) != NULL &&
	    (c = control_numbered(r->number)) == NULL) {
		close_channel();
		drop(r);
	}
	if (r == NULL || queue.requested || queue.channel != NULL)
		return;
	queue.requested = true;
	control_task(c, TASK_SCAN);
	control_hold(c, r->question->patience);
}

/* Ends the first command's turn, and begins that of the next one. */
static void
next(void)
{
	close_channel();
	if (!TAILQ_EMPTY(&queue.list))
		drop(TAILQ_FIRST(&queue.list));
	start();
}

static void
fail(const char *why)
{
	struct scan_command	*r = TAILQ_FIRST(&queue.list);
	struct control		*c;

	if (r != NULL && (c = control_numbered(r->number)) != NULL)
		r->question->failed(c, why);
	next();
}

/* Tells every waiting caller; this may find that one is gone. */
static int
on_progress(const struct message *m)
{
	struct scan_command	*r;
	struct control		*c;
	uint64_t		 rows;

	if (msg_number_get(&rows, m->payload, m->len) == -1)
		return -1;
	TAILQ_FOREACH(r, &queue.list, entry) {
		if ((c = control_numbered(r->number)) == NULL)
			continue;
		control_progress(c, (int64_t)(rows & INT64_MAX));
		if ((c = control_numbered(r->number)) != NULL)
			control_hold(c, r->question->patience);
	}
	return 0;
}

static void
on_readable(int fd, short what, void *arg)
{
	struct scan_command	*r = TAILQ_FIRST(&queue.list);
	struct control		*c = NULL;
	struct message		 m;
	int			 read, more = 0, ended = 0;

	(void)fd;
	(void)what;
	(void)arg;
	read = channel_read(queue.channel);
	while (r != NULL && (c = control_numbered(r->number)) != NULL &&
	    (more = channel_next(queue.channel, &m)) == 1) {
		control_hold(c, r->question->patience);
		ended = m.type == MSG_PROGRESS ? on_progress(&m) :
		    r->question->on_answer(c, &m);
		if (ended != 0)
			break;
	}
	/* It was answered, or the caller is gone. */
	if (c == NULL || ended == 1)
		next();
	else if (read == -1 || more == -1 || ended == -1)
		fail(ENDED);
}

static void
on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	/* A broken channel is noticed when it is read. */
	if (channel_flush(queue.channel) == 0)
		event_add(&queue.writable, NULL);
}

void
scan_queue_channel(int fd)
{
	struct scan_command	*r = TAILQ_FIRST(&queue.list);
	struct control		*c = NULL;

	queue.requested = false;
	if (r != NULL)
		c = control_numbered(r->number);
	if (fd == -1 || queue.channel != NULL || c == NULL) {
		if (fd != -1)
			close(fd);
		if (queue.channel == NULL)
			start();
		return;
	}
	queue.channel = channel_new(fd, ROLE_ENGINE, ROLE_LEDGER);
	event_set(&queue.readable, channel_fd(queue.channel),
	    EV_READ | EV_PERSIST, on_readable, NULL);
	event_set(&queue.writable, channel_fd(queue.channel), EV_WRITE,
	    on_writable, NULL);
	event_add(&queue.readable, NULL);
	channel_send(queue.channel, r->question->ask, 0, &r->payload, -1);
	control_hold(c, r->question->patience);
	on_writable(-1, EV_WRITE, NULL);
}

void
scan_queue_missing(const char *why)
{
	queue.requested = false;
	if (queue.channel == NULL)
		fail(why);
}

void
scan_queue_leave(const struct control *c)
{
	struct scan_command	*r;

	TAILQ_FOREACH(r, &queue.list, entry)
		if (r->number == c->number)
			break;
	if (r == NULL)
		return;
	if (r == TAILQ_FIRST(&queue.list))
		close_channel();
	drop(r);
	start();
}

void
scan_queue_add(struct control *c, const struct scan_question *question,
    const struct str *payload)
{
	struct scan_command	*r = alloc_zero(1, sizeof(*r));

	r->number = c->number;
	r->question = question;
	str_init(&r->payload);
	if (payload->len > 0)
		str_add(&r->payload, payload->data, payload->len);
	TAILQ_INSERT_TAIL(&queue.list, r, entry);
	control_hold(c, question->patience);
	start();
}

void
scan_queue_init(void)
{
	TAILQ_INIT(&queue.list);
}
