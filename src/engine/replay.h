#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/message.h"

/*
 * db_error_action "memory": keeps what was accepted without the database, and
 * records it when the database is back. Bounded; what does not fit is counted.
 */
#define REPLAY_BYTES_MAX	(32 * 1024 * 1024)

struct mapping;
struct replay;

/*
 * `owed` is called with `arg`, and with `sign` 1 when a charge is kept, and -1
 * when it is recorded. What replay_back keeps has negative amounts in
 * `charged`.
 */
struct replay	*replay_new(void (*owed)(void *arg, const struct msg_charge *,
		    const int64_t *charged, int64_t date, int sign), void *arg);

/*
 * Keeps a charge that was accepted at `date` (seconds since 1970), with the
 * amounts in `charged`, and gives it the mode CHARGE_REPLAY. False: no room.
 */
bool	replay_add(struct replay *, struct msg_charge *, const int64_t *charged,
	    int64_t date);

/*
 * Keeps an order to take back a charge that the database accepted but that was
 * refused. The amounts in `charged`, which the ledger told, are clamped to the
 * range from 0 to CHARGE_AMOUNT_MAX. `tag` is new and not 0. False: no room.
 */
bool	replay_back(struct replay *, struct msg_charge *,
	    const int64_t *charged, int64_t date, int64_t tag);

/*
 * Keeps a charge that the memory refused while the ledger had it, as the
 * message that was sent. The last 1,024 are kept.
 */
void	replay_refused(struct replay *, uint64_t request,
	    const struct str *charge);

/*
 * Takes a verdict that came after the answer. If it accepts a charge of
 * replay_refused, calls replay_back for it with `tag`.
 */
void	replay_late(struct replay *, uint64_t request,
	    const struct msg_verdict *, struct mapping *, int64_t tag);

/* Sets the channel to the ledger; NULL: it is lost. */
void	replay_channel(struct replay *, struct channel *);

/* The database works: does not wait before the next try. */
void	replay_soon(struct replay *);

/* Takes a verdict whose request number has the bit PENDING_NOT. */
void	replay_verdict(struct replay *, uint64_t request,
	    const struct msg_verdict *);

/*
 * Sends what may be sent now, as far as the channel accepts it. False: more of
 * it has to be sent before newer charges.
 */
bool	replay_send(struct replay *);

/* The number of charges that are kept. */
size_t	replay_count(const struct replay *);

/* Whether there are some, and a ledger that may record them soon. */
bool	replay_busy(const struct replay *);

#endif
