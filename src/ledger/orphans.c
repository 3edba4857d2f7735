#include <stdio.h>
#include <string.h>

#include "conf/rule_lock.h"
#include "conf/stored_id.h"
#include "ledger/ledger.h"
#include "lib/clock.h"
#include "lib/log.h"

struct orphans {
	const struct settings	*old;
	const struct settings	*fresh;
	int64_t			 now;
	/* For each old rule; [0] if there were no rules. */
	bool			 gone[RULES_MAX];
	size_t			 ids[RULES_MAX];
	size_t			 grants[RULES_MAX];
	size_t			 locks[RULES_MAX];
};

/* The old rule of the id, if it is gone and no fresh rule has the id; or -1. */
static int
gone_rule(const struct orphans *o, const char *id, size_t idlen)
{
	const struct settings_rule	*rule;

	if (o->old->nrules == 0)
		return stored_id_rule(o->fresh, id, idlen) == NULL ? 0 : -1;
	rule = stored_id_rule(o->old, id, idlen);
	if (rule == NULL || !o->gone[rule - o->old->rules] ||
	    stored_id_rule(o->fresh, id, idlen) != NULL)
		return -1;
	return (int)(rule - o->old->rules);
}

static void
on_id(void *arg, const char *id, size_t idlen, const struct window *window)
{
	struct orphans	*o = arg;
	int		 rule;

	if (window_newest(window) != INT64_MIN &&
	    (rule = gone_rule(o, id, idlen)) != -1)
		o->ids[rule]++;
}

static void
on_override(void *arg, const struct override *override)
{
	struct orphans	*o = arg;
	size_t		 i;
	int		 rule;

	if (override->until <= o->now)
		return;
	if (override->kind == OVERRIDE_GRANT &&
	    (rule = gone_rule(o, override->id, override->idlen)) != -1)
		o->grants[rule]++;
	for (i = 0; i < o->old->nrules && override->kind == OVERRIDE_LOCK; i++)
		o->locks[i] += o->gone[i] && rule_lock_is_named(
		    &o->old->rules[i], override->who, override->wholen);
}

void
orphans_tell(const struct ledger *l, const struct settings *fresh)
{
	const struct settings	*old = l->settings;
	struct orphans		 o = { .old = old, .fresh = fresh,
				    .now = clock_wall() };
	char			 id[256];
	size_t			 i;
	int			 n;
	bool			 any = old->nrules == 0 && fresh->nrules > 0;

	for (i = 0; i < old->nrules; i++) {
		/* Whether no fresh rule has ids that begin with this name. */
		n = snprintf(id, sizeof(id), "%s:x", old->rules[i].name);
		o.gone[i] = stored_id_rule(fresh, id, (size_t)n) == NULL;
		any = any || o.gone[i];
	}
	if (!any)
		return;
	cache_each(l->cache, SIZE_MAX, on_id, &o);
	override_list_each(l->batch->overrides->list,
	    on_override, &o);
	for (i = 0; i < RULES_MAX; i++) {
		if (o.ids[i] + o.grants[i] + o.locks[i] == 0)
			continue;
		if (old->nrules == 0)
			log_warning("limits are rules now, which do not have "
			    "the counts of limits: ids=%zu grants=%zu",
			    o.ids[i], o.grants[i]);
		else
			log_warning("rule %s is gone, and no rule has its "
			    "counts: ids=%zu grants=%zu locks=%zu",
			    old->rules[i].name, o.ids[i], o.grants[i],
			    o.locks[i]);
	}
}
