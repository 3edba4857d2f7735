#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/operator.h"
#include "parent/reload.h"
#include "parent/scanner.h"
#include "sandbox/sandbox.h"

#define LOG_EVERY_S	1
#define UNREAD_MOST	256	/* more than the engine has questions */

static void
task_reload(struct parent *p)
{
	reload_request(p);
}

static void
task_clean(struct parent *p)
{
	maintenance_request_cleaning(p, clock_mono());
}

static void
task_report(struct parent *p)
{
	maintenance_request_report(p, clock_mono());
}

static void
task_scan(struct parent *p)
{
	scanner_request(p);
}

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
state_add(struct msg_state *m, const char *name, pid_t pid, struct mono since,
    bool serving, const char *sandbox)
{
	struct msg_state_process	*process = &m->process[m->nprocesses++];

	(void)strlcpy(process->name, name, sizeof(process->name));
	process->pid = (uint32_t)pid;
	process->since = since.ns;
	process->serving = serving;
	(void)strlcpy(process->sandbox, sandbox, sizeof(process->sandbox));
}

/* Answers with the processes and their start. */
static void
task_state(struct parent *p)
{
	const struct child	*child;
	struct msg_state	 m;
	struct str		 payload;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	m.since = p->since.ns;
	m.generation = p->generation;
	m.read = p->reload.done;
	m.reload_failed = p->reload.failed;
	if (p->child[SLOT_LEDGER].state != CHILD_SERVING)
		(void)strlcpy(m.fault, p->restart[SLOT_LEDGER].fault,
		    sizeof(m.fault));
	(void)strlcpy(m.file, p->settings->config_file, sizeof(m.file));
	state_add(&m, "parent", getpid(), p->since, true,
	    sandbox_description());
	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		if (child->pid > 0)
			state_add(&m, children_name(p, (enum slot)i),
			    child->pid, child->since,
			    child->state == CHILD_SERVING, child->sandbox);
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
	[TASK_RELOAD]		= { task_reload, "a reload", false },
	[TASK_CLEAN]		= { task_clean, "cleaning", false },
	[TASK_REPORT]		= { task_report, "the report", false },
	[TASK_LOG_DEBUG]	= { task_debug, "a detailed log", true },
	[TASK_LOG_BRIEF]	= { task_brief, "a brief log", true },
	[TASK_STATE]		= { task_state, NULL, true },
	[TASK_SCAN]		= { task_scan, NULL, false },
};

/* Whether the engine asks on without reading what it is answered. */
static bool
is_deaf(struct parent *p)
{
	struct channel	*channel = p->child[SLOT_ENGINE].channel;

	if (channel == NULL || channel_queued(channel) == 0)
		p->tasks.unread = 0;
	return ++p->tasks.unread > UNREAD_MOST;
}

int
operator_take(struct parent *p, uint64_t task)
{
	unsigned int	suppressed;

	if (task >= TASK__MAX || (tasks[task].answered && is_deaf(p)))
		return -1;
	if (tasks[task].name != NULL &&
	    log_allowed(&p->tasks.logged, LOG_EVERY_S, &suppressed))
		log_notice("policyctl asks for %s", tasks[task].name);
	p->tasks.waited[task] = true;
	tasks[task].start(p);
	return 0;
}
