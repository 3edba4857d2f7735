#include <unistd.h>

#include "parent/children.h"
#include "parent/scanner.h"

void
scanner_request(struct parent *p)
{
	char	why[WHY_MAX];

	/* The engine wants one at a time, so the last one is finished. */
	p->scan_next = p->child[SLOT_SCANNER].state != CHILD_DOWN;
	if (p->scan_next) {
		children_stop(p, SLOT_SCANNER);
		return;
	}
	if (children_start(p, SLOT_SCANNER, p->settings, &p->identity,
	    why) == -1)
		parent_task_done(p, TASK_SCAN, false, why);
	else
		children_begin(p, SLOT_SCANNER);
}

void
scanner_on_ready(struct parent *p)
{
	struct child	*child = &p->child[SLOT_SCANNER];
	struct child	*engine = &p->child[SLOT_ENGINE];
	int		 fd[2];

	if (engine->state != CHILD_SERVING || channel_pair(fd) == -1) {
		parent_task_done(p, TASK_SCAN, false,
		    "no channel for it could be made");
		children_stop(p, SLOT_SCANNER);
		return;
	}
	/* A fault is logged once, until there was none. */
	p->restart[SLOT_SCANNER].fault[0] = '\0';
	/* From here on the engine answers policyctl. */
	p->tasks.waited[TASK_SCAN] = false;
	child_number(engine, MSG_SCAN, ROLE_LEDGER, fd[0]);
	child_number(child, MSG_SCAN, ROLE_ENGINE, fd[1]);
	close(fd[0]);
	close(fd[1]);
}

void
scanner_on_gone(struct parent *p)
{
	const char	*fault = p->restart[SLOT_SCANNER].fault;

	if (p->scan_next) {
		scanner_request(p);
		return;
	}
	parent_task_done(p, TASK_SCAN, false, fault[0] != '\0' ? fault :
	    "the process that reads the rows did not start");
}
