#ifndef LEDGER_LINK_H
#define LEDGER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "ipc/channel.h"
#include "ipc/message.h"

/*
 * The channel to the ledger. Charges are sent together at the end of each turn
 * of the event loop.
 */

/*
 * Call it before all others. `answer` takes the ledger's answers to what
 * ledger_send has sent; it returns -1 if the message is malformed. `late` takes
 * a verdict whose request was answered without it. The parent is told of a
 * ledger that breaks the rules of its channel.
 */
void	ledger_init(const struct engine *, struct channel *parent,
	    int (*answer)(const struct message *),
	    void (*late)(uint64_t request, const struct msg_verdict *));

/* Takes over the channel, and sends unanswered charges again. */
void	ledger_set(struct channel *);

/* Whether there is a channel to a ledger. */
bool	ledger_there(void);

/* Call it at the end of each turn: writes all charges of the turn together. */
void	ledger_link_flush(void);

/* Call it for each charge: in a long turn it writes some of them earlier. */
void	ledger_feed(void);

/*
 * Sends a question of policyctl. False: no ledger has the database, or it has
 * left too many questions unread.
 */
bool	ledger_send(enum message_type, uint64_t request, const struct str *);

#endif
