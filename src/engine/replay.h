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


/*
 * Of what is kept: the sum that each key's id is owed, with `sign` 1 when it
 * is, and -1 when it is recorded.
 */
typedef void	replay_owed(const struct msg_charge *, const int64_t *charged,
		    int64_t date, int sign);

void	replay_init(replay_owed *);

/*
 * Keeps the charge, accepted at `date` (seconds since 1970) for as much as
 * `charged` says of each key, made one of mode CHARGE_REPLAY. False: no room.
 */
bool	replay_add(struct msg_charge *, const int64_t *charged, int64_t date);

/*
 * The database accepted the charge, and it is refused even so: what was charged
 * is to be taken back. `tag` is new and not 0. False: no room.
 */
bool	replay_back(struct msg_charge *, const int64_t *charged, int64_t date,
	    int64_t tag);

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
