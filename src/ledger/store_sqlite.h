#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "ledger/filter.h"
#include "ledger/keeper.h"
#include "ledger/sqlite.h"
#include "ledger/store.h"
#include "ledger/tail.h"
#include "lib/str.h"

/*
 * How SQLite keeps counts so that a mail costs one row at the end of a table
 * and nothing else.
 *
 * mail_count has the five columns of the older program, which inserts them by
 * position. Ours are elsewhere: mail_tag has the tag of a row, if it has one,
 * by the rowid. Ids that others insert are folded when they are read.
 *
 * mail_count has no index but an empty one (VACUUM gives other rowids to a
 * table without any): rows are only added at its end, and its rowids tell their
 * order. Rows up to the horizon (mail_state) are also in runs: a run
 * (mail_run) holds the counts of all ids over a stretch of rowids, divided by a
 * hash of the id into parts (mail_part), each a few hundred packed bytes. Rows
 * behind the horizon, the tail, are in memory and are read again at a start.
 * When the tail has grown enough it becomes the next run, a few parts with each
 * batch; with the last of them the horizon moves. Runs of like size are merged
 * into larger ones in quiet moments. So
 *
 *	sum of an id = its counts in runs + corrections + rows in the tail
 *
 * and a first reading looks into one part of each run that may know the id.
 * Cleaning deletes rows and leaves parts alone: a run holds the dates of which
 * it still counts, from `since` to `until`. Those narrow before the first row
 * is deleted; mail_state's oldest and newest are the same for the rows while
 * they are being deleted. A run that is written later holds whatever was
 * recorded later, whatever its date.
 * Corrections (mail_correction) are what others did to rows before the horizon:
 * triggers note it, ours never fire for this program's own connections. They
 * also count such changes, so that what is cached is dropped.
 *
 * A database of an older program is one with its horizon at 0 and a long tail.
 * While that is made into runs, ids are read by the older program's index;
 * where that is missing, charges wait until the tail is short.
 */
struct store_sizes {
	size_t	tail;		/* rows that become a run */
	size_t	chunk;		/* the same while catching up */
	int64_t	load;		/* most rows of a tail that a start reads */
	int64_t	recent;		/* rows read at a start, for instances */
	int64_t	copy;		/* rows of an old format copied at once */
};
extern struct store_sizes	store_sizes;	/* tests make them small */

#define STORE_MERGE		8	/* runs of one level that become one */
#define STORE_PART_BITS		20	/* of a part, below the run's */

enum statement {
	DO_BEGIN,
	DO_READ,
	DO_COMMIT,
	DO_ROLLBACK,
	DATA_VERSION,
	SCHEMA_VERSION,
	NUMBERS,
	NUMBER,
	SET_NUMBER,
	KEY_NEW,
	LAST,
	HORIZON,
	CORRECTED,
	NEWS,
	CHUNK,
	OLD_ROWS,
	CORRECTIONS,
	RUNS,
	PART,
	UPPER,
	APPEND,
	APPEND_4,
	APPEND_16,
	TAGS,
	TAGS_4,
	TAGS_16,
	VALUE,
	SEE,
	HIT,
	WARNING,		/* HIT + HIT_NEAR, as also below */
	RUN_NUMBER,
	RUN_NEW,
	RUN_DONE,
	RUN_STATE,
	RUN_GONE,
	PART_NEW,
	PARTS_GONE,
	RUNS_CHANGED,
	ROWS_CHANGED,
	CLEAN_VOID,
	CLEAN_AHEAD,
	CLEAN_END,
	CLEAN,
	CLEAN_TAGS,
	CLEAN_VALUES_END,
	CLEAN_VALUES,
	CLEAN_VALUES_REST,
	CLEAN_CORRECTIONS,
	CLEAN_RUNS,
	HITS,
	WARNINGS,
	HITS_LESS,
	WARNINGS_LESS,
	HITS_GONE,
	WARNINGS_GONE,
	OVERRIDES,
	OVERRIDE_GONE,
	OVERRIDE_NEW,
	VALUES_GONE,
	STATEMENT__MAX
};

enum run_state {
	RUN_WRITING,
	RUN_WHOLE,
	RUN_OBSOLETE
};

struct run {
	int64_t		number;
	enum run_state	state;
	unsigned int	level;
	unsigned int	bits;		/* 2^bits parts */
	int64_t		ids;
	int64_t		rows;
	int64_t		oldest;		/* dates */
	int64_t		newest;
	int64_t		since;		/* counts of other dates are void */
	int64_t		until;
	struct filter	filter;
};

/* mail_state's oldest and newest while nothing is cleaned. */
#define STORE_OLDEST	(-INT64_MAX)
#define STORE_NEWEST	INT64_MAX

enum job_kind {
	JOB_NONE,
	JOB_FLUSH,		/* the frozen tail becomes a run */
	JOB_MERGE,		/* several runs become one */
	JOB_DROP		/* an obsolete run goes */
};

enum job_stage {
	STAGE_BEGIN,
	STAGE_PARTS,
	STAGE_END,
	STAGE_DONE
};

/*
 * How far a job is; it goes on in transactions, and counts only once they are
 * over.
 */
struct job_progress {
	enum job_stage	stage;
	size_t		part;
};

struct job {
	enum job_kind		 kind;
	struct job_progress	 now;		/* in the running transaction */
	struct job_progress	 kept;		/* committed */
	struct run		 run;		/* written, or dropped */
	int64_t			 upto;		/* the next horizon */
	size_t			 parts;		/* steps that JOB_MERGE takes */
	int64_t			 source[STORE_MERGE];
	size_t			 nsource;
	int64_t			 most;		/* ids in one of them */
	unsigned int		 bits;		/* fewest of them */
};

/*
 * How ids that others insert are folded (fold_case): as the engine folds those
 * of requests, of which one of a rule begins with the rule's name and a colon.
 */
enum fold {
	FOLD_NONE,
	FOLD_ALL,
	FOLD_VALUE		/* behind the first colon, if there is one */
};

/* A row that the running batch appends, to the table and to the tail. */
struct appended {
	struct store_cursor	*cursor;
	struct store_row	 row;
};

struct store {
	struct sqlite		*db;		/* NULL: away */
	int			 directory;
	char			*name;
	char			*description;
	bool			 full;		/* synchronous */
	enum fold		 fold;
	int			 wait;		/* for a lock, ms */
	int64_t			 looked;	/* that the file is there, ns */
	bool			 readonly;	/* a write failed of that */
	struct keeper		*keeper;	/* NULL: there is none */
	int			 copied;	/* pages of the log */
	int64_t			 copy;		/* when that was, ns */
	int64_t			 finished;	/* by the ledger itself, ns */
	int			 largest;	/* pages the log's file has */
	int64_t			 shrink;	/* not tried before, ns */
	char			 error[256];

	/* --- the file as it was last seen --- */
	int64_t			 version;	/* data_version; -1: not seen */
	int64_t			 schema;
	int64_t			 changes;	/* by the triggers' count; -1 */
	int64_t			 oldest;	/* other dates: being deleted */
	int64_t			 newest;
	int64_t			 cleaned;	/* `oldest` of the last time */
	int64_t			 reached;	/* that, once it was asked
						   for earlier dates */
	int64_t			 horizon;
	int64_t			 runs_version;
	uint64_t		 key[2];	/* of the hash */
	bool			 indexed;	/* by the older program */
	bool			 searched;	/* while behind, by that */
	bool			 corrected;	/* there are corrections */
	bool			 damaged;	/* the runs are */
	bool			 moved;		/* the tables: open it anew */
	int64_t			 last;		/* the newest row */
	int64_t			 told;		/* of it to the cache */

	/* --- counts --- */
	struct run		*run;		/* whole or obsolete */
	size_t			 nrun;
	bool			 behind;	/* too long a tail */
	struct tail		*tail;		/* NULL: not read yet */
	int64_t			 tails;		/* counts them */
	int64_t			 read;		/* the tail has them up to */
	struct tail		*frozen;	/* on its way into a run */
	struct job		 job;
	int64_t			 left;		/* a run that was given up */
	struct str		 buffer;
	struct str		 folded;	/* an id */

	/* --- the running batch --- */
	struct store_touch	*touch;
	struct appended		*append;
	size_t			 nappend;
	size_t			 appends;	/* room */
	int64_t			 before;	/* `last` when it began */
	bool			 failed;
	struct store_reader	 reader;	/* of the last batch */
	int64_t			 batched;	/* when that was, ns */
	int64_t			 rest;		/* no jobs before, ns */

	/* --- cleaning: where it goes on --- */
	char			*clean_id;
	char			*clean_value;
};

/* --- store_sqlite.c --- */

/* Opens the file when it is away, or when another one is in its place. */
enum store_result	 store_ready(struct store *);

/* Ends the transaction, if there is one, and says what its fault was. */
enum store_result	 store_failed(struct store *);

/* Ends it well, or as above. */
enum store_result	 store_end(struct store *, bool good);

/* The first column of the only row. 0 or -1. */
int			 store_one(struct store *, enum statement, int64_t *);
int			 store_put_number(struct store *, const char *,
			    int64_t);

/* 0 where there is none. 0 or -1. */
int			 store_find_number(struct store *, const char *,
			    int64_t *);

/* --- store_sqlite_append.c --- */

/* The rows of the batch go to the table, before its commit; and after it. */
void			 store_write_rows(struct store *);
void			 store_rows_committed(struct store *);

/* --- store_sqlite_work.c --- */

/*
 * Charges can only wait until the rows of an older program are read: that is
 * hurried on, in the transaction that is open, which ends here.
 */
enum store_result	 store_hurry(struct store *);

/* Before the commit of a batch. */
void			 store_work(struct store *);

/* --- store_sqlite_log.c --- */

/* What store_start_helper started; the caller's. */
struct keeper		*store_take_helper(void);

/*
 * The disk is full: what can be copied makes room in the log for what comes
 * next.
 */
void			 store_empty_log(struct store *);

/* Before the file is closed: the keeper closes it too. */
void			 store_release_log(struct store *);

/*
 * Has the log copied into the file, when there is enough of it or a second went
 * by. Milliseconds until it wants to be called again, -1: no need.
 */
int			 store_copy_log(struct store *, bool quiet);

/* --- store_sqlite_open.c --- */

/*
 * Makes what is missing and reads what holds for as long as the file is open.
 */
int	store_prepare(struct store *);

/*
 * The runs and corrections are not to be trusted: all rows are the tail again.
 * Whatever is being cleaned begins again.
 */
int	store_forget_runs(struct store *);

/* Drops the older program's index, once nothing needs it. */
int	store_drop_index(struct store *);

/* --- store_sqlite_read.c --- */

/*
 * Under the lock: what others did since the last time. 1: all is known; 0:
 * decisions have to wait, for the file to be opened anew (moved) or for the
 * rows of an older program to be read (behind, and no index).
 */
int	store_sync(struct store *, const struct store_reader *);

/*
 * Whether nothing happened since; for work that tells the cache nothing. 1, 0,
 * -1.
 */
int	store_same(struct store *);

/*
 * Whether the batch asks for dates that the last cleaning deleted, since a
 * clock was wrong or a window is longer now: what the cache has of them is
 * void. As store_sync.
 */
int	store_reach(struct store *, const struct store_batch *,
	    const struct store_reader *);
int	store_read_first(struct store *, struct store_touch *, size_t,
	    size_t *budget, const struct store_reader *);
uint64_t	store_hash(const struct store *, const char *id, size_t idlen);

/* Behind: some more rows of the tail, at most about `max`. */
int	store_catch_up(struct store *, size_t max);

/* The tail in memory is void, and so is what is being made of it. */
void	store_unload(struct store *);

/* --- store_sqlite_runs.c --- */

int	store_read_runs(struct store *);
void	store_free_runs(struct store *);

/* The next job, when one is due; `quiet`: also those that can wait. */
void	store_job_choose(struct store *, bool quiet);

/* Some of it, in a transaction; then whether that was committed. 0 or -1. */
int	store_job_step(struct store *, size_t steps);
void	store_job_over(struct store *, bool committed);
void	store_job_drop(struct store *);

#endif
