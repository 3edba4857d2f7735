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

struct ledger_link;

/*
 * `answer` takes the ledger's answers to what ledger_link_send has sent; it
 * returns -1 if the message is malformed. `late` takes a verdict whose request
 * was answered without it. The parent is told of a ledger that breaks the rules
 * of its channel.
 */
struct ledger_link	*ledger_link_new(const struct engine *,
			    struct channel *parent,
			    int (*answer)(const struct engine *,
			    const struct message *),
			    void (*late)(const struct engine *,
			    uint64_t request, const struct msg_verdict *));

/* Takes over the channel, and sends unanswered charges again. */
void	ledger_link_set(struct ledger_link *, struct channel *);

/* Whether there is a channel to a ledger. */
bool	ledger_link_there(const struct ledger_link *);

/* Call it at the end of each turn: writes all charges of the turn together. */
void	ledger_link_flush(struct ledger_link *);

/* Call it for each charge: in a long turn it writes some of them earlier. */
void	ledger_link_feed(struct ledger_link *);

/*
 * Sends a question of policyctl. False: no ledger has the database, or it has
 * left too many questions unread.
 */
bool	ledger_link_send(struct ledger_link *, enum message_type,
	    uint64_t request, const struct str *);

#endif
