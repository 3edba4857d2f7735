#ifndef PENDING_H
#define PENDING_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/client.h"
#include "engine/apply.h"
#include "engine/policy.h"
#include "engine/maillog.h"
#include "ipc/channel.h"
#include "lib/clock.h"

/*
 * Requests that wait for the ledger's verdict. Each has a deadline, after which
 * it is answered without the verdict. When the ledger is lost, unanswered
 * charges are kept and sent to the next one; instance and tag prevent that a
 * charge counts twice.
 */
struct pending {
	/*
	 * Of its message. The low bits are the index of the slot, the others
	 * change with each use.
	 */
	uint64_t		 number;
	struct str		 charge;	/* the message's bytes */
	struct client		*client;
	struct policy		*policy;
	struct maillog_about	 about;
	struct mono		 began;
	bool			 again;		/* a ledger was lost with it */
	bool			 bare;		/* only blocks are checked */
	enum apply_reason	 reason;	/* why nothing is counted */
	/* For pending.c only. */
	TAILQ_ENTRY(pending)	 entry;
	struct mono		 deadline;
	bool			 used;
};

struct pending_queue;

/*
 * `answer` is called with `arg` once for each request, with the ledger's
 * verdict or, at the deadline, VERDICT_UNAVAILABLE. The struct pending and its
 * charge are valid until it returns.
 */
struct pending_queue	*pending_new(void (*answer)(void *arg, struct pending *,
			    const struct msg_verdict *), void *arg);

/*
 * Queues a copy of the charge, whose deadline and date it sets. Takes a
 * reference to the policy; the request may be freed afterwards.
 */
void	pending_add(struct pending_queue *, struct client *, struct policy *,
	    const struct request *, struct applied *);

/* The charge as it was queued; its texts are those of the struct pending. */
void	pending_charge(const struct pending *, struct msg_charge *);

/*
 * Takes a verdict. False: no request has this number any more, the verdict is
 * late.
 */
bool	pending_verdict(struct pending_queue *, uint64_t request,
	    const struct msg_verdict *);

/* Sets the channel to the ledger; NULL: it is lost. */
void	pending_use_channel(struct pending_queue *, struct channel *);

/* The ledger has its database; before that requests do not wait for it. */
void	pending_set_serving(struct pending_queue *);

/* Whether there is a ledger that has its database. */
bool	pending_is_serving(const struct pending_queue *);

/* Sends what is queued, as far as the channel accepts it. */
void	pending_send(struct pending_queue *);

/* No ledger will come: answers every waiting request without a verdict. */
void	pending_give_up(struct pending_queue *);

size_t	pending_count(const struct pending_queue *);

/* Nanoseconds that the oldest has waited; 0: there is none. */
int64_t	pending_oldest(const struct pending_queue *);

/*
 * Whether the charges take more memory than allowed. Then no request may be
 * read until some are answered.
 */
#define PENDING_BYTES_MAX	(32 * 1024 * 1024)
bool	pending_full(const struct pending_queue *);

/* The messages of replay.c and locks.c have this bit in their numbers. */
#define PENDING_NOT		(UINT64_C(1) << 63)

#endif
