#ifndef CHARGE_H
#define CHARGE_H

#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/habits.h"
#include "ledger/lookup.h"
#include "ledger/override_table.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * The batch of waiting charges: decided in one transaction and answered after
 * its commit (group commit). These files know the database only through the
 * store, and they know no channel.
 */
struct charge_batch;
struct verdict_charge;
struct verdict_key;

/* The batch refers to all of these until it is freed. */
struct charge_batch	*charge_batch_new(struct cache *, struct store *,
			    struct lookup *limits, struct lookup *ids,
			    const struct settings *);
void			 charge_batch_free(struct charge_batch *);

/* Replaces the settings; the batch no longer refers to the old ones. */
void			 charge_batch_settings(struct charge_batch *,
			    const struct settings *);

/*
 * Adds a copy of the charge in the payload; -1 with errno EBADMSG when the
 * payload is malformed. MSG_CHARGE is answered by `verdict`. The other types
 * are answered by `weighed`: MSG_RESET resets the ids, MSG_EXTERNAL records a
 * CHARGE_ADD, and MSG_WEIGH is decided but not recorded.
 */
int			 charge_batch_add(struct charge_batch *,
			    enum message_type, uint64_t request,
			    const void *payload, size_t);

/*
 * If id_sql of this rule gives another id for *id, replaces *id by that, which
 * is valid until the next call. `rule` may be NULL. *unknown: the query fails,
 * and has never given an answer. STORE_OK or STORE_LOST.
 */
enum store_result	 charge_batch_map(struct charge_batch *, struct mono,
			    const struct settings_rule *, const char **id,
			    size_t *len, bool *unknown);

/*
 * Adds a copy of a change of overrides (see override_table_change). It is a
 * transaction of its own, so that its faults fail no mail, and is decided again
 * after a conflict, as charges are. `answer` has the ids that id_sql gave;
 * `overridden` gets a copy of it, with the result filled in.
 */
void			 charge_batch_change(struct charge_batch *,
			    uint64_t request, const struct override *, size_t,
			    const struct msg_overridden *answer,
			    struct mono deadline);

/*
 * Milliseconds that the batch may wait for further charges, to spare a loaded
 * server; 0 while no other daemon uses it.
 */
int			 charge_batch_delay(const struct charge_batch *);

/* The engine is gone: drops all charges and changes without an answer. */
void			 charge_batch_clear(struct charge_batch *);

/*
 * Call before the first charge: lets the store read what it needs after a
 * start.
 */
enum store_result	 charge_batch_start(struct charge_batch *, int64_t now);

struct charge_hit;

/* Set them before the first charge. */
struct charge_answers {
	void	(*verdict)(void *, uint64_t request,
		    const struct msg_verdict *);
	/* For each hit that was committed; not those of shadow. */
	void	(*hit)(void *, const struct charge_hit *);
	void	 *arg;
	/* The answer to a weighed charge or a reset. */
	void	(*weighed)(void *, uint64_t request,
		    const struct msg_weighed *);
	/*
	 * `more`: whether the engine has further charges to send. If so, the
	 * batch may be committed without waiting for the disk, and the next one
	 * begins meanwhile. NULL: it never has. `answered`: some charges were
	 * answered, and the answers can be sent now.
	 */
	bool	(*more)(void *);
	void	(*answered)(void *);
	/*
	 * The answer to a change. OVERRIDE_FAILED: store_error has why, unless
	 * the deadline passed before a try.
	 */
	void	(*overridden)(void *, uint64_t request,
		    const struct msg_overridden *);
};

/*
 * Decides the waiting charges, commits, and answers them, or leaves the answers
 * to charge_batch_flush when the commit is not yet durable. A charge whose id
 * is still being read, and every charge while the database is locked or after
 * a conflict with another daemon (STORE_BUSY), waits in the batch for the next
 * call, until its deadline. So does a change; a call makes one change at most.
 * `now` is the wall clock; the monotonic clock is for deadlines.
 *
 * STORE_FAILED: nothing was recorded. Refusals are answered; the answer to all
 * other charges is VERDICT_UNAVAILABLE.
 *
 * STORE_LOST: this process can do nothing more. Refusals and weighed charges
 * are answered; resets and changes too, unless their commit was lost. All other
 * charges are left unanswered, and the engine sends them to the next ledger.
 *
 * If no charge is left to decide, returns the result of the last batch that had
 * charges, or STORE_BUSY while a change has to wait.
 */
enum store_result	 charge_batch_run(struct charge_batch *, int64_t now,
			    struct mono);

/*
 * Answers the charges whose commit is durable; with `wait`, waits until all
 * are. STORE_OK or STORE_LOST.
 */
enum store_result	 charge_batch_flush(struct charge_batch *, bool wait);

/*
 * Whether there are committed charges that are not durable yet; and a
 * descriptor for poll(2), or -1: with input there call charge_batch_flush.
 */
bool			 charge_batch_unflushed(const struct charge_batch *);
int			 charge_batch_flush_fd(const struct charge_batch *);

#endif
