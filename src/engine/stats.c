#include <stddef.h>
#include <string.h>

#include "engine/stats.h"
#include "lib/alloc.h"

static struct stats		stats;
static struct stats_rule	stats_of_rules[STATS_RULES_MAX];

void
stats_add(enum stats_counter counter, uint64_t n)
{
	stats.count[counter] += n;
}

void
stats_answered(int64_t ns)
{
	uint64_t	us;
	unsigned int	i;

	if (ns < 0)
		ns = 0;
	stats.latency_ns += (uint64_t)ns;
	us = (uint64_t)ns / 1000;
	for (i = 0; i < STATS_BUCKETS - 1 && us >> i != 0; i++)
		;
	stats.latency[i]++;
}

const struct stats *
stats_get(void)
{
	return &stats;
}

/* --- by rule --- */

static struct stats_rule *
get_rule(const char *name)
{
	struct stats_rule	*r = stats_of_rules;
	size_t			 i;

	for (i = 0; i < STATS_RULES_MAX - 1 && r[i].name != NULL; i++)
		if (strcmp(r[i].name, name) == 0)
			return &r[i];
	if (r[i].name == NULL)
		r[i].name = alloc_string(i < STATS_RULES_MAX - 1 ? name :
		    "other");
	return &r[i];
}

void
stats_rules(const struct settings *s)
{
	size_t	i;

	for (i = 0; i < s->nrules; i++)
		(void)get_rule(s->rules[i].name);
	if (s->nrules == 0)
		(void)get_rule("");
}

void
stats_rule(const struct settings *s, unsigned int rule,
    enum stats_rule_counter counter)
{
	get_rule(rule < s->nrules ? s->rules[rule].name :
	    "")->count[counter]++;
}

const struct stats_rule *
stats_get_rules(void)
{
	return stats_of_rules;
}

const char *
stats_name(enum stats_counter counter)
{
	static const char	*const names[STATS__MAX] = {
		[STATS_REQUESTS] = "requests",
		[STATS_MALFORMED] = "malformed",
		[STATS_PASSED] = "passed",
		[STATS_EXEMPT] = "exempt",
		[STATS_ACCEPTED] = "accepted",
		[STATS_REFUSED] = "refused",
		[STATS_BLOCKED] = "blocked",
		[STATS_OVER] = "over",
		[STATS_SHADOWED] = "shadowed",
		[STATS_WARNED] = "warned",
		[STATS_LOCKS] = "locks",
		[STATS_LOCK_PASSED] = "lock_passed",
		[STATS_UNAVAILABLE] = "unavailable",
		[STATS_MEMORY_REFUSED] = "memory_refused",
		[STATS_LATE] = "late",
		[STATS_REPLAYED] = "replayed",
		[STATS_REPLAY_LOST] = "replay_lost",
		[STATS_CONNECTED] = "connected",
		[STATS_FORBIDDEN] = "forbidden",
		[STATS_CLOSED_IDLE] = "closed_idle",
		[STATS_CLOSED_SLOW] = "closed_slow",
	};

	return counter < STATS__MAX ? names[counter] : NULL;
}

static void
count_keys(const struct settings *s, const struct msg_charge *charge,
    uint32_t bits, enum stats_rule_counter counter)
{
	size_t	i;

	for (i = 0; i < charge->nkeys; i++)
		if ((bits & UINT32_C(1) << i) != 0)
			stats_rule(s, charge->keys[i].rule, counter);
}

void
stats_verdict_rules(const struct settings *s, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	uint32_t	locked;

	if (v->verdict == VERDICT_REFUSED && v->key < charge->nkeys)
		stats_rule(s, charge->keys[v->key].rule, STATS_RULE_REFUSED);
	count_keys(s, charge, v->over, STATS_RULE_OVER);
	count_keys(s, charge, v->shadowed, STATS_RULE_SHADOWED);
	count_keys(s, charge, v->warned, STATS_RULE_WARNED);
	count_keys(s, charge, v->locked, STATS_RULE_LOCKED);
	for (locked = v->locked; locked != 0; locked &= locked - 1)
		stats_add(STATS_LOCKS, 1);
}

void
stats_verdict(const struct msg_verdict *v)
{
	static const enum stats_counter	counters[VERDICT__MAX] = {
		[VERDICT_ACCEPTED] = STATS_ACCEPTED,
		[VERDICT_REFUSED] = STATS_REFUSED,
		[VERDICT_UNAVAILABLE] = STATS_UNAVAILABLE,
	};

	stats_add(counters[v->verdict], 1);
	if (v->over != 0)
		stats_add(STATS_OVER, 1);
	if (v->shadowed != 0)
		stats_add(STATS_SHADOWED, 1);
	if (v->warned != 0)
		stats_add(STATS_WARNED, 1);
	if (v->passed != 0)
		stats_add(STATS_LOCK_PASSED, 1);
}
