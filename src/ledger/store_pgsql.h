#ifndef STORE_PGSQL_H
#define STORE_PGSQL_H

#include "ledger/pgsql.h"
#include "ledger/store.h"

/* What the parts of the PostgreSQL store share. */
enum statement {
	DO_BEGIN,
	DO_COMMIT,
	DO_ROLLBACK,
	LOCK_ALL,
	LOCK_SHARED,
	LOCK,
	CHANGES,
	NEWS,
	FIRST,
	VALUE,
	APPEND,
	SEE,
	HIT,
	NUMBER,
	SET_NUMBER,
	CLEAN,
	CLEAN_VALUES,
	HITS,
	HITS_LESS,
	HITS_GONE,
	OVERRIDES,
	OVERRIDE_GONE,
	OVERRIDE_NEW,
	VALUES_GONE,
	STATEMENT__MAX
};

/* What is queued for a round trip, in columns. */
enum column {
	LOCKS,
	NEWS_ID, NEWS_SEEN,
	FIRST_ID, FIRST_SINCE, FIRST_POSITION, FIRST_BASE,
	VALUE_ID, VALUE_VALUE,
	ROW_ID, ROW_DATE, ROW_AMOUNT, ROW_INSTANCE, ROW_STATE, ROW_TAG,
	SEE_ID, SEE_VALUE, SEE_DATE,
	HIT_ID, HIT_DELTA,
	COLUMN__MAX
};

struct store {
	struct pgsql		*db;
	char			*description;
	int64_t			 changes;	/* by the trigger's count; -1 */
	struct pgsql_array	 column[COLUMN__MAX];
	struct store_touch	*touch;		/* of the running batch */
	size_t			 ntouch;
	/* of touches: news, then first */
	size_t			*index;
	size_t			 nnews;
	uint64_t		*lock;
	size_t			 room;		/* of these two */
	bool			 told;		/* rows, in this batch */
	bool			 spoilt;	/* open it anew */
	char			 error[256];
};

/* --- store_pgsql.c --- */

/* What pgsql_fault() means to the caller, and its words for store_error(). */
enum store_result	store_result(struct store *);

/*
 * Ends the transaction after a fault; a lost connection has ended it already.
 */
enum store_result	store_failed(struct store *);

#endif
