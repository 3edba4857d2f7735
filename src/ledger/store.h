#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "ipc/message.h"
#include "ledger/pack.h"
#include "role/role.h"

/*
 * One database behind one interface; each ledger links exactly one of
 * store_sqlite.c, store_pgsql.c, store_mysql.c. A batch is one transaction:
 *
 *	store_begin	locks, and reads what the cache does not know yet
 *	store_append	queues rows, store_see values, store_hit hits
 *	store_commit	writes all of it; only then may anything be answered,
 *			or when store_flush says so
 *
 * Ids arrive as they are stored (ledger/id.h). All calls block, at most about
 * settings->db_timeout.
 */
struct store;

enum store_result {
	STORE_OK,
	STORE_BUSY,		/* locked; nothing happened, try again */
	STORE_FAILED,		/* this batch is void; the store can go on */
	STORE_LOST		/* the connection is gone: the process ends */
};

/*
 * One recorded row, as the database has it. What takes something back is a row
 * too, with a negative amount: the sum of an id over a window is all that
 * counts, and every daemon learns of it like of any other row.
 */
struct store_row {
	const char	*id;
	size_t		 idlen;
	int64_t		 date;		/* seconds since 1970 */
	int64_t		 amount;	/* recipient_count */
	const char	*instance;	/* "" : none ("empty" in the table) */
	size_t		 instancelen;
	int64_t		 tag;		/* struct msg_charge */
	const char	*state;		/* protocol_state */
	size_t		 statelen;
};

/*
 * How far the cache knows one id; kept with the id by the cache, zeroed at
 * first and whenever what it knew was dropped. All but `loaded` is the store's.
 */
struct store_cursor {
	int64_t		seen;	/* rows up to this number are in the cache */
	int64_t		position; /* not 0: a first reading goes on there */
	int64_t		base;	/* what it began with */
	uint32_t	rows;	/* told since sums of it were kept */
	bool		asked;	/* whether there are such sums */
	bool		loaded;	/* the first reading is complete */
};

/* An id that a batch is about. */
struct store_touch {
	const char		*id;
	size_t			 idlen;
	int64_t			 since;		/* oldest second wanted */
	struct store_cursor	*cursor;
};

/* A value of an id that counts different ones (CHARGE_DISTINCT). */
struct store_value {
	const char	*id;
	size_t		 idlen;
	const char	*value;		/* as stored, like an id */
	size_t		 valuelen;
	int64_t		 date;		/* set: when last seen; -1: never */
};

struct store_batch {
	struct store_touch	*touch;		/* in no order, no id twice */
	size_t			 ntouch;
	struct store_value	*value;		/* no (id, value) twice */
	size_t			 nvalue;
	/* Rows that may be read for ids that are not loaded, in all. */
	size_t			 budget;
	int64_t			 recent;	/* instances wanted from here */
	bool			 forgotten;	/* and not all are there */
};

/* What store_begin tells the cache. */
struct store_reader {
	/*
	 * A row of touch[i]'s first reading. Where single rows are not kept it
	 * is a sum for one second, without instance. Never row->date <
	 * touch[i].since.
	 */
	void	(*first)(void *, size_t i, const struct store_row *);

	/*
	 * A row that is new to this daemon, of any id: also of ids that nobody
	 * touches, and of ids whose first reading is not complete, which must
	 * begin it anew (the cursor is zeroed by the callee). After a start:
	 * the rows of the last CACHE_INSTANCE_SECONDS, as many as can be read
	 * quickly.
	 */
	void	(*news)(void *, const struct store_row *);

	/* What was told of touch[i]'s first reading is void: it begins anew. */
	void	(*again)(void *, size_t i);

	/* Somebody changed or removed rows: all that is cached is void. */
	void	(*changed)(void *);

	/*
	 * What is known of touch[i], in the order of time, each second once;
	 * how many. Until the next call.
	 */
	size_t	(*counts)(void *, size_t i, const struct pack_count **);
	void	 *arg;
};

/*
 * Before store_open: starts what a backend needs beside the ledger (SQLite: the
 * keeper of its log). Without it, or when it cannot be started, the ledger does
 * that itself.
 */
void			 store_start_helper(struct role_start *,
			    const struct settings *);

/*
 * Connects or opens, takes over what an older program left (ledger/schema.h),
 * prepares statements. NULL with a printable reason in `reason` where only the
 * administrator can help, or, with *away set, where a server is not there now
 * and the next process may find it. An SQLite file that is locked, full or
 * damaged is none of both: calls fail until it is well; nor is one that we may
 * not write to, where `replaces` (struct msg_identity): it was well before.
 * `directory` is the descriptor of that file's directory, -1 for the others.
 */
struct store		*store_open(const struct settings *, int directory,
			    bool replaces, bool *away, char *reason, size_t);
void			 store_close(struct store *);

/* The sandbox that this backend can live in once it is open. */
enum sandbox_role	 store_sandbox(void);

/*
 * The descriptor of the connection, for poll(2), or -1. When nothing is asked,
 * input there may be its end; store_ended looks, and store_error says why.
 */
int			 store_fd(const struct store *);
bool			 store_ended(struct store *);

/* What was entered, in words for the log, such as "sqlite db.sqlite3". */
const char		*store_description(const struct store *);

/* The last fault in words, printable, static. */
const char		*store_error(const struct store *);

/*
 * Begins a transaction in which the touched ids belong to this daemon alone,
 * and reads rows newer than each cursor. For ids whose first reading is not
 * complete it reads more of their rows: about `budget` in all, but some of
 * each.
 */
enum store_result	 store_begin(struct store *, struct store_batch *,
			    const struct store_reader *);

/*
 * The structs are copied where they have to wait for store_commit; the bytes
 * that they point to stay where they are until then. `touch` is the index of
 * the row's id.
 */
void			 store_append(struct store *, size_t touch,
			    const struct store_row *);
void			 store_see(struct store *, const struct store_value *);

/*
 * One more hit of (id, seconds): in limit_report, or, of HIT_NEAR, in
 * limit_warning.
 */
void			 store_hit(struct store *, enum hit_kind,
			    const char *id, size_t idlen, int64_t seconds);

/*
 * After STORE_OK the cursors of what was appended have been moved past it.
 * Anything else: nothing was written (STORE_LOST: not known), the cache drops
 * the touched ids. *later: may this be a commit that others see, and that is
 * safe from a loss of power only after store_flush? Set to whether it is one.
 */
enum store_result	 store_commit(struct store *, bool *later);
void			 store_rollback(struct store *);

/*
 * Commits that are not safe yet, at most one at a time, so that a next batch
 * can begin meanwhile, where the database can do that (store_overlaps).
 * store_on_flushed's function is called once it is safe, after store_commit
 * has returned, also from within other calls; it may answer, and call nothing
 * of this file. store_flush looks whether it is, or waits for that: STORE_OK,
 * or STORE_LOST.
 */
bool			 store_overlaps(const struct store *);
enum store_result	 store_flush(struct store *, bool wait);
void			 store_on_flushed(struct store *, void (*)(void *),
			    void *);

/* For poll(2) while something is not safe yet; -1: nothing. */
int			 store_flush_fd(const struct store *);

/*
 * Runs sql_limits_by_id for each of `list`, outside a transaction, in one round
 * trip. `query` has its placeholders in this backend's style already
 * (lookup_query).
 */
struct store_limits {
	const char	*id;
	size_t		 idlen;
	char		*text;		/* set: the caller's; NULL: no row */
	bool		 failed;	/* set: the query did */
};
enum store_result	 store_limits(struct store *, const char *query,
			    struct store_limits *list, size_t);

/* How this backend writes parameter 1: "?1", "$1" or "?". */
const char		*store_placeholder(void);

/* --- cleaning and reporting --- */

/*
 * How cleaning gives way to decisions: a step is made to take no longer than
 * `step` ns, and `rest` times what it took nothing follows.
 */
struct store_pace {
	int64_t	step;
	int	rest;
};
extern const struct store_pace	store_pace;

/* The dates that cleaning keeps: from `first` to `last`, both included. */
struct store_kept {
	int64_t	first;
	int64_t	last;
};

/*
 * Goes on deleting rows and values with a date outside of `kept`, in one short
 * transaction that looks at no more than about `max` rows. *position is 0 at
 * first, then what the last call left there; -1: all is done. `kept` may change
 * between the calls, when the clock does.
 */
enum store_result	 store_clean(struct store *, const struct store_kept *,
			    size_t max, int64_t *position, int64_t *deleted);

/*
 * Gives space back to the file system, a little with each call and where that
 * needs no long lock. *done: there is no more to give.
 */
enum store_result	 store_reclaim(struct store *, bool *done);

/* Every row of one kind, most hits first, each (id, seconds) once. */
enum store_result	 store_hits(struct store *, enum hit_kind,
			    void (*each)(void *, const char *id, size_t idlen,
			    int64_t seconds, int64_t hits), void *);

/* Takes `hits` off (id, seconds), and the row away when none is left. */
enum store_result	 store_hits_forget(struct store *, enum hit_kind,
			    const char *id, size_t idlen, int64_t seconds,
			    int64_t hits);

/* --- what an administrator changes --- */

/* Every override that holds at `now`. */
enum store_result	 store_overrides(struct store *, int64_t now,
			    void (*each)(void *, const struct override *),
			    void *);

/*
 * Each in the place of what there was of its kind and id, and of what is over
 * at `now`, all or none; ids as they are stored, `who` and `reason` are UTF-8
 * without NUL. One with an `until` that has passed is only taken away.
 */
enum store_result	 store_set_overrides(struct store *,
			    const struct override *, size_t, int64_t now);

/*
 * Between store_begin and store_commit, and before the batch sees a value of
 * this id: the values of an id that counts different ones have never been seen.
 * Unless STORE_OK, the caller rolls the batch back.
 */
enum store_result	 store_forget_values(struct store *, const char *id,
			    size_t idlen);

/*
 * Numbers of ours that outlive the process, such as "report": when it was sent.
 */
enum store_result	 store_number(struct store *, const char *name,
			    int64_t *);
enum store_result	 store_set_number(struct store *, const char *name,
			    int64_t);

/*
 * Work that can wait for a quiet moment, a millisecond or so of it; called when
 * no charge waits. It may tell the reader of the last batch what others did
 * (news, changed). Milliseconds until it wants to be called again, -1: there is
 * none left.
 */
int			 store_idle(struct store *);

#endif
