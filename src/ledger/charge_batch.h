#ifndef CHARGE_BATCH_H
#define CHARGE_BATCH_H

#include "ledger/charge.h"
#include "ledger/verdict.h"

/* What the files of charge.h share. */
TAILQ_HEAD(charges, verdict_charge);

struct charge_batch {
	struct cache		*cache;
	struct store		*store;
	struct lookup		*limits;
	struct override_table	*overrides;
	const struct settings	*settings;
	struct charges		 waiting;
	struct charges		 next;		/* for the batch after this */
	size_t			 count;		/* of both */
	struct charges		 decided;
	struct charges		 unflushed;	/* committed: store_flush */
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
	struct verdict_hit	*hit;		/* of the whole batch */
	size_t			 nhit;
	size_t			 hits;		/* room */
	struct verdict_context	 context;
	struct msg_charge	 message;
	int64_t			 longest;	/* kept by clean_remember */
	enum store_result	 last;		/* of charge_batch_run */
};

/* --- charge_gather.c --- */

/*
 * What the charges that wait are about: ids and values, each once, with the
 * limits and overrides that hold for them.
 */
enum store_result	 charge_gather(struct charge_batch *, int64_t now,
			    struct mono);

#endif
