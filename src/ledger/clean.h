#ifndef CLEAN_H
#define CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "ledger/lookup.h"
#include "ledger/store.h"

/*
 * Deletes what no window needs any more, in steps that take a millisecond or
 * so, and then gives space back. Knows no channel: the caller asks how it
 * stands.
 */
enum clean_state {
	CLEAN_NONE,		/* nothing was begun */
	CLEAN_RUNNING,
	CLEAN_DONE,
	CLEAN_FAILED
};

struct clean {
	enum clean_state	 state;
	int64_t			 longest;	/* window, when it was begun */
	struct store_kept	 kept;		/* other rows go */
	int64_t			 position;
	size_t			 rows;		/* in a step */
	int64_t			 records;	/* deleted so far */
	bool			 reclaiming;
	int64_t			 began;		/* to fail, the step, ns */
	int64_t			 next;		/* not before this, ns */
};

/*
 * From now on steps delete what is older than twice the longest window of any
 * limit (of the settings, and of those that sql_limits_by_id returned while
 * they can matter), and what is dated more than WINDOW_AHEAD in the future.
 */
void	clean_begin(struct clean *, struct store *, const struct settings *,
	    const struct lookup *, int64_t now);

/*
 * One step, unless the last one is too short ago; STORE_LOST is passed on. A
 * clock that is set while it runs changes what goes.
 */
enum store_result	clean_step(struct clean *, struct store *,
			    const struct settings *, int64_t now);

/* Milliseconds until the next step is due, -1: none is. */
int	clean_wait(const struct clean *);

/*
 * Keeps for other processes and the next start the longest window that
 * sql_limits_by_id returned: called at once when `limits` has a longer one, and
 * now and then. Whether it is kept.
 */
bool	clean_remember(struct store *, const struct lookup *, int64_t now);

#endif
