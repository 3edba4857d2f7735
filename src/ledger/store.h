#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"
#include "decision/habit.h"
#include "decision/override.h"
#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ledger/pack.h"
#include "role/role.h"

/*
 * One database behind one interface. Each ledger links the implementation of
 * one folder: sqlite/, pgsql/ or mysql/. doc/hacking.md, "How to add a
 * database", says how to write another one. A batch is one transaction:
 *
 *	store_begin	locks the ids, and reads the rows that the cache lacks
 *	store_append	queues rows, store_see values, store_learn pairs,
 *			store_hit hits
 *	store_commit	writes all of them; answers may be sent after it, or, if
 *			it leaves *later true, once the commit is durable
 *
 * What store_begin reports is committed. For a touched id that is loaded it is
 * also complete: no other daemon commits rows of this id before this batch has
 * ended. Where a database cannot prevent that, it finds the conflict, at the
 * commit at the latest, and the result is STORE_BUSY. After STORE_BUSY of any
 * call the caller may begin the same batch again: what was reported stays true,
 * and the cursors say how far. The ledger does so after a random pause, until
 * the deadlines of the charges.
 *
 * Ids are in their stored form (ledger/id.h). Dates and `now` are seconds since
 * 1970. What a callback is given is valid until it returns.
 *
 * Each wait for a server or for a lock ends after settings->db_timeout at the
 * latest, and a call has only a few such waits. Other work can take longer:
 * store_open upgrades tables. On SQLite store_close copies the log into the
 * file, and store_idle and store_clean drop the index of 1.x.
 */
struct store;

enum store_result {
	STORE_OK,
	/*
	 * Locked, in conflict with another daemon, or the store has to read
	 * other rows first. Nothing was written; the same may be tried again.
	 */
	STORE_BUSY,

	/* A statement failed; nothing was written. Later calls may work. */
	STORE_FAILED,

	/* The connection is gone: the process ends. */
	STORE_LOST
};

/*
 * One recorded row. Taking back an amount is a row too, with a negative amount:
 * only the sum of an id over a window counts, and every daemon reads such a row
 * like any other.
 */
struct store_row {
	const char	*id;
	size_t		 idlen;
	int64_t		 date;		/* seconds since 1970 */
	int64_t		 amount;	/* mails, as the rule counts them */
	const char	*instance;	/* "": none ("empty" in the table) */
	size_t		 instancelen;
	int64_t		 tag;		/* struct msg_charge */
	const char	*state;		/* protocol_state */
	size_t		 statelen;
};

/*
 * How much of one id the cache has. Each backend defines the struct, in at most
 * STORE_CURSOR_SIZE bytes, with `bool loaded` as its first member: the first
 * reading of the id is complete. The cache stores a cursor with its id. It
 * zeroes the cursor at first and when it drops the id's counts: then nothing is
 * known, and the next store_begin begins a first reading. Otherwise the cache
 * only passes cursors and reads `loaded`; only cache_complete sets it, for a
 * cache without a store.
 */
#define STORE_CURSOR_SIZE	32
struct store_cursor;

/* An id that a batch touches. */
struct store_touch {
	const char		*id;
	size_t			 idlen;
	int64_t			 since;		/* oldest second needed */
	struct store_cursor	*cursor;
	struct cache_id		*cached;	/* the caller's */
};

/* A value of an id that counts distinct values (CHARGE_DISTINCT). */
struct store_value {
	const char	*id;
	size_t		 idlen;
	const char	*value;		/* as stored, like an id */
	size_t		 valuelen;
	int64_t		 date;		/* last seen; -1: never. store_begin
					   sets it, store_see writes it */
};

/*
 * What a rule that counts new recipients has learned of a key (`who`): that it
 * sends from a network, or to a recipient (`what`). `who` and `what` are keyed
 * hashes (ledger/habits.h).
 */
enum store_pair_kind {
	PAIR_NETWORK,
	PAIR_RECIPIENT,
	PAIR_RULE,		/* `who`: the rule; `known.first`: when it was
				   first seen */
	PAIR_KIND__MAX
};

struct store_pair {
	int64_t			who;
	int64_t			what;
	uint8_t			kind;	/* enum store_pair_kind */
	struct habit_pair	known;
	bool			changed;	/* no function below uses it */
};

struct store_batch {
	struct store_touch	*touch;		/* in no order, no id twice */
	size_t			 ntouch;
	struct store_value	*value;		/* no (id, value) twice */
	size_t			 nvalue;
	struct store_pair	*pair;		/* none twice; store_begin sets
						   `known` */
	size_t			 npair;
	/*
	 * Rows to read for all ids together that are not loaded; more if there
	 * are so many ids that a few rows of each exceed it.
	 */
	size_t			 budget;
	/* Instances are needed of rows with this date or a later one. */
	int64_t			 recent;
	/* The cache may have evicted such instances: report them again. */
	bool			 forgotten;
};

/* The functions by which store_begin fills the cache. */
struct store_reader {
	/*
	 * A row of touch[i]'s first reading. It may be the sum of one second,
	 * without an instance. row->date is at least touch[i].since.
	 */
	void	(*first)(void *, size_t i, const struct store_row *);

	/*
	 * A row that is new to this daemon. The batch need not touch its id.
	 * If the first reading of the id is not complete, the callee zeroes
	 * the cursor, so that this reading begins again. The first readings of
	 * SQLite report no instances: so after a start, and after `changed`, it
	 * reports the newest rows as news, as many as it can read quickly.
	 */
	void	(*news)(void *, const struct store_row *);

	/* Drop what is cached of touch[i]: its first reading begins again. */
	void	(*again)(void *, size_t i);

	/* Another program changed or deleted rows: drop everything cached. */
	void	(*changed)(void *);

	/*
	 * The counts of touch[i], oldest first, each second once; returns their
	 * number. They are valid until the next call of any of these functions.
	 */
	size_t	(*counts)(void *, size_t i, const struct pack_count **);
	void	 *arg;
};

/* --- what not every backend has --- */

/*
 * Commits that overlap: the next batch may begin before this one is durable.
 */
struct store_overlap {
	/*
	 * Whether a large batch is better written in two halves, so that the
	 * second overlaps the first; NULL: never.
	 */
	bool	(*halves)(const struct store *);

	/*
	 * Sets the function that is called as soon as the commit is durable:
	 * never inside store_commit, perhaps inside another call of the store.
	 * It may send answers, but must not call the store.
	 */
	void	(*on_flushed)(struct store *, void (*)(void *), void *);

	/*
	 * Checks whether the commit is durable, with `wait` after waiting for
	 * that; if it is, calls the function above. STORE_OK, also if it is not
	 * durable yet; STORE_LOST: it is unknown whether it will ever be.
	 */
	enum store_result	(*flush)(struct store *, bool wait);

	/*
	 * A descriptor for poll(2), or -1. Input there: call `flush`; a commit
	 * is durable, or the connection that makes it so was closed.
	 */
	int	(*fd)(const struct store *);
};

/* What store_open opens, and for what. */
struct store_opening {
	const struct settings	*settings;	/* not used later */
	/*
	 * The descriptor of the SQLite file's directory, -1 for servers. It
	 * stays the caller's and must stay open until store_close.
	 */
	int			 directory;
	bool			 replaces;	/* struct msg_identity */
	/*
	 * An engine is served: opens a second connection to a server, for
	 * commits that overlap. All works without it, but slower.
	 */
	bool			 serves;
	struct checkpointer	*checkpointer;	/* by start_helper, or NULL:
						   store_open takes it over */
};

/*
 * Each backend has one such struct. A function that it does not need is NULL.
 */
struct store_optional {
	/*
	 * A ledger that serves calls this before store_open, with what it gives
	 * store_open: starts the checkpointer of the log. All works without it,
	 * but slower.
	 */
	void	(*start_helper)(struct role_start *, struct store_opening *);

	/* All members but `halves`, or none. */
	struct store_overlap	overlap;

	/*
	 * Whether others may have written rows during the last 50 batches; true
	 * before there were so many. NULL: there is no server that daemons
	 * share.
	 */
	bool	(*shared)(const struct store *);

	/*
	 * Returns a little free space to the file system with each call, where
	 * that needs no long lock. *done: there is no more.
	 */
	enum store_result	(*reclaim)(struct store *, bool *done);
};
extern const struct store_optional	store_optional;

/* --- the connection --- */

/*
 * Connects or opens, upgrades the tables of an older program
 * (ledger/schema.h), prepares statements. Returns NULL on failure, with a
 * printable reason in `reason`. *away: the server is away, and the next
 * process may reach it; otherwise only the administrator can mend it. An
 * SQLite file that is locked, full or damaged is not an error here: calls fail
 * until it is usable. Nor is a file that may not be written, if `replaces`
 * says that an earlier ledger could.
 */
struct store		*store_open(const struct store_opening *, bool *away,
			    char *reason, size_t);
void			 store_close(struct store *);

/* The sandbox role of this backend once it is open. */
extern const enum sandbox_role	store_sandbox;

/*
 * The descriptor of the connection, for poll(2), or -1. Between calls, input
 * there may mean that the connection was closed; store_ended tells whether it
 * was, and store_error why.
 */
int			 store_fd(const struct store *);
bool			 store_ended(struct store *);

/* A description of the database for the log, such as "sqlite db.sqlite3". */
const char		*store_description(const struct store *);

/* The last fault as printable text, valid until the next call; "": none. */
const char		*store_error(const struct store *);

/*
 * Begins a transaction that holds the locks of the touched ids, and reads the
 * rows newer than each cursor. For ids that are not loaded it reads the next
 * rows of their first readings (`budget`). STORE_OK: store_commit or
 * store_rollback must follow. After any other result the transaction is over.
 */
enum store_result	 store_begin(struct store *, struct store_batch *,
			    const struct store_reader *);

/*
 * The store copies the structs; the bytes that they point to must stay valid
 * until store_commit or store_rollback. `touch` is the index in batch->touch.
 */
void			 store_append(struct store *, size_t touch,
			    const struct store_row *);
void			 store_see(struct store *, const struct store_value *);

/* In the order of who, kind, what, each once. */
void			 store_learn(struct store *, const struct store_pair *);

/* Adds one hit of (id, seconds), to the table of its kind. */
void			 store_hit(struct store *, enum hit_kind,
			    const char *id, size_t idlen, int64_t seconds);

/*
 * After STORE_OK the cursors are moved past the appended rows. After any other
 * result nothing was written (STORE_LOST: the result is unknown), and the
 * transaction is over. STORE_BUSY: another daemon committed first, and the
 * cursors are still where store_begin left them, so that the caller may begin
 * the same batch again. After STORE_FAILED the cache must drop the touched ids.
 *
 * With *later set the store may commit without waiting for the disk: others see
 * the rows, but a loss of power can undo them until the commit is durable. On
 * return *later says whether on_flushed's function will be called for this
 * commit. It is false if the commit is durable already, or as durable as the
 * database is configured to make it (SQLite: synchronous = normal).
 */
enum store_result	 store_commit(struct store *, bool *later);
void			 store_rollback(struct store *);

/*
 * Runs an administrator's query for each id in `list`, outside a transaction,
 * in one round trip where the query permits it; `text` is the first column of
 * the first row, NULL without a row. `query` has this backend's placeholders
 * already (lookup_query). After `timeout` milliseconds, 0: db_timeout, the
 * queries that are not done fail. After any result but STORE_OK all queries
 * count as failed, whatever `failed` says.
 */
struct store_found {
	const char	*id;
	size_t		 idlen;
	char		*text;		/* NULL; then owned by the caller */
	bool		 failed;	/* false; true if the query fails */
};
enum store_result	 store_look_up(struct store *, const char *query,
			    int64_t timeout, struct store_found *list, size_t);

/* How this backend writes parameter 1: "?1", "$1" or "?". */
extern const char *const	store_placeholder;

/* --- cleaning and reporting --- */

/*
 * How cleaning yields to decisions: a step should take no longer than `step`
 * ns, and is followed by a pause of `rest` times its duration.
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
 * Deletes the next rows and values with a date outside of `kept`, in one short
 * transaction that looks at about `max` rows. *position is 0 at first, then the
 * value that the last call left; -1: all is done. *deleted: how many rows of
 * mail_count. `kept` may be wider in the next call, after a change of the
 * clock, but never narrower.
 */
enum store_result	 store_clean(struct store *, const struct store_kept *,
			    size_t max, int64_t *position, int64_t *deleted);

/*
 * Calls `each` for the next rows of mail_count, about `max` of them, in the
 * order in which they were recorded or nearly so. *position is 0 at first, then
 * the value that the last call left; -1: there are no more. Rows that come
 * meanwhile may be missed. The ledger that calls this decides nothing.
 */
enum store_result	 store_rows(struct store *, size_t max,
			    int64_t *position, void (*each)(void *,
			    const char *id, size_t idlen, int64_t date,
			    int64_t amount), void *);

/*
 * Calls `each` for every row of one kind, most hits first, each (id, seconds)
 * once.
 */
enum store_result	 store_hits(struct store *, enum hit_kind,
			    void (*each)(void *, const char *id, size_t idlen,
			    int64_t seconds, int64_t hits), void *);

/*
 * Subtracts `hits` from (id, seconds), and deletes the row when none are left.
 */
enum store_result	 store_hits_forget(struct store *, enum hit_kind,
			    const char *id, size_t idlen, int64_t seconds,
			    int64_t hits);

/* --- report_user: table mail_notice --- */

#define STORE_NOTICES_MAX	100	/* an hour, of all daemons */

enum store_claim {
	STORE_NOTICE_NOT,	/* claimed or left less than a day ago */
	STORE_NOTICE_LEFT,	/* too many in an hour: for the report */
	STORE_NOTICE_OURS	/* claimed: to be sent */
};

struct store_notice {
	const char		*login;	/* printable ASCII, of addressee.h */
	size_t			 len;
	enum store_claim	 claim;		/* out */
};

/* Claims the logins, in a transaction of its own. */
enum store_result	 store_claim_notices(struct store *,
			    struct store_notice *, size_t, int64_t now);

/*
 * Calls `each` for the logins that were left (STORE_NOTICE_LEFT) until `now`.
 * store_forget_left marks these as reported.
 */
enum store_result	 store_left_notices(struct store *, int64_t now,
			    void (*each)(void *, const char *login, size_t len),
			    void *);
enum store_result	 store_forget_left(struct store *, int64_t now);

/* --- the refusals of policyctl: table mail_refusal --- */

/* A row: numbers and texts, in the order of the columns below. */
#define STORE_REFUSAL_COLUMNS						\
	"date, number, is_first, times, shadow, n, recipients, id,"	\
	" rule, kind, windows, login, sender, recipient, client,"	\
	" client_name, state, queue_id, instance"

enum store_refusal_number {
	STORE_REFUSAL_DATE,
	STORE_REFUSAL_NUMBER,
	STORE_REFUSAL_FIRST,
	STORE_REFUSAL_TIMES,
	STORE_REFUSAL_SHADOW,
	STORE_REFUSAL_N,
	STORE_REFUSAL_RECIPIENTS,
	STORE_REFUSAL_NUMBERS
};

enum store_refusal_text {
	STORE_REFUSAL_ID,
	STORE_REFUSAL_RULE,
	STORE_REFUSAL_KIND,
	STORE_REFUSAL_WINDOWS,
	STORE_REFUSAL_TEXT,	/* the first of enum refusal_text */
	STORE_REFUSAL_TEXTS = STORE_REFUSAL_TEXT + REFUSAL_TEXT__MAX
};

struct store_refusal {
	int64_t		 number[STORE_REFUSAL_NUMBERS];
	const char	*text[STORE_REFUSAL_TEXTS];	/* UTF-8 without NUL */
	size_t		 len[STORE_REFUSAL_TEXTS];
};

/*
 * Writes rows in a transaction of their own; one whose date and number are
 * there already is not written again. *added: how many were written.
 */
enum store_result	 store_add_refusals(struct store *,
			    const struct store_refusal *, size_t,
			    int64_t *added);

/* A piece of the rows, the newest first. */
struct store_page {
	const char	*id;		/* only of this id; NULL: of all */
	size_t		 idlen;
	int64_t		 since;		/* the oldest date */
	int64_t		 date;		/* rows before (date, number) */
	int64_t		 number;
	size_t		 max;		/* rows */
};

/* Calls `each` for at most `max` rows. Fewer: there are no more. */
enum store_result	 store_refusals(struct store *,
			    const struct store_page *,
			    void (*each)(void *, const struct store_refusal *),
			    void *);

/*
 * Deletes at most `max` rows: with a date outside of `kept`, or, with NULL,
 * those that are not the first of their id and minute, the oldest first, and if
 * there are none of these, the oldest.
 */
enum store_result	 store_clean_refusals(struct store *,
			    const struct store_kept *, size_t max,
			    int64_t *deleted);
enum store_result	 store_count_refusals(struct store *, int64_t *);

/* --- what an administrator changes --- */

/*
 * Calls `each` for every override in force at `now`. `batch`: the call is
 * between store_begin and store_commit.
 */
enum store_result	 store_overrides(struct store *, bool batch,
			    int64_t now, void (*each)(void *,
			    const struct override *), void *);

/*
 * Between store_begin and store_commit: writes overrides. Each replaces the
 * stored one of its kind and id; if it ends at or before `now`, that is only
 * deleted. `who` and `reason` are UTF-8 without NUL. Unless STORE_OK, the
 * caller must roll the batch back.
 */
enum store_result	 store_set_overrides(struct store *,
			    const struct override *, size_t, int64_t now);

/* A step of cleaning: deletes those that ended before second `before`. */
enum store_result	 store_clean_overrides(struct store *, int64_t before);

/*
 * Forgets every value of an id that counts distinct values. Call it between
 * store_begin and store_commit, before the batch records a value of the id.
 * Unless STORE_OK, the caller must roll the batch back.
 */
enum store_result	 store_forget_values(struct store *, const char *id,
			    size_t idlen);

/* --- pairs, each call a transaction of its own --- */

/* Calls `each` for every pair of this key and kind, with `what` as the hash. */
enum store_result	 store_pairs(struct store *, int64_t who,
			    enum store_pair_kind, void (*each)(void *,
			    const struct habit_entry *), void *);

/*
 * Writes pairs, which replace those that are stored, or deletes them: all or
 * none.
 */
enum store_result	 store_set_pairs(struct store *,
			    const struct store_pair *, size_t);
enum store_result	 store_drop_pairs(struct store *,
			    const struct store_pair *, size_t);

/* Deletes the pairs of a key that were first seen at `since` or later: *n. */
enum store_result	 store_forget_pairs(struct store *, int64_t who,
			    int64_t since, int64_t *n);

/*
 * A step of cleaning: deletes those of the next keys, about `max` pairs, that
 * were last used before kept->first or first seen after kept->last. *who is
 * INT64_MIN at first, then what the last call left; INT64_MAX: all is done.
 */
enum store_result	 store_clean_pairs(struct store *,
			    const struct store_kept *, size_t max,
			    int64_t *who, int64_t *deleted);

/*
 * Numbers in mail_state, such as "report", the time of the last report. A
 * missing one reads as 0.
 */
enum store_result	 store_number(struct store *, const char *name,
			    int64_t *);
enum store_result	 store_set_number(struct store *, const char *name,
			    int64_t);

/*
 * Stores *value if nothing is stored under this name; then sets *value to what
 * is stored.
 */
enum store_result	 store_first_number(struct store *, const char *name,
			    int64_t *value);

/*
 * Does a step of background work; called when no charge waits. A step takes
 * about a millisecond, but dropping the index of 1.x (SQLite) takes a second
 * for some millions of rows. It may report to the reader of the last batch what
 * others did (news, changed). Returns the milliseconds until it should be
 * called again, -1: there is nothing to do before the next batch.
 */
int			 store_idle(struct store *);

#endif
