#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/tasks.h"
#include "parent/reload.h"

#include "sandbox/sandbox.h"

#define LOG_EVERY_S	1
#define UNREAD_MOST	256	/* more than the engine has questions */

/* Valid until the next reload or task. */
static void
task_log(struct parent *p, enum parent_task task, bool debug, const char *said)
{
	unsigned int	suppressed;

	if (!log_allowed(&p->tasks.level_set[debug], LOG_EVERY_S,
	    &suppressed)) {
		parent_task_done(p, task, false,
		    "the log level was changed a moment ago");
		return;
	}
	p->tasks.log = true;
	p->tasks.debug = debug;
	parent_log_again(p);
	parent_task_done(p, task, true, said);
}

static void
task_debug(struct parent *p)
{
	task_log(p, TASK_LOG_DEBUG, true,
	    "logging in detail until the next reload");
}

static void
task_brief(struct parent *p)
{
	task_log(p, TASK_LOG_BRIEF, false,
	    "logging briefly until the next reload");
}

static void
task_scan(struct parent *p)
{
	char	why[WHY_MAX];

	/* The engine wants one at a time, so the last one is finished. */
	p->scan_next = p->child[SLOT_SCANNER].state != CHILD_DOWN;
	if (p->scan_next)
		children_stop(p, SLOT_SCANNER);
	else if (children_start(p, SLOT_SCANNER, p->settings, &p->identity,
	    why) == -1)
		parent_task_done(p, TASK_SCAN, false, why);
	else
		child_signal(&p->child[SLOT_SCANNER], MSG_START);
}

void
tasks_on_scanner_ready(struct parent *p)
{
	if (p->child[SLOT_ENGINE].state != CHILD_SERVING ||
	    children_connect(p, SLOT_ENGINE, SLOT_SCANNER, MSG_SCAN) == -1) {
		parent_task_done(p, TASK_SCAN, false,
		    "no channel for it could be made");
		children_stop(p, SLOT_SCANNER);
		return;
	}
	/* From here on the engine answers policyctl. */
	p->tasks.waited[TASK_SCAN] = false;
}

void
tasks_on_scanner_gone(struct parent *p)
{
	const char	*fault = p->restart[SLOT_SCANNER].fault;

	if (p->scan_next)
		task_scan(p);
	else
		parent_task_done(p, TASK_SCAN, false, fault[0] != '\0' ?
		    fault : "the process that reads the rows did not start");
}

/* Answers with the processes and their start. */
static void
task_state(struct parent *p)
{
	const struct child		*child;
	struct msg_state_process	*process;
	struct msg_state		 m;
	struct str			 payload;
	size_t				 i;

	memset(&m, 0, sizeof(m));
	m.since = p->since.ns;
	m.generation = p->generation;
	m.read = p->reload.done;
	m.reload_failed = p->reload.failed;
	if (p->child[SLOT_LEDGER].state != CHILD_SERVING)
		(void)strlcpy(m.fault, p->restart[SLOT_LEDGER].fault,
		    sizeof(m.fault));
	(void)strlcpy(m.file, p->settings->config_file, sizeof(m.file));
	process = &m.process[m.nprocesses++];
	(void)strlcpy(process->name, "parent", sizeof(process->name));
	(void)strlcpy(process->sandbox, sandbox_description(),
	    sizeof(process->sandbox));
	process->pid = (uint32_t)getpid();
	process->since = p->since.ns;
	process->serving = true;
	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		if (child->pid <= 0)
			continue;
		process = &m.process[m.nprocesses++];
		(void)strlcpy(process->name, children_name(p, (enum slot)i),
		    sizeof(process->name));
		(void)strlcpy(process->sandbox, child->sandbox,
		    sizeof(process->sandbox));
		process->pid = (uint32_t)child->pid;
		process->since = child->since.ns;
		process->serving = child->state == CHILD_SERVING;
	}
	str_init(&payload);
	msg_state_put(&payload, &m);
	child_send(&p->child[SLOT_ENGINE], MSG_STATE, &payload, -1);
	str_clear(&payload);
}

static const struct {
	void		(*start)(struct parent *);
	const char	*name;		/* in the log; NULL: not logged */
	bool		 answered;	/* each one, at once */
} tasks[TASK__MAX] = {
	[TASK_RELOAD]		= { reload_request, "a reload", false },
	[TASK_CLEAN]		= { maintenance_request_cleaning, "cleaning",
				    false },
	[TASK_REPORT]		= { maintenance_request_report, "the report",
				    false },
	[TASK_LOG_DEBUG]	= { task_debug, "a detailed log", true },
	[TASK_LOG_BRIEF]	= { task_brief, "a brief log", true },
	[TASK_STATE]		= { task_state, NULL, true },
	[TASK_SCAN]		= { task_scan, NULL, false },
};

int
tasks_on_request(struct parent *p, enum slot slot, const struct message *m)
{
	const struct channel	*channel = p->child[slot].channel;
	uint64_t		 task;
	unsigned int		 suppressed;

	if (msg_number_get(&task, m->payload, m->len) == -1 ||
	    task >= TASK__MAX)
		return -1;
	/* An engine that asks on must read what it is answered. */
	if (tasks[task].answered) {
		if (channel == NULL || channel_queued(channel) == 0)
			p->tasks.unread = 0;
		if (++p->tasks.unread > UNREAD_MOST)
			return -1;
	}
	if (tasks[task].name != NULL &&
	    log_allowed(&p->tasks.logged, LOG_EVERY_S, &suppressed))
		log_notice("policyctl asks for %s", tasks[task].name);
	p->tasks.waited[task] = true;
	tasks[task].start(p);
	return 0;
}
