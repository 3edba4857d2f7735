#ifndef VERDICT_HITS_H
#define VERDICT_HITS_H

#include "ledger/verdict.h"

/*
 * What the report tells of one charge: collected in the context while the
 * charge is decided, then recorded.
 */

/* Window `i` of these limits has no room, or its warn_at was crossed. */
void	verdict_hits_full(struct verdict_context *, const struct verdict_key *,
	    const struct limits *, size_t i);
void	verdict_hits_near(struct verdict_context *, const struct verdict_key *,
	    const struct limits *, size_t i);

/* The mail exceeds max_per_mail: the hit of a window of 0 seconds. */
void	verdict_hits_mail(struct verdict_context *, const struct verdict_key *);

/*
 * The mail is refused, so Postfix does not take it with a soft action: drops
 * the hits of soft keys.
 */
void	verdict_hits_drop_soft(struct verdict_context *);

void	verdict_hits_record(const struct verdict_context *);

#endif
