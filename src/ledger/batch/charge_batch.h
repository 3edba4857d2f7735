#ifndef CHARGE_BATCH_H
#define CHARGE_BATCH_H

#include "ledger/batch/batch_delay.h"
#include "ledger/batch/charge.h"
#include "ledger/batch/verdict.h"

/*
 * What the files of the batch share. Others set `answers`, read `count` and
 * `learned`, and use `overrides` and `habits`.
 */
TAILQ_HEAD(charges, verdict_charge);
TAILQ_HEAD(charge_changes, charge_change);

struct charge_batch {
	struct cache		*cache;
	struct store		*store;
	struct lookup		*limits;
	struct lookup		*ids;		/* id_sql */
	struct override_table	*overrides;
	struct habits		*habits;
	const struct settings	*settings;
	int64_t			 configured;	/* longest window, seconds; at
						   least INSTANCE_SECONDS */
	struct charge_answers	 answers;
	uint64_t		 learned;	/* since the start */
	int64_t			 longest;	/* window in seconds that
						   clean_remember saved */
	struct batch_delay	 delay;
	enum store_result	 last;		/* of a batch with charges */

	/* --- charges and changes --- */
	struct charges		 waiting;
	struct charges		 next;		/* for the batch after this */
	struct charge_changes	 changes;
	size_t			 count;		/* of these three together */
	struct charges		 decided;
	struct charges		 unflushed;	/* committed, not yet durable */
	struct charges		 spare;		/* memory for later ones */
	size_t			 nspare;
	struct msg_charge	 message;

	/* --- the running transaction --- */
	int64_t			 now;
	struct store_batch	 gathered;	/* ids, values and pairs */
	size_t			 touches;	/* room */
	size_t			 values;	/* room */
	size_t			 pairs;		/* room */
	enum store_result	 result;	/* the first that is not OK */
	uint64_t		 learns;	/* pairs that become known */
	/* For charge_answers.hit: not those of rules in shadow. */
	struct charge_hit	*hit;
	size_t			 nhit;
	size_t			 hits;		/* room */

	/* --- the charge that is being decided --- */
	struct decision		 decision;
	/* For each key with counts under earlier names: all its counts. */
	struct window		 merged[CHARGE_KEYS_MAX];
};

/* --- charge_queue.c: a charge's memory, and the queues that it is in --- */

/* The result is in no queue; its strings are in their stored form. */
struct verdict_charge	*charge_copy(struct charge_batch *,
			    const struct msg_charge *);
void			 charge_free(struct charge_batch *,
			    struct verdict_charge *);

/*
 * Adds the ids of key `key` under earlier names of its rule. `id` is the one
 * that is counted now, in full: its stored form may be a hash, which does not
 * show the name of the rule that is to be replaced.
 */
void			 charge_was(struct verdict_charge *,
			    const struct settings *, size_t key,
			    const char *id, size_t idlen);

/* Moves the charge from the waiting to the decided ones. */
void			 charge_settle(struct charge_batch *,
			    struct verdict_charge *);

/* Moves it likewise; its verdict is VERDICT_UNAVAILABLE. */
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

/* --- charge_gather.c --- */

/*
 * Collects the ids and values of the waiting charges, each once, with the
 * limits and overrides that apply to them.
 */
enum store_result	 charge_gather(struct charge_batch *, int64_t now,
			    struct mono);

/* --- charge_transaction.c --- */

/* Begins the transaction for the ids that were gathered; or without ids. */
enum store_result	 charge_begin(struct charge_batch *);
enum store_result	 charge_begin_empty(struct charge_batch *, int64_t now);

/*
 * Commits if `decided` is STORE_OK. Otherwise returns `decided`, after a
 * rollback unless it is STORE_LOST.
 */
enum store_result	 charge_end(struct charge_batch *,
			    enum store_result decided, bool *later);

/* --- charge_change.c: changes of the overrides --- */

/*
 * Writes a part of the corrections that are due (struct override_table). If
 * there are none, makes the first change and answers it. If its deadline has
 * passed, or if a statement fails, also one of the corrections, the answer to
 * the first change is OVERRIDE_FAILED. STORE_OK, STORE_BUSY or STORE_LOST.
 */
enum store_result	 charge_change_run(struct charge_batch *, int64_t now,
			    struct mono);

/* Drops all changes; `answer`: they have failed. */
void			 charge_change_clear(struct charge_batch *,
			    bool answer);

#endif
