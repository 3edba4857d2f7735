#ifndef EXPLAIN_HABIT_H
#define EXPLAIN_HABIT_H

#include "ipc/message.h"
#include "lib/str.h"

/*
 * Appends the fields that say why a rule counts new recipients as it does; for
 * other rules none.
 */
void	explain_habit(struct str *, const struct msg_charge_key *,
	    const struct msg_weighed_key *);

#endif
