#ifndef VERDICT_HABIT_H
#define VERDICT_HABIT_H

#include "ledger/batch/verdict.h"

/* What rules that count new recipients know, before and after a decision. */

/* Takes over what was learned under earlier names of the rules. */
void	verdict_habit_inherit(const struct charge_batch *,
	    const struct verdict_charge *);

/*
 * Whether the client's network is unfamiliar to the rule of the lock; false if
 * the charge has no key of that rule. lock_closed calls it, with a struct
 * verdict_habits.
 */
struct verdict_habits {
	const struct charge_batch	*b;
	const struct verdict_charge	*c;
};
bool	verdict_habit_locks(const void *habits, const struct override *lock);

/*
 * Call it when this block or lock refuses the charge. If it is a lock of a rule
 * that counts new recipients, the time until the network is familiar starts
 * again; not for a weighed charge.
 */
void	verdict_habit_closed(const struct charge_batch *,
	    const struct verdict_charge *, const struct override *);

/* Fills in what is known of key `i`. */
void	verdict_habit_know(const struct charge_batch *,
	    const struct verdict_charge *, size_t i, struct decision_key *);

/* The charge is decided: learns from it, and marks the pairs to write. */
void	verdict_habit_learn(struct charge_batch *,
	    const struct verdict_charge *);

/* Fills in what c->weighed tells of keys that count new recipients. */
void	verdict_habit_weigh(const struct charge_batch *,
	    const struct verdict_charge *);

/*
 * Notes a hit of key `i`. False: the key counts new recipients, and its
 * instance has had a hit already.
 */
bool	verdict_habit_hit(const struct charge_batch *,
	    const struct verdict_charge *, size_t i);

#endif
