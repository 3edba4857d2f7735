#ifndef DISPATCH_HABIT_H
#define DISPATCH_HABIT_H

#include "ipc/channel.h"
#include "ledger/habits.h"

/* MSG_TRUST and MSG_FORGET: sets the result. -1: malformed. */
int	dispatch_habit_trust(struct habits *, struct store *,
	    const struct message *, enum store_result *);
int	dispatch_habit_forget(struct habits *, struct store *,
	    const struct message *, enum store_result *);

#endif
