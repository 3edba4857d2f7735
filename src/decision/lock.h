#ifndef LOCK_H
#define LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decision/decision.h"
#include "decision/override.h"
#include "ipc/message.h"

/*
 * The field `lock` of a rule: a hit closes the login or the address that was
 * hit. Pure.
 *
 * Two overrides stand for it, both with what it matches as their id and the
 * rule as `who`: OVERRIDE_LOCK until the lock ends, and OVERRIDE_LOCKED, which
 * outlives it. The latter's `since` is the end of the last lock, or the second
 * after `policyctl unblock`: what was charged before cannot lock again.
 */
#define LOCK_AGAIN	(INT64_C(30) * 86400)	/* after its end, seconds */
#define LOCK_MOST	100	/* new locks of one rule in LOCK_PERIOD */
#define LOCK_PERIOD	600	/* seconds */
#define LOCK_PASSES	10	/* mails that pass a lock in LOCK_PASS_PERIOD */
#define LOCK_PASS_PERIOD	3600	/* seconds */

/*
 * Mail to except_recipients passes: the charge has keys for that, which count
 * such mails under ids that begin so (no rule has such a name).
 */
#define LOCK_PASS_WORD		"lock/"
#define LOCK_PASS_LOGIN		1	/* of a lock of the login */
#define LOCK_PASS_CLIENT	2

/* A lock that a charge sets. */
struct lock_hit {
	size_t		key;		/* the key that was hit */
	struct override	lock;		/* points into that key's charge */
	struct override	record;
};

/* What is known of a request. */
struct lock_request {
	struct override_subject	 subject;
	bool			 exempt;	/* no rule applies */
	uint8_t			 pass;		/* the keys that it has */
	const char		*passes;	/* the rules whose locks it may
						   pass, with commas between */
	size_t			 passeslen;
	/*
	 * Whether the client's network is unfamiliar to the rule of a lock that
	 * begins with OVERRIDE_UNFAMILIAR. NULL: not known, and no such lock
	 * holds.
	 */
	bool			(*unfamiliar)(const void *arg,
				    const struct override *);
	const void		*arg;
};

/*
 * The lock that answers a request at `now`, or NULL. Then *pass says which keys
 * are charged in place of all others, because a lock holds that it passes; 0:
 * there is no lock.
 */
const struct override	*lock_closed(const struct override_list *,
			    const struct lock_request *, int64_t now,
			    uint8_t *pass);

/* Whether it closes the login in unfamiliar networks only. */
bool	lock_is_partial(const struct override *lock);

/*
 * What `policyctl unblock` makes of the record of the last lock: nothing that
 * was charged up to `now` can lock again.
 */
void	lock_end(struct override *record, int64_t now);

/*
 * Whether a lock ends so late that a wrong clock made it. `longest` is the
 * longest time for which its rule locks, 0 if there is no such rule any more.
 * Its end is corrected then.
 */
bool	lock_outlasts(struct override *lock, int64_t longest, int64_t now);

/*
 * After decision_make: what its hits lock, at most `max`; sets the bits of
 * `locked`, `would_lock` and `unlocked` in the verdict. Returns the number.
 */
size_t	lock_hits(const struct decision *, const struct override_list *,
	    struct msg_verdict *, struct lock_hit *, size_t max);

#endif
