#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/row_reader.h"
#include "ipc/channel.h"
#include "lib/alloc.h"

#define ENDED	"the process that reads the rows ended; the log has the reason"

struct reader_command {
	TAILQ_ENTRY(reader_command)	 entry;
	uint64_t			 number;
	const struct row_reader_task	*task;
	struct str			 payload;
};

static struct {
	TAILQ_HEAD(, reader_command)	 list;	/* the first one is served */
	bool				 requested;	/* of the parent */
	struct channel			*channel;	/* NULL: none */
	struct event			 readable;
	struct event			 writable;
} reader;

static void
reader_drop(struct reader_command *r)
{
	TAILQ_REMOVE(&reader.list, r, entry);
	str_clear(&r->payload);
	free(r);
}

static void
reader_hold(struct control *c, const struct row_reader_task *task)
{
	control_hold(c, task->patience);
}

/* Closes the channel, if there is one. The ledger ends with it. */
static void
reader_close(void)
{
	if (reader.channel == NULL)
		return;
	event_del(&reader.readable);
	event_del(&reader.writable);
	channel_free(reader.channel);
	reader.channel = NULL;
}

/* Has the parent start a ledger for the first command whose caller waits. */
static void
reader_start(void)
{
	struct reader_command	*r;
	struct control		*c;

	while ((r = TAILQ_FIRST(&reader.list)) != NULL &&
	    (c = control_numbered(r->number)) == NULL) {
		reader_close();
		reader_drop(r);
	}
	if (r == NULL || reader.requested || reader.channel != NULL)
		return;
	reader.requested = true;
	control_task(c, TASK_SCAN);
	reader_hold(c, r->task);
}

/* The first command has had its ledger. */
static void
reader_next(void)
{
	reader_close();
	if (!TAILQ_EMPTY(&reader.list))
		reader_drop(TAILQ_FIRST(&reader.list));
	reader_start();
}

static void
reader_fail(const char *why)
{
	struct reader_command	*r = TAILQ_FIRST(&reader.list);
	struct control		*c;

	if (r != NULL && (c = control_numbered(r->number)) != NULL)
		r->task->failed(c, why);
	reader_next();
}

/* Tells all who wait; this may find that a caller is gone. */
static int
reader_on_progress(const struct message *m)
{
	struct reader_command	*r;
	struct control		*c;
	uint64_t		 rows;

	if (msg_number_get(&rows, m->payload, m->len) == -1)
		return -1;
	TAILQ_FOREACH(r, &reader.list, entry) {
		if ((c = control_numbered(r->number)) == NULL)
			continue;
		control_progress(c, (int64_t)(rows & INT64_MAX));
		if ((c = control_numbered(r->number)) != NULL)
			reader_hold(c, r->task);
	}
	return 0;
}

static void
reader_on_readable(int fd, short what, void *arg)
{
	struct reader_command	*r = TAILQ_FIRST(&reader.list);
	struct control		*c = NULL;
	struct message		 m;
	int			 read, more = 0, told = 0;

	(void)fd;
	(void)what;
	(void)arg;
	read = channel_read(reader.channel);
	while (r != NULL && (c = control_numbered(r->number)) != NULL &&
	    (more = channel_next(reader.channel, &m)) == 1) {
		reader_hold(c, r->task);
		told = m.type == MSG_PROGRESS ? reader_on_progress(&m) :
		    r->task->told(c, &m);
		if (told != 0)
			break;
	}
	/* It was answered, or the caller is gone. */
	if (c == NULL || told == 1)
		reader_next();
	else if (read == -1 || more == -1 || told == -1)
		reader_fail(ENDED);
}

static void
reader_flush(void)
{
	/* A broken channel is noticed when it is read. */
	if (channel_flush(reader.channel) == 0)
		event_add(&reader.writable, NULL);
}

static void
reader_on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	reader_flush();
}

void
row_reader_channel(int fd)
{
	struct reader_command	*r = TAILQ_FIRST(&reader.list);
	struct control		*c = NULL;

	reader.requested = false;
	if (r != NULL)
		c = control_numbered(r->number);
	if (fd == -1 || reader.channel != NULL || c == NULL) {
		if (fd != -1)
			close(fd);
		if (reader.channel == NULL)
			reader_start();
		return;
	}
	reader.channel = channel_new(fd, ROLE_ENGINE, ROLE_LEDGER);
	event_set(&reader.readable, channel_fd(reader.channel),
	    EV_READ | EV_PERSIST, reader_on_readable, NULL);
	event_set(&reader.writable, channel_fd(reader.channel), EV_WRITE,
	    reader_on_writable, NULL);
	event_add(&reader.readable, NULL);
	channel_send(reader.channel, r->task->ask, 0, &r->payload, -1);
	reader_hold(c, r->task);
	reader_flush();
}

void
row_reader_missing(const char *why)
{
	reader.requested = false;
	if (reader.channel == NULL)
		reader_fail(why);
}

void
row_reader_leave(const struct control *c)
{
	struct reader_command	*r;

	TAILQ_FOREACH(r, &reader.list, entry)
		if (r->number == control_number(c))
			break;
	if (r == NULL)
		return;
	if (r == TAILQ_FIRST(&reader.list))
		reader_close();
	reader_drop(r);
	reader_start();
}

void
row_reader_want(struct control *c, const struct row_reader_task *task,
    const struct str *payload)
{
	struct reader_command	*r = alloc_zero(1, sizeof(*r));

	r->number = control_number(c);
	r->task = task;
	str_init(&r->payload);
	if (payload->len > 0)
		str_add(&r->payload, payload->data, payload->len);
	TAILQ_INSERT_TAIL(&reader.list, r, entry);
	reader_hold(c, task);
	reader_start();
}

void
row_reader_init(void)
{
	TAILQ_INIT(&reader.list);
}
