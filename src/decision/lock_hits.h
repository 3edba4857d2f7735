#ifndef LOCK_HITS_H
#define LOCK_HITS_H

#include <stddef.h>

#include "decision/decision.h"
#include "decision/lock.h"
#include "decision/override.h"
#include "ipc/message.h"

/* What the hits of a charge lock. Pure. */

/*
 * After decision_make: what its hits lock, at most `max`; sets the bits of
 * `locked`, `would_lock` and `unlocked` in the verdict. Returns the number.
 */
size_t	lock_hits(const struct decision *, const struct override_list *,
	    struct msg_verdict *, struct lock_hit *, size_t max);

#endif
