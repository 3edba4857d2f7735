#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/memory.h"
#include "engine/policy.h"

/*
 * The parts of the engine. main.c makes them and owns them. Most parts are
 * given the few others that they use. respond.c, ledger_link.c and control/
 * bring many together: they are given this struct, which outlives them.
 */
struct engine {
	struct policy		*policy;	/* the settings in force */
	struct memory		*memory;	/* NULL unless db_error_action
						   is "memory" */
	struct followers	*followers;	/* of policyctl events */
	struct maillog		*maillog;
	struct blocks		*blocks;
	struct locks		*locks;		/* to be recorded */
	struct refusals		*refusals;	/* to be recorded */
	struct responder	*responder;
	struct pending_queue	*pending;	/* requests without a verdict */
	struct replay		*replay;	/* charges to be recorded */
	struct ledger_link	*ledger;
	struct clients		*clients;
	struct controls		*controls;	/* connections of policyctl */
	struct scan_queue	*scan_queue;
	struct listeners	*listeners;
};

#endif
