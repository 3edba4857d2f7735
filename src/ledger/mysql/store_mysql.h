#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

#include "ledger/server/foreign.h"
#include "ledger/mysql/mysqldb.h"
#include "ledger/server/writers.h"
#include "ledger/store_shared.h"
#include "ledger/server/sums.h"

/* Shared by the files of the MySQL store. */
#define STORE_SLOTS	65536		/* rows of mail_lock for ids */
#define STORE_RANGES_SLOT	STORE_SLOTS	/* store_lock_ranges */
#define STORE_ALL_SLOT	(STORE_SLOTS + 1)

enum statement {
	LOCK = STORE_STATEMENT__MAX,
	LOCK_SHARED,
	SLOTS,
	RAISE,
	RAISE_ALL,
	CHANGES,
	NEWS,
	ENDS,
	FIRST,
	SINGLE,
	ADDED,
	KEPT,
	RECENT,
	VALUE,
	FOREIGN_IDS,
	FOREIGN_ANY,
	FOREIGN_OF,
	APPEND,
	SEE,
	HIT,
	WARNING,		/* HIT + HIT_NEAR, and so the next two */
	SHADOWED,
	LOCKED,
	SUMS_GONE,
	SUMS_NEW,
	CHANGED,
	ROWS,
	CLEAN_END,
	CLEAN,
	CLEAN_NOTE,
	CLEAN_VALUES,
	CLEAN_SUMS,
	PAIR,
	TAKE_PICK,
	TAKE_PICK_FREE,
	TAKE_COPY,
	TAKE_DROP,
	STATEMENT__MAX
};

/* A row of mail_lock that the batch uses. */
struct store_slot {
	uint32_t	slot;
	bool		raised;		/* rows of its ids are written */
	int64_t		count;		/* of batches, before this one */
};

/*
 * Parameters of statements: what a batch writes when it commits, and the
 * foreign rows to take in.
 */
enum store_queue {
	QUEUE_ROWS,		/* APPEND */
	QUEUE_VALUES,		/* SEE */
	QUEUE_PAIRS,		/* LEARN */
	QUEUE_HITS,		/* HIT + kind: one queue for each kind */
	QUEUE_COPY = QUEUE_HITS + HIT_KIND__MAX,	/* TAKE_COPY */
	QUEUE_DROP,		/* TAKE_DROP */
	QUEUE__MAX
};

struct store_name {		/* the id of foreign rows, as inserted */
	size_t	touch;		/* the touch that they count for */
	size_t	at;		/* offset in names_text */
	size_t	len;
};

struct store {
	struct mysqldb		*db;
	struct mysqldb		*builder;	/* for slow statements */
	struct mysqldb		*other;		/* second session, or NULL */
	bool			 unflushed;	/* its COMMIT is not answered */
	void			(*flushed)(void *);
	void			*arg;		/* of that */
	const struct settings	*settings;	/* at the start */
	char			*description;
	char			*each;		/* query to run per id */
	/* there are no triggers that count changes */
	bool			 blind;
	int64_t			 changes;	/* triggers' count, or -1 */
	struct writers		 others;
	struct foreign		 foreign;
	bool			 hides;		/* the server knows INVISIBLE */
	bool			 skips;		/* it knows SKIP LOCKED */
	bool			 replaces;	/* store_open */
	bool			 narrow;	/* amounts have 32 bits */
	int64_t			 step;		/* auto_increment_increment */
	bool			 cluster;	/* Galera */
	struct mono		 rivals;	/* batches yield until then */
	struct mono		 begun;		/* when the batch began */
	int64_t			 took;		/* on a cluster: by the last
						   batch, ms; 0: it committed
						   no rows */
	bool			 unlocked;	/* mail_lock lacks rows */
	/* store_mysql_lock.c explains these three. */
	int64_t			 left;		/* `base` after our last batch,
						   if that was alone; else -1 */
	int64_t			 quiet;		/* `base` of the last batch
						   that was disturbed */
	int64_t			*known;		/* counts of slots that were
						   read since then */
	bool			 read_rows;	/* in this batch */
	int64_t			 writes;	/* db->writes when the batch
						   had its locks */
	bool			 spoilt;	/* the connection must end */
	char			 error[256];
	struct log_limit	 hit_failed[HIT_KIND__MAX];

	/* --- the running batch --- */
	struct store_touch	*touch;
	size_t			 ntouch;
	struct store_touch	**order;	/* touches, sorted by id */
	uint32_t		*place;		/* of a touch, in slot */
	int64_t			*upto;		/* last date of its piece */
	size_t			 room;		/* of these three */
	struct store_slot	*slot;		/* sorted, each once */
	size_t			 nslot;
	size_t			 slots;		/* room */
	int64_t			 base;		/* STORE_ALL_SLOT's count */
	bool			 alone;		/* STORE_ALL_SLOT is locked
						   exclusively */
	bool			 disturbed;	/* others may have written */
	struct store_batch	*batch;
	size_t			 fetched;	/* rows, last statement */
	struct mysqldb_params	 queue[QUEUE__MAX];
	size_t			 nrow;		/* in QUEUE_ROWS */
	struct store_name	*name;
	size_t			 nname;
	size_t			 names;		/* room */
	struct str		 names_text;
	int64_t			 plenty;	/* foreign rows, if too many */
};

/* --- store_mysql_base.c --- */

/*
 * On a cluster: another node's daemon uses the same ids, or its batch made this
 * one fail. For a while, batches of this daemon yield.
 */
void	store_rival(struct store *);

/* The result for the fault of s->db; copies its text for store_error(). */
enum store_result	store_result(struct store *);

/* Rows of mail_lock are missing: the connection must end. Returns -1. */
int	store_no_lock(struct store *);

/* Rolls back after a fault. */
enum store_result	store_failed(struct store *);

/* Commits if `good`; otherwise, or if that fails, does as store_failed. */
enum store_result	store_end(struct store *, bool good);

/* Sorts the touches of a batch by id: s->order. */
void	store_sort(struct store *);

/* Finds the touch of an id. 0, or -1: the batch does not touch it. */
int	store_find(const struct store *, const char *id, size_t idlen,
	    size_t *index);

/* Fills in a row from the current result, whose first column is the id. */
void	store_columns(struct store *, struct store_row *);

/* --- store_mysql_flush.c --- */

/* Opens the second session with these statements, if it is possible. */
void	store_other_open(struct store *, const struct settings *,
	    const struct mysqldb_statement *);

/*
 * A COMMIT was sent in s->db: waits for the one before, and swaps the sessions.
 * STORE_OK or STORE_LOST.
 */
enum store_result	store_flush_begin(struct store *);
enum store_result	store_flush(struct store *, bool wait);

/* --- store_mysql_tables.c --- */

/* The triggers ignore a session that has said this. */
#define STORE_OWN	"SET @policyd_rate_limit_own = 1"

/*
 * Makes or upgrades the tables, and finds out what the server can do. 0, or -1:
 * s->error, s->db or s->builder says why.
 */
int	store_upgrade(struct store *);

/* --- store_mysql_lock.c --- */

/* Locks the touched ids. 0 or -1. */
int	store_lock(struct store *);

/* Reads the ids' numbers, after store_read_changes has set s->disturbed. */
int	store_read_numbers(struct store *);

/*
 * Locks STORE_RANGES_SLOT, before statements that lock ranges of an index:
 * those about hits, values, pairs and sums. Two of them at a time could
 * deadlock, whatever their ids.
 */
int	store_lock_ranges(struct store *);

/*
 * Locks all ids: no other daemon of this server has a batch with ids. Sets
 * s->base.
 */
int	store_lock_all(struct store *);

/* The number of touch[i]: that of the newest batch that wrote rows of it. */
int64_t	store_batch_of(const struct store *, size_t touch);

/* For a touch that is loaded: whether the cache has every row of its id. */
bool	store_knows(const struct store *, size_t touch);

/* Adds 1 to the counts of the slots that are `raised`. */
int	store_write_raised(struct store *);

/*
 * store_slots_add collects the slot of an id, which it returns. For foreign
 * rows that are taken in, store_raise_slots adds 1 to the count of each slot.
 */
uint32_t store_slots_add(struct store *, const char *id, size_t idlen);
int	store_raise_slots(struct store *);

/* --- store_mysql_read.c: in the transaction, under the locks --- */

/* All return 0 or -1. */

/* What others changed; sets s->disturbed. */
int	store_read_changes(struct store *, const struct store_reader *);

/* The new rows of ids that are loaded, and a step of each first reading. */
int	store_read_rows(struct store *, const struct store_reader *);

/* Writes the sums of an id that has many rows. */
int	store_keep_sums(struct store *, const struct store_reader *);

/* Values and pairs. */
int	store_read_seen(struct store *);

/* --- store_mysql_foreign.c --- */

/* Borrows the foreign rows of this batch's ids: s->foreign. */
int	store_read_foreign(struct store *, const struct store_reader *);

/* Takes some foreign rows in, if a step is due. */
enum store_result	store_take_in(struct store *, bool idle);

#endif
