#ifndef PENDING_H
#define PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/client.h"
#include "engine/decide.h"
#include "engine/held.h"
#include "engine/tell.h"
#include "ipc/channel.h"
#include "lib/clock.h"

/*
 * Requests that wait for the ledger's verdict, each with a deadline: it comes
 * in time or the request is answered without. When the ledger is lost, what is
 * not answered is kept and sent again to the next one; instance and tag see to
 * it that nothing counts twice.
 */
struct pending {
	struct client		*client;
	struct held		*held;
	struct tell_about	 about;
	struct mono		 began;
	bool			 again;		/* a ledger was lost with it */
	bool			 bare;		/* only blocks are looked at */
	enum decide_reason	 reason;	/* why nothing is counted */
};

/*
 * `answer` is called once for each, with the ledger's verdict or, at the
 * deadline, VERDICT_UNAVAILABLE; the pending and its charge are there until it
 * returns.
 */
void	pending_init(void (*answer)(struct pending *,
	    const struct msg_verdict *));

/* Fills in the charge's deadline. */
void	pending_add(struct client *, struct held *, const struct request *,
	    struct decision *);

/* What was sent to the ledger for it. Good until the next call. */
struct msg_charge	*pending_charge(const struct pending *);

/* The number of what was sent. */
uint64_t	pending_number(const struct pending *);

/* False for a number that waits for nothing any more: the verdict came late. */
bool	pending_verdict(uint64_t request, const struct msg_verdict *);

/* The channel to the ledger from now on, NULL when it is lost. */
void	pending_channel(struct channel *);

/* It has its database: until then it is there, but not waited for. */
void	pending_serving(void);

/* Whether there is a ledger that has its database. */
bool	pending_is_serving(void);

/* Sends what waits to be sent, as far as the channel takes it. */
void	pending_send(void);

/* No ledger comes any more: there is nothing to wait for. */
void	pending_give_up(void);

size_t	pending_count(void);

/* Nanoseconds that the oldest of them has waited; 0 without any. */
int64_t	pending_oldest(void);

/*
 * Whether their charges take more memory than they may: then no request may be
 * read until some are answered.
 */
#define PENDING_BYTES_MAX	(32 * 1024 * 1024)
bool	pending_full(void);

/* Request numbers with this bit are not ours: replay.c. */
#define PENDING_NOT		(UINT64_C(1) << 63)

#endif
