#ifndef CLEAN_H
#define CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ledger/lookup.h"
#include "ledger/store.h"

/*
 * Deletes the rows that no window needs, in steps of about a millisecond, and
 * refusals older than `history`, then returns free space to the file system.
 * Knows no channel: the caller polls `state`.
 */
enum clean_state {
	CLEAN_NONE,		/* not started */
	CLEAN_RUNNING,
	CLEAN_DONE,
	CLEAN_FAILED
};

enum clean_stage {
	CLEAN_ROWS,
	CLEAN_HABITS,
	CLEAN_OVERRIDES,
	CLEAN_REFUSALS,
	CLEAN_SPACE,
	CLEAN_ALL		/* is done */
};

struct clean {
	enum clean_state	 state;
	int64_t			 longest;	/* window, at the start */
	struct store_kept	 kept;		/* all other rows are deleted */
	int64_t			 position;
	size_t			 rows;		/* rows in one step */
	int64_t			 records;	/* deleted so far */
	enum clean_stage	 stage;
	int64_t			 learn;		/* longest, in seconds */
	struct store_kept	 pairs;		/* of mail_habit: as `kept` */
	int64_t			 who;		/* of it, as `position` */
	int64_t			 began;		/* steps fail since, ns */
	int64_t			 next;		/* not before this, ns */
};

/*
 * Starts cleaning. The steps delete rows older than twice the longest window of
 * any limit, and rows dated more than WINDOW_SKEW in the future. A window that
 * sql_limits_by_id returned counts for twice its length after that; without any
 * limit the window is a day. Then they delete pairs of rules that count new
 * recipients that were not used for the longest `learn`, at least 90 days; and
 * grants, blocks and locks that ended more than a day ago.
 */
void	clean_begin(struct clean *, struct store *, const struct settings *,
	    const struct lookup *, int64_t now);

/*
 * Takes one step if it is due. If the clock was set since the start, rows that
 * are needed at `now` are kept too. STORE_LOST when the connection is lost,
 * else STORE_OK, also when the step failed; once steps have failed for longer
 * than db_timeout, state becomes CLEAN_FAILED.
 */
enum store_result	clean_step(struct clean *, struct store *,
			    const struct settings *, int64_t now);

/* Milliseconds until the next step is due; -1: no cleaning is running. */
int	clean_wait(const struct clean *);

/*
 * Saves in the database the longest window that sql_limits_by_id returned, for
 * other processes and the next start. Call it before a row is recorded for a
 * longer one, and now and then. True: it is saved.
 */
bool	clean_remember(struct store *, const struct lookup *, int64_t now);

#endif
