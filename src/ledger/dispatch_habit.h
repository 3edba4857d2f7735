#ifndef DISPATCH_HABIT_H
#define DISPATCH_HABIT_H

#include "ipc/channel.h"
#include "ledger/habits.h"

/*
 * Handle MSG_TRUST and MSG_FORGET: set the result of the database. `charge` is
 * room for the message. 0, or -1: it is malformed.
 */
int	dispatch_habit_trust(struct habits *, struct store *,
	    struct msg_charge *charge, const struct message *,
	    enum store_result *);
int	dispatch_habit_forget(struct habits *, struct store *,
	    struct msg_charge *charge, const struct message *,
	    enum store_result *);

#endif
