#ifndef CHARGE_H
#define CHARGE_H

#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/lookup.h"
#include "ledger/override_table.h"
#include "ledger/store.h"
#include "lib/clock.h"

/*
 * All charges that wait, decided in one transaction and answered after its
 * commit (group commit). Knows no database and no channel.
 */
struct charge_batch;

struct charge_batch	*charge_batch_new(struct cache *, struct store *,
			    struct lookup *, const struct settings *);
void			 charge_batch_free(struct charge_batch *);

/* New settings; the old ones are not used any more. */
void			 charge_batch_settings(struct charge_batch *,
			    const struct settings *);

/*
 * Takes a copy of the payload's charge; -1 with errno EBADMSG for a broken one.
 */
int			 charge_batch_add(struct charge_batch *,
			    uint64_t request, const void *payload, size_t);

/* The same for one that is only weighed: nothing of it is recorded. */
int			 charge_batch_weigh(struct charge_batch *,
			    uint64_t request, const void *payload, size_t);

/* The same for a reset of its ids, answered as what is weighed. */
int			 charge_batch_reset(struct charge_batch *,
			    uint64_t request, const void *payload, size_t);

/* What is granted and blocked. */
struct override_table	*charge_batch_overrides(struct charge_batch *);
size_t			 charge_batch_count(const struct charge_batch *);

/* Whoever asked is gone: what waits is forgotten. */
void			 charge_batch_clear(struct charge_batch *);

/* Before the first charge: lets the store read what a start has to read. */
enum store_result	 charge_batch_start(struct charge_batch *, int64_t now);

struct charge_answers {
	void	(*verdict)(void *, uint64_t request,
		    const struct msg_verdict *);
	/* A hit was committed to limit_report. */
	void	(*hit)(void *, const char *id, size_t idlen, int64_t seconds);
	void	 *arg;
	/* The answer to what is only weighed. */
	void	(*weighed)(void *, uint64_t request,
		    const struct msg_weighed *);
	/*
	 * Whether others wait to be decided, who need not wait for the disk too
	 * (NULL: no), and that some were answered meanwhile.
	 */
	bool	(*more)(void *);
	void	(*answered)(void *);
};

/*
 * Decides and commits; tells each charge that is settled, or leaves that to
 * charge_batch_flush. Those whose id is still being read, and all while the
 * database is locked (STORE_BUSY), stay in the batch for the next call, until
 * their deadline. `now` is the wall clock, `mono` for deadlines. STORE_LOST:
 * nothing more can be done by this process, and what is not refused is not
 * answered: the next ledger is asked. Where all that waited is past its
 * deadline, what the last call returned.
 */
enum store_result	 charge_batch_run(struct charge_batch *, int64_t now,
			    struct mono, const struct charge_answers *);

/*
 * Tells those whose commit is safe by now; `wait`: all of them. STORE_OK or
 * STORE_LOST.
 */
enum store_result	 charge_batch_flush(struct charge_batch *, bool wait);

#endif
