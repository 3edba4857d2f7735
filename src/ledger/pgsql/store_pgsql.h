#ifndef STORE_PGSQL_H
#define STORE_PGSQL_H

#include "ledger/server/foreign.h"
#include "ledger/server/writers.h"
#include "ledger/pgsql/pgsql.h"
#include "ledger/store_shared.h"
#include "ledger/server/sums.h"
#include "lib/clock.h"

/* Shared by the files of the PostgreSQL store. */
enum statement {
	DO_BEGIN = STORE_STATEMENT__MAX,
	DO_COMMIT,
	DO_ROLLBACK,
	LOCK_ALL,
	LOCK,
	CHANGES,
	NEWS,
	FIRST,
	KEPT,
	RECENT,
	VALUE,
	FOREIGN,
	APPEND,
	APPENDED,
	AHEAD,
	FLUSH,
	SEE,
	HIT,
	WARNING,		/* HIT + HIT_NEAR, and so the next two */
	SHADOWED,
	LOCKED,
	SUMS_GONE,
	SUMS_NEW,
	CLEAN_LIGHTLY,
	CLEAN,
	CLEAN_LOCKED,
	CLEAN_VALUES,
	CLEAN_SUMS,
	PAIR,
	LEARN_ALL,
	TAKE_LIGHTLY,
	TAKE_IN,
	TAKE_NOTES,
	RENUMBER,
	STATEMENT__MAX
};

/* The parameters queued for a round trip, by column. */
enum column {
	LOCKS,
	READ_ID, READ_FROM, READ_POSITION, READ_BASE,
	VALUE_ID, VALUE_VALUE,
	PAIR_WHO, PAIR_KIND, PAIR_WHAT,
	FOREIGN_ID,
	ROW_ID, ROW_DATE, ROW_AMOUNT, ROW_INSTANCE, ROW_STATE, ROW_TAG,
	SEE_ID, SEE_VALUE, SEE_DATE,
	LEARN_WHO, LEARN_KIND, LEARN_WHAT, LEARN_SINCE, LEARN_SEEN,
	HIT_ID, HIT_DELTA,	/* and so for each kind of hit */
	HIT_LAST = HIT_ID + 2 * HIT_KIND__MAX - 1,
	SUMS_ID, SUMS_PART, SUMS_SEQ, SUMS_SINCE, SUMS_CHANGES, SUMS_COUNTS,
	COLUMN__MAX
};

struct store {
	struct pgsql		*db;
	struct pgsql		*flusher;	/* NULL: none */
	bool			 unflushed;	/* a commit is not durable */
	bool			 standby_lost;	/* a synchronous one */
	/*
	 * Until then the last commits of the ledger before this one may not be
	 * durable, so each commit that waits for the disk waits for these too.
	 */
	struct mono		 young;
	void			(*flushed)(void *);
	void			*arg;
	char			*description;
	int64_t			 changes;	/* trigger's count, or -1 */
	int64_t			 notes;		/* rows in mail_change */
	struct writers		 others;
	struct foreign		 foreign;
	bool			 replaces;	/* store_open */
	bool			 narrow;	/* amounts have 32 bits */
	bool			 alone;		/* no other daemon, probably */
	struct pgsql_array	 column[COLUMN__MAX];
	struct store_touch	*touch;		/* of the running batch */
	size_t			 ntouch;
	size_t			*index;		/* touches, sorted by reading */
	/* Where each reading's touches begin in `index`. */
	size_t			 begin[SUMS_READ__MAX + 1];
	uint64_t		*lock;
	size_t			 room;		/* of index and lock */
	size_t			 sums;		/* index of the touch whose
						   sums are written */
	bool			 sumless;	/* writing sums failed */
	bool			 read_rows;	/* in this batch */
	bool			 spoilt;	/* the connection must end */
	char			 error[256];
	struct log_limit	 hit_failed[HIT_KIND__MAX];
};

/* --- store_pgsql_base.c --- */

/* The result for the fault of s->db; copies its text for store_error(). */
enum store_result	store_result(struct store *);

/*
 * Rolls back after a fault; a lost connection has ended the transaction
 * already.
 */
enum store_result	store_failed(struct store *);

/* Ends a pipeline that is a transaction of its own. */
enum store_result	store_end(struct store *);

/*
 * store_put puts the statement into the pipeline, with the columns from `first`
 * to `last` as its parameters. store_empty empties these columns.
 */
void	store_put(struct store *, enum statement, enum column first,
	    enum column last);
void	store_empty(struct store *, enum column first, enum column last);

/* Fills in a row of touch `t` from the columns that begin with its date. */
void	store_row(struct store *, const struct store_touch *t, int row,
	    int column, struct store_row *);

/* The number of consecutive rows from `row` on that have the same id. */
int	store_alike(const struct store *, int row, int rows);

/* --- store_pgsql_flush.c --- */

/* Writes to the log, and so waits until everything before it is durable. */
#define STORE_FLUSH							\
	"SELECT pg_logical_emit_message(true, 'policyd-rate-limit', '')"

/*
 * Opens a second connection to the same server; without one, flusher is NULL.
 */
void	store_flusher_open(struct store *, const struct settings *);

/*
 * Call it for a lost connection. If its server process waits for a synchronous
 * standby, ends that wait by the other connection, if there is one, and says so
 * in s->error.
 */
void	store_end_wait(struct store *, struct pgsql *lost,
	    struct pgsql *other);

/*
 * Whether a commit gets through to the synchronous standbys, if there are to be
 * any. 0, or -1: s->error says why not.
 */
int	store_check_standby(struct store *);

/*
 * A batch was committed without waiting: waits until the one before is durable,
 * then starts to make this one durable. store_flush: see struct store_overlap.
 */
enum store_result	store_flush_begin(struct store *);
enum store_result	store_flush(struct store *, bool wait);

/* --- store_pgsql_read.c: in the transaction, under the locks --- */

/*
 * store_put_reads puts into the pipeline all that store_begin reads after
 * CHANGES. store_take_reads takes the results, from that of CHANGES on, and
 * reports them. 0 or -1.
 */
void	store_put_reads(struct store *, const struct store_batch *);
int	store_take_reads(struct store *, struct store_batch *,
	    const struct store_reader *);

/* Queues the sums of an id that has many rows, for store_commit. */
void	store_keep_sums(struct store *, const struct store_reader *);

/* --- store_pgsql_foreign.c --- */

/* Borrows the foreign rows of this batch's ids: s->foreign. */
int	store_read_foreign(struct store *, const struct store_batch *,
	    const struct store_reader *);

/* Takes some foreign rows in, if a step is due. */
enum store_result	store_take_in(struct store *, bool idle);

#endif
