#ifndef REFUSAL_H
#define REFUSAL_H

#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "engine/memory.h"
#include "engine/maillog.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "ipc/message_refusal.h"

/*
 * The refusals on their way to the ledger, which keeps them for policyctl. A
 * subject is an id with a kind of refusal, in shadow or not. The first refusal
 * of each subject and minute is kept, and of the others, of all subjects
 * together, REFUSAL_MORE a second. What is not kept is summed up, in one more
 * refusal for each subject. Refusals that the ledger has not written yet wait
 * here, also while the database is away. Their number is bounded: those that
 * are not the first of their subject and minute are dropped first, then the
 * oldest.
 */
#define REFUSAL_MORE		10
#define REFUSAL_IDS		50000	/* subjects in a minute; refusals of
					   further subjects count as not the
					   first, and are not summed up */
#define REFUSAL_WAITING		20000
#define REFUSAL_BYTES		(16 * 1024 * 1024)

struct refusals;

struct refusals	*refusal_new(void);

/* Takes the settings; with history 0 nothing is kept. */
void	refusal_use(struct refusals *, const struct settings *);

/*
 * Keeps a refusal, an acceptance over a soft limit, and each shadow rule that
 * would have refused. If `memory` is not NULL, the verdict and its windows are
 * those of the memory.
 */
void	refusal_verdict(struct refusals *, const struct settings *,
	    const struct msg_charge *, const struct maillog_about *,
	    const struct msg_verdict *, struct memory *);

/* Keeps what a block refused; NULL: the block has ended meanwhile. */
void	refusal_blocked(struct refusals *, const struct maillog_about *,
	    const struct override *);

/* Sets the channel to the ledger; NULL: it is lost. */
void	refusal_channel(struct refusals *, struct channel *);

/* Sends what waits, as far as the channel accepts it. */
void	refusal_send(struct refusals *);

/* Call it before a search or the end: queues the sums so far as refusals. */
void	refusal_settle(struct refusals *);

/* The ledger has written all up to this number. */
void	refusal_kept(struct refusals *, int64_t number);

#endif
