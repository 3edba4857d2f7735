#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#include "conf/settings.h"
#include "ipc/message.h"

/* Counters since the start of the engine, for policyctl and its metrics. */
enum stats_counter {
	STATS_REQUESTS,
	STATS_MALFORMED,
	STATS_PASSED,		/* nothing to charge */
	STATS_EXEMPT,		/* whatever their answer was */
	STATS_ACCEPTED,
	STATS_REFUSED,
	STATS_BLOCKED,		/* by policyctl block, or a lock */
	STATS_OVER,		/* accepted over a limit: a soft action */
	STATS_SHADOWED,		/* a shadow rule would have refused */
	STATS_WARNED,
	STATS_LOCKS,		/* set by rules */
	STATS_LOCK_PASSED,	/* accepted although a lock held */
	STATS_UNAVAILABLE,	/* no verdict in time: db_error_action */
	STATS_MEMORY_REFUSED,	/* refused from memory, although there was no
				   verdict, or one that accepted */
	STATS_LATE,		/* verdicts that came after the answer */
	STATS_REPLAYED,		/* accepted from memory, later recorded */
	STATS_REPLAY_LOST,	/* the same, but there was no room */
	STATS_CONNECTED,
	STATS_FORBIDDEN,	/* not among allowed_clients */
	STATS_CLOSED_IDLE,	/* after delay_to_close, or to make room */
	STATS_CLOSED_SLOW,	/* half a request, or an answer not read */
	STATS__MAX
};

/*
 * Answers by latency: bucket i has those below 2^i microseconds that are in no
 * earlier bucket; the last bucket has the rest.
 */
#define STATS_BUCKETS	24

struct stats {
	uint64_t	count[STATS__MAX];
	uint64_t	latency[STATS_BUCKETS];
	uint64_t	latency_ns;		/* the sum */
};

void			 stats_add(enum stats_counter, uint64_t);
void			 stats_answered(int64_t ns);
const struct stats	*stats_get(void);

/*
 * Counters for each rule, by name; "" without rules. They survive a reload. If
 * there are too many names, the last entry is for all others.
 */
enum stats_rule_counter {
	STATS_RULE_CHARGED,	/* requests that it applied to */
	STATS_RULE_REFUSED,
	STATS_RULE_OVER,
	STATS_RULE_SHADOWED,
	STATS_RULE_WARNED,
	STATS_RULE_LOCKED,
	STATS_RULE__MAX
};
#define STATS_RULES_MAX	64

struct stats_rule {
	char		*name;		/* NULL: no more */
	uint64_t	 count[STATS_RULE__MAX];
};

/* Sets the rules. */
void			 stats_rules(const struct settings *);

/* `rule` is the charge's index into the rules of these settings. */
void			 stats_rule(const struct settings *, unsigned int rule,
			    enum stats_rule_counter);

/*
 * stats_verdict: counts a verdict other than VERDICT_BLOCKED.
 * stats_verdict_rules: counts what it means for the rules of its charge.
 */
void			 stats_verdict(const struct msg_verdict *);
void			 stats_verdict_rules(const struct settings *,
			    const struct msg_charge *,
			    const struct msg_verdict *);

/* An array of STATS_RULES_MAX. */
const struct stats_rule	*stats_get_rules(void);

/* "requests", "closed_idle", …; NULL past the end. */
const char		*stats_name(enum stats_counter);

#endif
