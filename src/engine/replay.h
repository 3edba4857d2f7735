#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/message.h"

/*
 * db_error_action "memory": what was accepted without the database is kept
 * here, and recorded when the database is back. Bounded; what does not fit is
 * counted.
 */
#define REPLAY_BYTES_MAX	(32 * 1024 * 1024)

void	replay_init(void);

/*
 * Keeps the charge, accepted at `date` (seconds since 1970), made one of mode
 * CHARGE_REPLAY. False: no room.
 */
bool	replay_add(struct msg_charge *, int64_t date);

/* The channel to the ledger from now on, NULL when it is lost. */
void	replay_channel(struct channel *);

/* The database gave a verdict: no need to wait any longer. */
void	replay_soon(void);

/* A verdict whose request number has the bit of PENDING_NOT. */
void	replay_verdict(uint64_t request, const struct msg_verdict *);

/* Sends what may be sent now, as far as the channel takes it. */
void	replay_send(void);

size_t	replay_count(void);

/* Whether some of it may be recorded any moment. */
bool	replay_busy(void);

/* Whether some are to go out before anything newer does. */
bool	replay_behind(void);

#endif
