#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"

/*
 * The channel to the ledger. Charges are sent together at the end of each turn
 * of the event loop.
 */

/*
 * Before all else. `answer` takes the answers to questions of policyctl, which
 * link_send has sent; -1: the message is malformed.
 */
void	link_init(int (*answer)(const struct message *));

/* Takes over the channel; what is not answered goes out on it again. */
void	link_set(struct channel *);

/* Whether there is a ledger at the moment. */
bool	link_there(void);

/* To be called at the end of each turn: one write for all charges of it. */
void	link_flush(void);

/*
 * To be called for each charge that is pending: in a long turn the ledger need
 * not wait for its end.
 */
void	link_feed(void);

/* Queues a question of policyctl. False: there is no ledger. */
bool	link_send(enum message_type, uint64_t request, const struct str *);

#endif
