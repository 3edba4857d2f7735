#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "ledger/sqlite/bloom.h"
#include "ledger/sqlite/checkpointer.h"
#include "ledger/sqlite/sqlite.h"
#include "ledger/store_shared.h"
#include "ledger/sqlite/memtable.h"
#include "lib/log.h"
#include "lib/str.h"

/*
 * How counts are stored in SQLite, so that a mail costs one row at the end of a
 * table and nothing else.
 *
 * mail_count has the five columns of the older program, which inserts them by
 * position. A row's tag, if it has one, is in mail_tag, by the row's rowid. Ids
 * that other programs insert are folded when they are read.
 *
 * The only index of mail_count has no entries (VACUUM renumbers the rows of a
 * table without any index). Rows are only appended, so the rowids give their
 * order. The counts of rows up to the horizon (a rowid in mail_state) are also
 * in runs. A run (mail_run) holds the counts of all ids over a range of rowids,
 * divided by a hash of the id into parts (mail_part) of a few hundred packed
 * bytes each. Rows after the horizon, the tail, are also in memory; a start
 * reads them again. When the tail is long enough it is written as the next run,
 * a few parts with each batch; the last part moves the horizon. Runs of similar
 * size are merged into larger ones when no charge waits. So
 *
 *	sum of an id = its counts in runs + corrections + rows in the tail
 *
 * and a first reading reads one part of each run that may contain the id.
 *
 * Cleaning deletes rows and leaves the parts alone: a run has the range of
 * dates whose counts are valid, from `since` to `until`. That range is narrowed
 * before the first row is deleted. While rows are being deleted, `oldest` and
 * `newest` in mail_state are the range of dates whose rows are valid. A run
 * that is begun after the ranges were narrowed is not narrowed: its rows count,
 * whatever their date.
 *
 * Corrections (mail_correction) are the changes that other programs made to
 * rows before the horizon. Triggers record and count them; a change of the
 * count makes each ledger drop its cache. The triggers are off for this
 * program's own connections.
 *
 * A database of an older program has its horizon at 0 and a long tail. Until
 * that is written as runs, ids are read by the older program's index; where it
 * is missing, charges wait until the tail is short.
 */
struct store_sizes {
	size_t	tail;		/* rows that become a run */
	size_t	chunk;		/* the same while catching up */
	int64_t	load;		/* most rows of a tail that a start reads */
	int64_t	recent;		/* rows read at a start, for instances */
};
extern struct store_sizes	store_sizes;	/* tests make them small */

/* How much of an id the cache has. */
struct store_cursor {
	bool	loaded;			/* first: store.h */
	union {
		struct {		/* in a first reading */
			int64_t	date;	/* of the last row read */
			int64_t	rowid;	/* the same; 0: none has begun */
			int64_t	horizon;	/* when it began */
		};
		struct {		/* then */
			int64_t	tail;	/* generation of the tail, or 0 */
			int64_t	place;	/* of the id in that tail */
		};
	};
};
_Static_assert(sizeof(struct store_cursor) <= STORE_CURSOR_SIZE,
    "a cursor is too large for the cache");

#define STORE_MERGE		8	/* runs of one level that become one */
/* The number of a part: the run's, then so many bits for the part in it. */
#define STORE_PART_BITS		20

enum statement {
	DO_BEGIN = STORE_STATEMENT__MAX,
	DO_READ,
	DO_COMMIT,
	DO_ROLLBACK,
	DATA_VERSION,
	SCHEMA_VERSION,
	NUMBERS,
	LAST,
	NEWS,
	OLD_ROWS,
	CORRECTIONS,
	RUNS,
	PART,
	UPPER,
	ROWS_FIRST,
	ROWS_ONE,
	ROWS_MANY,
	TAGS_ONE,
	TAGS_MANY,
	VALUE,
	SEE,
	HIT,
	WARNING,		/* HIT + HIT_NEAR, and so the next two */
	SHADOWED,
	LOCKED,
	RUN_NUMBER,
	RUN_NEW,
	RUN_DONE,
	RUN_DISCARD,
	RUN_GONE,
	PART_NEW,
	PARTS_GONE,
	RUNS_CHANGED,
	ROWS_CHANGED,
	ROWS,
	CLEAN_VOID,
	CLEAN_AHEAD,
	CLEAN_AHEAD_ROWS,
	CLEAN_LACKS,
	CLEAN_END,
	CLEAN,
	CLEAN_TAGS,
	CLEAN_VALUES_END,
	CLEAN_VALUES,
	CLEAN_CORRECTIONS,
	CLEAN_RUNS,
	MUCH_FREE,
	PAIR,
	STATEMENT__MAX
};

/* Numbers of mail_state, and what else tells of changes by others. */
struct numbers {
	int64_t		changes;	/* the triggers' count; -1: not seen */
	int64_t		horizon;
	int64_t		oldest;		/* rows before this date, or after */
	int64_t		newest;		/* this, are being deleted */
	int64_t		cleaned;	/* the last cleaning's `oldest` */
	int64_t		runs;		/* count of changes; -1: not seen */
	int64_t		fold;
	uint64_t	key[2];		/* of the hash */
	int64_t		last;		/* the newest row */
	bool		corrected;	/* there are corrections */
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
	int64_t		since;		/* counts outside are deleted */
	int64_t		until;
	struct bloom	filter;
};

/* mail_state's oldest and newest while no cleaning is under way. */
#define STORE_OLDEST	(-INT64_MAX)
#define STORE_NEWEST	INT64_MAX

/*
 * Writing a new run: of the frozen tail, or of several runs, which it replaces.
 * The hashes are divided into stretches. The first step inserts the run, each
 * of the next writes the parts of one stretch, and the last step completes the
 * run. Steps count only once they are committed.
 */
struct job {
	size_t		 parts;		/* stretches; 0: there is no job */
	size_t		 now;		/* steps in the running transaction */
	size_t		 kept;		/* committed steps */
	struct run	 run;		/* the new one */
	int64_t		 began;		/* as in its row */
	int64_t		 upto;		/* of the frozen tail: new horizon */
	struct run	*source[STORE_MERGE];	/* if no tail is frozen */
};

/*
 * How ids of foreign rows are folded (fold_case): as the engine folds those of
 * requests, where the id of a rule begins with the rule's name and a colon.
 */
enum fold {
	FOLD_NONE,
	FOLD_ALL,
	FOLD_VALUE		/* after the first colon, if any */
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
	bool			 full;		/* synchronous = full */
	enum fold		 fold;
	int			 wait;		/* for a lock, at most, ms */
	int64_t			 now;		/* last store_ready, ns */
	int64_t			 looked;	/* last sqlite_look, ns */
	bool			 readonly;	/* and a write failed */
	struct checkpointer		*checkpointer;	/* NULL: none */
	int			 copied;	/* pages of the log copied */
	int64_t			 copy;		/* when that was, ns */
	int64_t			 finished;	/* own last copy, ns */
	int			 largest;	/* size of the log, in pages */
	int64_t			 shrink;	/* next truncation, ns */
	char			 error[256];
	struct log_limit	 hit_failed[HIT_KIND__MAX];

	/* --- the file as it was last seen --- */
	int64_t			 version;	/* data_version; -1: not seen */
	int64_t			 schema;
	struct numbers		 seen;
	int64_t			 reached;	/* the value of seen.cleaned for
						   which the cache was dropped,
						   as a batch needed earlier
						   dates: once is enough */
	bool			 indexed;	/* 1.x's index is there */
	bool			 searched;	/* while `behind`, ids are read
						   by 1.x's index */
	bool			 damaged;	/* the runs are damaged */
	bool			 moved;		/* tables changed: reopen */
	int64_t			 last;		/* the newest row */
	int64_t			 cached;	/* the newest in the cache */

	/* --- counts --- */
	struct run		*run;		/* whole and obsolete ones */
	size_t			 nrun;
	size_t			 runs;		/* room */
	bool			 behind;	/* tail too long to read */
	struct memtable		*tail;		/* NULL: not read yet */
	int64_t			 tails;		/* generation of the tail */
	int64_t			 read;		/* newest row in the tail */
	struct memtable		*frozen;	/* being written as a run */
	struct job		 job;
	struct str		 buffer;
	struct str		 folded;	/* an id */

	/* --- the running batch --- */
	struct store_touch	*touch;
	struct appended		*append;
	size_t			 nappend;
	size_t			 appends;	/* room */
	bool			 failed;
	struct store_reader	 reader;	/* the last batch's */
	int64_t			 batched;	/* when that began, ns */
	int64_t			 rest;		/* no jobs until then, ns */

	/* --- cleaning: where it goes on --- */
	struct str		 clean_id;
	struct str		 clean_value;
};

/* --- store_sqlite_statements.c --- */

extern const char *const	store_statements[STATEMENT__MAX];

/*
 * The first column of the statement's only row. store_find: 1; 0: there is no
 * row, and the number stays; -1. store_one: 0 or -1.
 */
int			 store_find(struct store *, int statement, int64_t *);
int			 store_one(struct store *, enum statement, int64_t *);

/* Steps a statement whose parameters are numbers, as sqlite_step does. */
int			 store_run(struct store *, int statement,
			    size_t count, const int64_t *parameter);

/* Runs a statement that writes. If that fails, the batch's commit fails. */
void			 store_write(struct store *, int statement);

int			 store_put_number(struct store *, const char *,
			    int64_t);

/* Missing numbers are 0. 0 or -1. */
int			 store_read_numbers(struct store *, struct numbers *);

/* The hash of an id, by which runs and the tail find it. */
uint64_t		 store_hash(const struct store *, const char *id,
			    size_t idlen);

/* --- store_sqlite.c --- */

/* Opens the file if it is closed, or if it was replaced. */
enum store_result	 store_ready(struct store *);

/* The same, and begins a transaction of its own, to end with store_end. */
enum store_result	 store_begin_own(struct store *);

/* Rolls back an open transaction and keeps the reason of its fault. */
enum store_result	 store_failed(struct store *);

/* Commits if `good`; otherwise, or if that fails, does as store_failed. */
enum store_result	 store_end(struct store *, bool good);

/* Starts the checkpointer: struct store_optional. */
void			 store_start_helper(struct role_start *,
			    struct store_opening *);

/*
 * Starts a checkpoint when the log has grown enough or a second has passed.
 * `quiet`: no charge waits, so the ledger may do the work itself. Returns the
 * milliseconds until it should be called again, -1: no need.
 */
int			 store_copy_log(struct store *, bool quiet);

/* --- store_sqlite_work.c --- */

/*
 * Called when charges must wait until an older program's rows are read: reads
 * more of them, in the open transaction, which it ends.
 */
enum store_result	 store_hurry(struct store *);

/*
 * Does a part of the current job, at the end of a batch, before its rows are
 * written.
 */
void			 store_work(struct store *);

/*
 * Below, -1 is a fault: the transaction is still open, and the caller ends it
 * with store_failed.
 */

/* --- store_sqlite_open.c --- */

/*
 * Creates what is missing, and reads what stays the same while the file is
 * open.
 */
int	store_prepare(struct store *);

/*
 * Discards the runs and corrections, so that all rows are the tail again. A
 * cleaning that is under way starts again.
 */
int	store_forget_runs(struct store *);

/* Drops the older program's index, once it is not needed. */
int	store_drop_index(struct store *);

/* --- store_sqlite_read.c --- */

/*
 * Under the lock: reads what others did since the last time. 1: all is known;
 * 0: decisions must wait: s->moved is set, and the file has to be reopened, or
 * rows of an older program have to be read (s->behind, and not s->searched).
 */
int	store_sync(struct store *, const struct store_reader *);

/*
 * Whether the batch needs dates that the last cleaning deleted, because a clock
 * was wrong or a window is longer now: then the cache is dropped. Returns as
 * store_sync does.
 */
int	store_reach(struct store *, const struct store_batch *,
	    const struct store_reader *);

/*
 * Goes on with the first reading of a touch that is not loaded, and subtracts
 * the rows that it has read one by one from *budget.
 */
int	store_read_first(struct store *, struct store_touch *, size_t index,
	    size_t *budget, const struct store_reader *);

/* While behind: reads more rows into the tail, about `max` at most. */
int	store_catch_up(struct store *, size_t max);

/* --- store_sqlite_runs.c --- */

/* Drops the tail, and the job that writes it. */
void	store_unload(struct store *);

/*
 * Reads the list of runs, with their filters: s->run. Drops the tail too if
 * another process took over the run that it is written to.
 */
int	store_read_runs(struct store *);
void	store_free_runs(struct store *);

/*
 * Opens a part of a run. 1: `pack` has its ids, and store_close_part must be
 * called, with the last result of pack.h; 0: the part has no ids; -1: a fault.
 */
int	store_open_part(struct store *, const struct run *, size_t part,
	    struct pack *);

/* `more` is the last result of pack.h. -1: the part is damaged. */
int	store_close_part(struct store *, int more);

/*
 * Whether there is a job; otherwise chooses one that is due, or if `quiet` one
 * that can wait.
 */
bool	store_job_choose(struct store *, bool quiet);

/*
 * store_job_step does some steps of the job, in a transaction: 0 or -1. After
 * the last one (store_job_done) the transaction must end. Then store_job_over
 * must be told whether it was committed.
 */
int	store_job_step(struct store *, size_t steps);
bool	store_job_done(const struct store *);
void	store_job_over(struct store *, bool committed);

/* A run to be deleted, or NULL. */
struct run	*store_obsolete_run(const struct store *);

/*
 * Deletes some parts of a run, or the run if it has none, and then drops it
 * from memory: if the transaction fails, the runs must be read again. 0 or -1.
 */
int	store_delete_run(struct store *, struct run *);

#endif
