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

struct scan_queue {
	const struct controls		*controls;
	TAILQ_HEAD(, scan_command)	 list;	/* the first one is served */
	bool				 requested;	/* of the parent */
	struct channel			*channel;	/* NULL: none */
	struct event			 readable;
	struct event			 writable;
};

/* NULL: no command, or its caller is gone or was answered. */
static struct control *
waiting(const struct scan_queue *q, const struct scan_command *r)
{
	return r == NULL ? NULL : control_numbered(q->controls, r->number);
}

static void
drop(struct scan_queue *q, struct scan_command *r)
{
	TAILQ_REMOVE(&q->list, r, entry);
	str_clear(&r->payload);
	free(r);
}

/* Closes the channel, if there is one. The ledger ends with it. */
static void
close_channel(struct scan_queue *q)
{
	if (q->channel == NULL)
		return;
	event_del(&q->readable);
	event_del(&q->writable);
	channel_free(q->channel);
	q->channel = NULL;
}

/* Has the parent start a ledger for the first command whose caller waits. */
static void
start(struct scan_queue *q)
{
	struct scan_command	*r;
	struct control		*c;

	while ((r = TAILQ_FIRST(&q->list)) != NULL &&
	    (c = waiting(q, r)) == NULL) {
		close_channel(q);
		drop(q, r);
	}
	if (r == NULL || q->requested || q->channel != NULL)
		return;
	q->requested = true;
	control_task(c, TASK_SCAN);
	control_hold(c, r->question->patience);
}

/* Ends the first command's turn, and begins that of the next one. */
static void
next(struct scan_queue *q)
{
	close_channel(q);
	if (!TAILQ_EMPTY(&q->list))
		drop(q, TAILQ_FIRST(&q->list));
	start(q);
}

static void
fail(struct scan_queue *q, const char *why)
{
	struct scan_command	*r = TAILQ_FIRST(&q->list);
	struct control		*c = waiting(q, r);

	if (c != NULL)
		r->question->failed(c, why);
	next(q);
}

/* Tells every waiting caller; this may find that one is gone. */
static int
on_progress(struct scan_queue *q, const struct message *m)
{
	struct scan_command	*r;
	struct control		*c;
	uint64_t		 rows;

	if (msg_number_get(&rows, m->payload, m->len) == -1)
		return -1;
	TAILQ_FOREACH(r, &q->list, entry) {
		if ((c = waiting(q, r)) == NULL)
			continue;
		control_progress(c, (int64_t)(rows & INT64_MAX));
		if ((c = waiting(q, r)) != NULL)
			control_hold(c, r->question->patience);
	}
	return 0;
}

static void
on_readable(int fd, short what, void *arg)
{
	struct scan_queue	*q = arg;
	struct scan_command	*r = TAILQ_FIRST(&q->list);
	struct control		*c;
	struct message		 m;
	int			 read, more = 0, ended = 0;

	(void)fd;
	(void)what;
	read = channel_read(q->channel);
	while ((c = waiting(q, r)) != NULL &&
	    (more = channel_next(q->channel, &m)) == 1) {
		control_hold(c, r->question->patience);
		ended = m.type == MSG_PROGRESS ? on_progress(q, &m) :
		    r->question->on_answer(c, &m);
		if (ended != 0)
			break;
	}
	/* It was answered, or the caller is gone. */
	if (c == NULL || ended == 1)
		next(q);
	else if (read == -1 || more == -1 || ended == -1)
		fail(q, ENDED);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct scan_queue	*q = arg;

	(void)fd;
	(void)what;
	/* A broken channel is noticed when it is read. */
	if (channel_flush(q->channel) == 0)
		event_add(&q->writable, NULL);
}

void
scan_queue_channel(struct scan_queue *q, int fd)
{
	struct scan_command	*r = TAILQ_FIRST(&q->list);
	struct control		*c = waiting(q, r);

	q->requested = false;
	if (fd == -1 || q->channel != NULL || c == NULL) {
		if (fd != -1)
			close(fd);
		if (q->channel == NULL)
			start(q);
		return;
	}
	q->channel = channel_new(fd, ROLE_ENGINE, ROLE_LEDGER);
	event_set(&q->readable, channel_fd(q->channel), EV_READ | EV_PERSIST,
	    on_readable, q);
	event_set(&q->writable, channel_fd(q->channel), EV_WRITE, on_writable,
	    q);
	event_add(&q->readable, NULL);
	channel_send(q->channel, r->question->ask, 0, &r->payload, -1);
	control_hold(c, r->question->patience);
	on_writable(-1, EV_WRITE, q);
}

void
scan_queue_missing(struct scan_queue *q, const char *why)
{
	q->requested = false;
	if (q->channel == NULL)
		fail(q, why);
}

void
scan_queue_leave(struct scan_queue *q, const struct control *c)
{
	struct scan_command	*r;

	TAILQ_FOREACH(r, &q->list, entry)
		if (r->number == c->number)
			break;
	if (r == NULL)
		return;
	if (r == TAILQ_FIRST(&q->list))
		close_channel(q);
	drop(q, r);
	start(q);
}

void
scan_queue_add(struct scan_queue *q, struct control *c,
    const struct scan_question *question, const struct str *payload)
{
	struct scan_command	*r = alloc_zero(1, sizeof(*r));

	r->number = c->number;
	r->question = question;
	str_init(&r->payload);
	if (payload->len > 0)
		str_add(&r->payload, payload->data, payload->len);
	TAILQ_INSERT_TAIL(&q->list, r, entry);
	control_hold(c, question->patience);
	start(q);
}

struct scan_queue *
scan_queue_new(const struct controls *controls)
{
	struct scan_queue	*q = alloc_zero(1, sizeof(*q));

	q->controls = controls;
	TAILQ_INIT(&q->list);
	return q;
}
