#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/settings.h"

/*
 * One database behind one interface; each ledger links exactly one of store_sqlite.c,
 * store_pgsql.c, store_mysql.c. A batch is one transaction:
 *
 *	store_begin	locks, and reads what the cache does not know yet
 *	store_append	queues rows, take-backs and hits (no round trip of their own)
 *	store_commit	writes all of it; only then may anything be answered
 *
 * Ids arrive as they are stored (ledger/id.h). All calls block, at most about
 * settings->db_timeout.
 */
struct store;

enum store_result {
	STORE_OK,
	STORE_BUSY,		/* locked by somebody; nothing happened, try again */
	STORE_FAILED,		/* this batch is void; the store can go on */
	STORE_LOST		/* the connection is gone: the process ends */
};

/* One recorded row, as the database has it. */
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

/* How far the cache knows one id; kept with the id by the cache, zeroed at first. */
struct store_cursor {
	int64_t	seen;		/* rows up to this sequence number are in the cache */
	int64_t	position;	/* where an unfinished first reading goes on */
	int64_t	until;		/* its end */
	bool	loaded;		/* the first reading is complete */
};

/* An id that a batch is about. */
struct store_touch {
	const char		*id;
	size_t			 idlen;
	int64_t			 since;		/* first reading: oldest second wanted */
	struct store_cursor	*cursor;
};

/* What store_begin tells the cache. */
struct store_reader {
	/* A row that the cache has not seen; also of ids nobody touches. */
	void	(*row)(void *, const struct store_row *);
	/* Somebody changed or removed rows: nothing cached can be trusted any more. */
	void	(*changed)(void *);
	void	 *arg;
};

/*
 * Connects or opens, takes over what an older program left (ledger/schema.h), prepares
 * statements. NULL with a printable reason in `reason`. `directory` is the descriptor
 * of the SQLite file's directory, -1 for the others.
 */
struct store		*store_open(const struct settings *, int directory,
			    char *reason, size_t);
void			 store_close(struct store *);

/* What was entered, in words for the log, such as "sqlite db.sqlite3". */
const char		*store_description(const struct store *);

/* The last fault in words, printable, static. */
const char		*store_error(const struct store *);

/*
 * Begins a transaction in which the touched ids belong to this daemon alone, and reads
 * rows newer than each cursor, or, for an id whose first reading is not complete, up to
 * `budget` more rows of it. touch[] is in no order and names no id twice.
 */
enum store_result	 store_begin(struct store *, struct store_touch *, size_t,
			    size_t budget, const struct store_reader *);

void			 store_append(struct store *, const struct store_row *);

/* Forgets the rows of this id and instance (count_mode 0). */
void			 store_take_back(struct store *, const struct store_row *);

/* One more hit of (id, seconds) in limit_report. */
void			 store_hit(struct store *, const char *id, size_t idlen,
			    int64_t seconds);

/*
 * After STORE_OK the cursors of what was appended have been moved past it. Anything
 * else: nothing was written (STORE_LOST: not known), the cache drops the touched ids.
 */
enum store_result	 store_commit(struct store *);
void			 store_rollback(struct store *);

/*
 * Runs sql_limits_by_id (`query` as configured, its placeholder in any style) for one
 * id, outside a transaction. STORE_OK with *text NULL when there is no row; the
 * caller frees *text.
 */
enum store_result	 store_limits(struct store *, const char *query, const char *id,
			    size_t idlen, char **text);

/* --- cleaning and reporting --- */

/*
 * Deletes up to `max` rows recorded before `before`, in one short transaction. *deleted
 * less than `max`: nothing is left to delete.
 */
enum store_result	 store_clean(struct store *, int64_t before, size_t max,
			    int64_t *deleted);

/* Gives space back to the file system where that needs no long lock. */
enum store_result	 store_reclaim(struct store *);

/* Every row of limit_report, most hits first, each (id, seconds) once. */
enum store_result	 store_hits(struct store *,
			    void (*each)(void *, const char *id, size_t idlen,
			    int64_t seconds, int64_t hits), void *);

/* Takes `hits` off (id, seconds), and the row away when none is left. */
enum store_result	 store_hits_forget(struct store *, const char *id, size_t idlen,
			    int64_t seconds, int64_t hits);

/* When the last report was sent, seconds since 1970; 0: never. */
enum store_result	 store_last_report(struct store *, int64_t *);
enum store_result	 store_set_last_report(struct store *, int64_t);

/* Work that can wait for a quiet moment (a checkpoint). Called when no charge waits. */
void			 store_idle(struct store *);

#endif
