#ifndef LOCKS_H
#define LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/memory.h"
#include "ipc/channel.h"
#include "ipc/message.h"

/*
 * db_error_action "memory": locks that were set without the database. They hold
 * in this daemon at once, and are recorded when the database is back. At most
 * LOCKS_UNRECORDED are kept.
 */
#define LOCKS_UNRECORDED	1024

struct blocks;
struct locks;

/* The locks are put into the list of the blocks. */
struct locks	*locks_new(struct blocks *);

/*
 * Decides as memory_decide does, also on mail that passes a lock, and sets the
 * locks of its hits. If it accepts, removes from the charge and the verdict the
 * keys that are not charged. VERDICT_BLOCKED: a lock holds, and no more mails
 * may pass it now.
 */
void	locks_decide(struct locks *, struct memory *, struct msg_charge *,
	    int64_t now, struct msg_verdict *);

/* Call it after MSG_OVERRIDES_END: puts the kept locks into the list. */
void	locks_again(struct locks *);

/* Sets the channel to the ledger; NULL: it is lost. */
void	locks_channel(struct locks *, struct channel *);

/* The database works: sends what is not recorded yet. */
void	locks_send(struct locks *);

/* Takes MSG_OVERRIDDEN. False: it is not an answer to locks_send. */
bool	locks_on_answer(struct locks *, const struct message *);

#endif
