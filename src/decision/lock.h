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
 * A lock is stored as two overrides. The id of both is what the lock matches,
 * and their `who` is the rule. OVERRIDE_LOCK ends with the lock, and
 * OVERRIDE_LOCKED outlives it. The latter's `since` is the end of the last
 * lock, or the second after `policyctl unblock`: what was charged before cannot
 * lock again.
 */
#define LOCK_AGAIN	(INT64_C(30) * 86400)	/* seconds; a lock that begins
						   so soon after the end of the
						   last one lasts `again` */
#define LOCK_MOST	100	/* new locks of one rule in LOCK_PERIOD */
#define LOCK_PERIOD	600	/* seconds */

/*
 * Mail to except_recipients passes a lock. Separate keys of the charge count
 * such mails, under ids that begin with LOCK_PASS_WORD (no rule has such a
 * name). The bits say of which kind of lock.
 */
#define LOCK_PASS_WORD		"lock/"
#define LOCK_PASS_LOGIN		1
#define LOCK_PASS_CLIENT	2

/* A lock that a charge sets. */
struct lock_hit {
	size_t		key;		/* the key that was hit */
	struct override	lock;		/* OVERRIDE_LOCK; both point into that
					   key's charge */
	struct override	record;		/* OVERRIDE_LOCKED */
};

/* What is known of a request. */
struct lock_request {
	struct override_subject	 subject;
	bool			 exempt;	/* no rule applies */
	uint8_t			 pass;		/* LOCK_PASS_*: the kinds of
						   locks for which the charge
						   has keys that count passes */
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
 * The lock that answers a request at `now`, or NULL. With NULL, *pass has the
 * bits of the locks that the request passes: only keys with these bits are
 * charged. 0: no lock holds.
 */
const struct override	*lock_closed(const struct override_list *,
			    const struct lock_request *, int64_t now,
			    uint8_t *pass);

/* Whether the lock holds for the login in unfamiliar networks only. */
bool	lock_is_partial(const struct override *lock);

/*
 * For `policyctl unblock`: changes the record of the last lock so that what was
 * charged up to `now` cannot lock again.
 */
void	lock_end(struct override *record, int64_t now);

/*
 * If a lock ends later than one that its rule sets now, a clock was wrong:
 * corrects its `since` and `until`, and returns true. `longest` is the longest
 * time for which the rule locks; 0: the rule is gone, and the lock's own
 * `amount` is used.
 */
bool	lock_outlasts(struct override *lock, int64_t longest, int64_t now);

/*
 * After decision_make: fills in the locks that its hits set, at most `max`, and
 * returns their number. Sets the bits of `locked`, `would_lock` and `unlocked`
 * in the verdict, and `locked_until`.
 */
size_t	lock_hits(const struct decision *, const struct override_list *,
	    struct msg_verdict *, struct lock_hit *, size_t max);

#endif
