#ifndef VERDICT_HABIT_H
#define VERDICT_HABIT_H

#include "ledger/batch/verdict.h"

/* What rules that count new recipients know, before and after a decision. */

/* Takes over what was learned under earlier names of the rules. */
void	verdict_habit_inherit(const struct charge_batch *,
	    const struct verdict_charge *);

/*
 * For lock_closed: whether the client's network is unfamiliar to the rule of
 * the lock; false too if the charge has no key of that rule.
 */
struct verdict_habits {
	const struct charge_batch	*b;
	const struct verdict_charge	*c;
};
bool	verdict_habit_locks(const void *habits, const struct override *lock);

/*
 * A block or a lock refuses the charge. If it is a lock of a rule that counts
 * new recipients, the time until the network is familiar starts again.
 */
void	verdict_habit_closed(const struct charge_batch *,
	    const struct verdict_charge *, const struct override *);

/* Fills in what is known of key `i`. */
void	verdict_habit_know(const struct charge_batch *,
	    const struct verdict_charge *, size_t i, struct decision_key *);

/* The charge is decided: learns from it, and marks the pairs to write. */
void	verdict_habit_learn(struct charge_batch *,
	    const struct verdict_charge *);

/* Fills in what was weighed. */
void	verdict_habit_weigh(const struct charge_batch *,
	    const struct verdict_charge *);

/* Whether a hit of key `i` is the first one of the instance; notes it. */
bool	verdict_habit_hit(const struct charge_batch *,
	    const struct verdict_charge *, size_t i);

#endif
