#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/maillog.h"
#include "engine/memory.h"
#include "engine/policy.h"

/*
 * The parts of the engine. main.c makes them and owns them. Most parts are
 * given the few others that they use. respond.c, ledger_link.c and control/
 * bring many together: they are given this struct, which outlives them.
 */
struct engine {
	struct maillog	*maillog;
	struct policy	*policy;	/* the settings in force */
	struct memory	*memory;	/* NULL: db_error_action is another */
};

#endif
