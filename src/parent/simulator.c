#include <unistd.h>

#include "parent/children.h"
#include "parent/simulator.h"

void
simulator_want(struct parent *p)
{
	char	why[WHY_MAX];

	/* The engine wants one at a time, so the last one is finished. */
	p->simulate_next = p->child[SLOT_SIMULATOR].state != CHILD_DOWN;
	if (p->simulate_next) {
		children_stop(p, SLOT_SIMULATOR);
		return;
	}
	if (children_start(p, SLOT_SIMULATOR, p->settings, &p->identity,
	    why) == -1)
		parent_task_done(p, TASK_SCAN, false, why);
	else
		children_begin(p, SLOT_SIMULATOR);
}

void
simulator_on_ready(struct parent *p)
{
	struct child	*child = &p->child[SLOT_SIMULATOR];
	struct child	*engine = &p->child[SLOT_ENGINE];
	int		 fd[2];

	if (engine->state != CHILD_SERVING || channel_pair(fd) == -1) {
		parent_task_done(p, TASK_SCAN, false,
		    "no channel for it could be made");
		children_stop(p, SLOT_SIMULATOR);
		return;
	}
	/* A fault is logged once, until there was none. */
	p->restart[SLOT_SIMULATOR].fault[0] = '\0';
	/* From here on the engine answers policyctl. */
	p->tasks.waited[TASK_SCAN] = false;
	child_number(engine, MSG_SIMULATION, ROLE_LEDGER, fd[0]);
	child_number(child, MSG_SIMULATION, ROLE_ENGINE, fd[1]);
	close(fd[0]);
	close(fd[1]);
}

void
simulator_on_gone(struct parent *p)
{
	const char	*fault = p->restart[SLOT_SIMULATOR].fault;

	if (p->simulate_next) {
		simulator_want(p);
		return;
	}
	parent_task_done(p, TASK_SCAN, false, fault[0] != '\0' ? fault :
	    "the process that reads the rows did not start");
}
