#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/reload.h"
#include "parent/simulator.h"
#include "parent/operator.h"
#include "sandbox/sandbox.h"

#define LOG_EVERY_S	1
#define UNREAD_MOST	256	/* more than the engine has questions */

static void
wish_reload(struct parent *p)
{
	reload_want(p);
}

static void
wish_clean(struct parent *p)
{
	maintenance_want(p, clock_mono());
}

static void
wish_report(struct parent *p)
{
	maintenance_want_report(p, clock_mono());
}

static void
wish_simulation(struct parent *p)
{
	simulator_want(p);
}

/* Valid until the next reload or wish. */
static void
wish_log(struct parent *p, enum wish wish, bool debug, const char *said)
{
	unsigned int	held;

	if (!log_allowed(&p->requests.level_set[debug], LOG_EVERY_S, &held)) {
		parent_wished(p, wish, false,
		    "that was asked for a moment ago");
		return;
	}
	p->requests.log = true;
	p->requests.debug = debug;
	parent_log_again(p);
	parent_wished(p, wish, true, said);
}

static void
wish_debug(struct parent *p)
{
	wish_log(p, WISH_LOG_DEBUG, true,
	    "logging in detail until the next reload");
}

static void
wish_brief(struct parent *p)
{
	wish_log(p, WISH_LOG_BRIEF, false,
	    "logging briefly until the next reload");
}

static void
state_add(struct msg_state *m, const char *name, pid_t pid, struct mono since,
    bool serving, const char *sandbox)
{
	struct msg_state_process	*told = &m->process[m->nprocesses++];

	(void)strlcpy(told->name, name, sizeof(told->name));
	told->pid = (uint32_t)pid;
	told->since = since.ns;
	told->serving = serving;
	(void)strlcpy(told->sandbox, sandbox, sizeof(told->sandbox));
}

/* A question rather than a wish: the processes and their start. */
static void
wish_state(struct parent *p)
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
	void		(*fulfil)(struct parent *);
	const char	*name;		/* in the log; NULL: not logged */
	bool		 answered;	/* each one, at once */
} requests[WISH__MAX] = {
	[WISH_RELOAD]		= { wish_reload, "a reload", false },
	[WISH_CLEAN]		= { wish_clean, "cleaning", false },
	[WISH_REPORT]		= { wish_report, "the report", false },
	[WISH_LOG_DEBUG]	= { wish_debug, "a detailed log", true },
	[WISH_LOG_BRIEF]	= { wish_brief, "a brief log", true },
	[WISH_STATE]		= { wish_state, NULL, true },
	[WISH_SIMULATION]	= { wish_simulation, NULL, false },
};

/* Whether the engine asks on without reading what it is answered. */
static bool
is_deaf(struct parent *p)
{
	struct channel	*channel = p->child[SLOT_ENGINE].channel;

	if (channel == NULL || channel_queued(channel) == 0)
		p->requests.unread = 0;
	return ++p->requests.unread > UNREAD_MOST;
}

int
operator_take(struct parent *p, uint64_t wish)
{
	unsigned int	held;

	if (wish >= WISH__MAX || (requests[wish].answered && is_deaf(p)))
		return -1;
	if (requests[wish].name != NULL &&
	    log_allowed(&p->requests.logged, LOG_EVERY_S, &held))
		log_notice("policyctl asks for %s", requests[wish].name);
	p->requests.waited[wish] = true;
	requests[wish].fulfil(p);
	return 0;
}
