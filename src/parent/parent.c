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

bool
parent_in_syslog(const struct parent *p)
{
	if (p->debug || p->settings->log == LOG_WHERE_STDERR)
		return false;
	return p->settings->log == LOG_WHERE_SYSLOG || p->background ||
	    (!p->settings->debug && !p->no_syslog);
}

static bool
in_detail(const struct parent *p)
{
	if (p->tasks.log)
		return p->tasks.debug;
	return p->debug || p->settings->debug;
}

/* A container has no syslogd; elsewhere it may start later. */
static void
look_for_syslog(struct parent *p)
{
	int	fd = log_connect();

	p->no_syslog = fd == -1;
	if (fd != -1)
		close(fd);
}

void
parent_log(struct parent *p, bool starting)
{
	if (starting)
		look_for_syslog(p);
	/* A start by hand shows on stderr why it failed. */
	if (starting || !parent_in_syslog(p))
		log_open("parent", LOG_TO_STDERR, -1, in_detail(p));
	else
		log_open("parent", LOG_TO_SYSLOG, log_connect(), in_detail(p));
}

void
parent_log_message(const struct parent *p, struct child *child)
{
	child_number(child, MSG_LOG, in_detail(p), -1);
}

void
parent_log_again(struct parent *p)
{
	size_t	i;

	look_for_syslog(p);
	parent_log(p, false);
	for (i = 0; i < SLOT__MAX; i++)
		parent_log_message(p, &p->child[i]);
}
