#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"

/*
 * The channel to the ledger: charges go out together at the end of each turn
 * of the loop, verdicts come in as they are.
 */
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

/*
 * Queues a question of policyctl's, whose answer goes to control_on_ledger.
 * False: there is no ledger.
 */
bool	link_send(enum message_type, uint64_t request, const struct str *);

#endif
