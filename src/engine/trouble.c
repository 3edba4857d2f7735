#include <inttypes.h>

#include "engine/policy.h"
#include "engine/trouble.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"
#include "lib/log.h"

#define CALM_MS			1000	/* verdicts again for this long */

/* Whether there are no verdicts, since when, and how many answers had none. */
static struct {
	bool		on;
	struct mono	troubled;
	uint64_t	without;
} trouble;

/* The memory does not know who is new to whom. */
static void
trouble_note_rules(const struct settings *s)
{
	size_t	i;

	for (i = 0; i < s->nrules; i++)
		if (s->rules[i].count == RULE_NEW_RECIPIENTS)
			log_warning("rule %s is not applied until the database "
			    "gives verdicts again: it counts new recipients",
			    s->rules[i].name);
}

void
trouble_note(bool none, const struct policy *policy)
{
	if (none) {
		trouble.troubled = loop_now();
		trouble.without++;
		if (!trouble.on)
			log_warning("the database gives no verdict: requests "
			    "are answered %s%s", policy->memory ? "from " :
			    "by ", policy->settings->db_error_action);
		if (!trouble.on && policy->memory)
			trouble_note_rules(policy->settings);
		trouble.on = true;
		return;
	}
	/* A single verdict in time does not mean that the database is well. */
	if (!trouble.on || !clock_passed(clock_after(trouble.troubled,
	    CALM_MS), loop_now()))
		return;
	log_notice("the database gives verdicts again; %" PRIu64
	    " %s answered without", trouble.without, trouble.without == 1 ?
	    "request was" : "requests were");
	trouble.on = false;
	trouble.without = 0;
}
