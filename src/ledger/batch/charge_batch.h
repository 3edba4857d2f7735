#ifndef CHARGE_BATCH_H
#define CHARGE_BATCH_H

#include "ledger/batch/batch_delay.h"
#include "ledger/batch/charge.h"
#include "ledger/batch/verdict.h"

/* Shared by charge.c and charge_gather.c. */
TAILQ_HEAD(charges, verdict_charge);
TAILQ_HEAD(charge_changes, charge_change);

struct charge_batch {
	struct cache		*cache;
	struct store		*store;
	struct lookup		*limits;
	struct lookup		*ids;		/* id_sql */
	struct override_table	*overrides;
	const struct settings	*settings;
	int64_t			 configured;	/* longest window, seconds */
	struct charges		 waiting;
	struct charges		 next;		/* for the batch after this */
	struct charge_changes	 changes;
	size_t			 count;		/* in these three */
	struct charges		 decided;
	struct charges		 unflushed;	/* committed, not yet durable */
	struct charge_answers	 answers;
	struct charges		 spare;
	size_t			 spares;
	struct store_touch	*touch;
	struct cache_id		**id;		/* of each touch */
	size_t			 ntouch;
	size_t			 touches;	/* room */
	struct store_value	*value;
	size_t			 nvalue;
	size_t			 values;	/* room */
	struct habits		*habits;
	uint64_t		 learned;	/* since the start */
	struct store_pair	*pair;
	size_t			 npair;
	size_t			 pairs;		/* room */
	struct charge_hit	*hit;		/* hits of the whole batch */
	size_t			 nhit;
	size_t			 hits;		/* room */
	struct verdict_context	 context;
	struct msg_charge	 message;
	int64_t			 longest;	/* saved by clean_remember */
	struct batch_delay	 delay;
	enum store_result	 last;		/* charge_batch_run's result */
};

/* --- charge_settle.c --- */

/* Moves the charge from the waiting to the decided ones. */
void			 charge_settle(struct charge_batch *,
			    struct verdict_charge *);

/* Sets VERDICT_UNAVAILABLE: there is no verdict. */
void			 charge_unavailable(struct msg_verdict *);

/* Does both. */
void			 charge_give_up(struct charge_batch *,
			    struct verdict_charge *);

/* Gives up charges past their deadline; with `all`, every waiting charge. */
void			 charge_expire(struct charge_batch *, struct mono,
			    bool all);

/*
 * Another daemon committed first: nothing of the batch was written, and the
 * decided charges wait again, in their old order.
 */
void			 charge_decide_again(struct charge_batch *);

/* --- charge_change.c: changes of the overrides --- */

/*
 * Makes the first change, if there is one, and corrects what was found wrong:
 * STORE_OK, STORE_BUSY or STORE_LOST.
 */
enum store_result	 charge_change_run(struct charge_batch *, int64_t now,
			    struct mono, const struct charge_answers *);
void			 charge_change_clear(struct charge_batch *);

/* --- charge_begin.c --- */

/* Calls store_begin for the ids that were gathered. */
enum store_result	 charge_begin(struct charge_batch *);

/* The same without ids. */
enum store_result	 charge_begin_empty(struct charge_batch *, int64_t now);

/* --- charge_was.c --- */

/*
 * Sets the ids of the keys under earlier names of their rules; the second, once
 * id_sql has replaced ids.
 */
void			 charge_was(struct verdict_charge *,
			    const struct settings *,
			    const struct msg_charge_key *);
void			 charge_was_again(struct verdict_charge *,
			    const struct settings *);

/* --- charge_map.c --- */

/*
 * id_sql: gives the keys of the waiting charges the ids that are counted.
 * Charges for which none is known are given up.
 */
enum store_result	 charge_map(struct charge_batch *, struct mono);

/* Puts those ids into the verdict of a charge. */
void			 charge_map_tell(struct verdict_charge *);

/* --- charge_pairs.c: what rules that count new recipients know --- */

/*
 * Copies the network and the recipient of a key to *at and advances *at past
 * them. Only hashes of them are stored.
 */
void	charge_pairs_take(struct verdict_key *, const struct msg_charge_key *,
	    char **at);

/* Collects the pairs of the waiting charges, each once. */
enum store_result	 charge_pairs_gather(struct charge_batch *);

/* Before the commit: writes what the batch has changed. */
void	charge_pairs_learn(struct charge_batch *);

/* --- charge_gather.c --- */

/*
 * Collects the ids and values of the waiting charges, each once, with the
 * limits and overrides that apply to them.
 */
enum store_result	 charge_gather(struct charge_batch *, int64_t now,
			    struct mono);

/* --- charge_copy.c --- */

/*
 * The bytes that a copy of the charge takes, with its keys and strings in their
 * stored form; and the copying.
 */
size_t	charge_copy_size(const struct msg_charge *);
void	charge_copy(struct verdict_charge *, const struct msg_charge *);

#endif
