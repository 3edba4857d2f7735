#include <inttypes.h>

#include "engine/policy.h"
#include "engine/trouble.h"
#include "engine/loop_clock.h"
#include "lib/log.h"

#define CALM_MS			1000	/* verdicts again for this long */

/* The memory does not know who is new to whom. */
static void
warn_of_rules(const struct settings *s)
{
	size_t	i;

	for (i = 0; i < s->nrules; i++)
		if (s->rules[i].count == RULE_NEW_RECIPIENTS)
			log_warning("rule %s is not applied until the database "
			    "gives verdicts again: it counts new recipients",
			    s->rules[i].name);
}

void
trouble_note(struct trouble *t, bool none, const struct policy *policy)
{
	if (none) {
		t->last = loop_now();
		t->without++;
		if (!t->on)
			log_warning("the database gives no verdict: requests "
			    "are answered %s%s", policy->memory ? "from " :
			    "by ", policy->settings->db_error_action);
		if (!t->on && policy->memory)
			warn_of_rules(policy->settings);
		t->on = true;
		return;
	}
	/* A single verdict in time does not mean that the database is well. */
	if (!t->on || !clock_passed(clock_after(t->last,
	    CALM_MS), loop_now()))
		return;
	log_notice("the database gives verdicts again; %" PRIu64
	    " %s answered without", t->without, t->without == 1 ?
	    "request was" : "requests were");
	t->on = false;
	t->without = 0;
}
