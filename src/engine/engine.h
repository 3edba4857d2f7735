#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/client.h"
#include "engine/events.h"
#include "engine/maillog.h"
#include "engine/memory.h"
#include "engine/policy.h"

struct controls;
struct listeners;
struct scan_queue;

/*
 * The parts of the engine. main.c makes them and owns them. Most parts are
 * given the few others that they use. respond.c, ledger_link.c and control/
 * bring many together: they are given this struct, which outlives them.
 */
struct engine {
	struct followers	*followers;
	struct maillog		*maillog;
	struct clients		*clients;
	struct policy		*policy;	/* the settings in force */
	/* NULL unless db_error_action is "memory". */
	struct memory		*memory;
	struct controls		*controls;	/* connections of policyctl */
	struct listeners	*listeners;
	struct scan_queue	*scan_queue;
	struct blocks		*blocks;
	struct locks		*locks;
	struct pending_queue	*pending;	/* requests without a verdict */
	struct replay		*replay;
	struct refusals		*refusals;
	struct ledger_link	*ledger;
	struct responder	*responder;
};

#endif
