#ifndef ACTION_H
#define ACTION_H

#include "conf/settings.h"
#include "decision/override.h"
#include "ipc/message.h"
#include "lib/str.h"

/* Words a verdict as an access(5) action. Pure. */
#define ACTION_MAX	1900	/* Postfix cuts a reply's line at 2048 */

/*
 * Appends the action for this verdict on this charge: at most ACTION_MAX bytes,
 * placeholders replaced, safe for one line. VERDICT_UNAVAILABLE gives
 * db_error_action; the caller has handled "memory". The settings are those that
 * made the charge.
 */
void	action_add(struct str *, const struct settings *,
	    const struct msg_charge *, const struct msg_verdict *);

/*
 * Appends block_action for a block, or the action of a lock; NULL: the block
 * has just ended. {id} is what it matches, {retry_after} the seconds until its
 * end, {rule} the rule of a lock; the other placeholders are empty.
 */
void	action_add_blocked(struct str *, const struct settings *,
	    const struct override *, int64_t now);

#endif
