#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/parent.h"

void
parent_stop(struct parent *p, int status)
{
	if (p->stopping)
		return;
	p->stopping = true;
	p->status = status;
}

void
parent_task_done(struct parent *p, enum parent_task task, bool good,
    const char *text)
{
	struct msg_task_done	m;
	struct str		payload;

	/* The engine tells the followers of `events` of each reload. */
	if (!p->tasks.waited[task] && (task != TASK_RELOAD ||
	    p->child[SLOT_ENGINE].state != CHILD_SERVING))
		return;
	p->tasks.waited[task] = false;
	m.task = (uint8_t)task;
	m.good = good;
	(void)strlcpy(m.text, text, sizeof(m.text));
	str_init(&payload);
	msg_task_done_put(&payload, &m);
	child_send(&p->child[SLOT_ENGINE], MSG_TASK_DONE, &payload, -1);
	str_clear(&payload);
}

/* --- the log --- */

static enum log_target
target(const struct parent *p)
{
	if (p->debug || p->settings->log == LOG_WHERE_STDERR)
		return LOG_TO_STDERR;
	if (p->settings->log == LOG_WHERE_SYSLOG || p->background)
		return LOG_TO_SYSLOG;
	return p->settings->debug || p->no_syslog ?
	    LOG_TO_STDERR : LOG_TO_SYSLOG;
}

/* A container has no syslogd; elsewhere it may start later. */
static bool
no_syslog(void)
{
	int	fd;

	if ((fd = log_connect()) == -1)
		return true;
	close(fd);
	return false;
}

bool
parent_in_syslog(const struct parent *p)
{
	return target(p) == LOG_TO_SYSLOG;
}

static bool
in_detail(const struct parent *p)
{
	if (p->tasks.log)
		return p->tasks.debug;
	return p->debug || p->settings->debug;
}

void
parent_log(struct parent *p, bool starting)
{
	if (starting)
		p->no_syslog = no_syslog();
	/* A start by hand shows on stderr why it failed. */
	if (starting || target(p) == LOG_TO_STDERR)
		log_open("parent", LOG_TO_STDERR, -1, in_detail(p));
	else
		log_open("parent", LOG_TO_SYSLOG, log_connect(), in_detail(p));
}

void
parent_log_message(const struct parent *p, struct child *child)
{
	const struct msg_log	log = { .debug = in_detail(p) };
	struct str		payload;

	str_init(&payload);
	msg_log_put(&payload, &log);
	child_send(child, MSG_LOG, &payload, -1);
	str_clear(&payload);
}

void
parent_log_again(struct parent *p)
{
	size_t	i;

	p->no_syslog = no_syslog();
	parent_log(p, false);
	for (i = 0; i < SLOT__MAX; i++)
		parent_log_message(p, &p->child[i]);
}
