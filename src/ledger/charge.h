#ifndef CHARGE_H
#define CHARGE_H

#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/store.h"

/*
 * All charges that wait, decided in one transaction and answered after its commit
 * (group commit). Knows no database and no channel.
 */
struct charge_batch;

struct charge_batch	*charge_batch_new(struct cache *, struct store *,
			    const struct settings *);
void			 charge_batch_free(struct charge_batch *);

/* Takes a copy of the payload's charge; -1 with errno EBADMSG for a broken one. */
int			 charge_batch_add(struct charge_batch *, uint64_t request,
			    const void *payload, size_t);
size_t			 charge_batch_count(const struct charge_batch *);

/*
 * Decides and commits; calls `answer` for each charge that is settled. Those whose id
 * is still being read stay in the batch for the next call. `now` is the wall clock,
 * `mono` for deadlines. STORE_LOST: nothing more can be done by this process.
 */
enum store_result	 charge_batch_run(struct charge_batch *, int64_t now,
			    struct mono mono,
			    void (*answer)(void *, uint64_t request,
			    const struct msg_verdict *), void *);

#endif
