#ifndef VERDICT_HITS_H
#define VERDICT_HITS_H

#include "ledger/verdict.h"

/*
 * The hits of one charge, for the report: collected in the context while the
 * charge is decided, then recorded.
 */

/* Window `i` of these limits has no room; or it crossed warn_at. */
void	verdict_hits_full(struct verdict_context *, const struct verdict_key *,
	    const struct limits *, size_t i);
void	verdict_hits_near(struct verdict_context *, const struct verdict_key *,
	    const struct limits *, size_t i);

/* The mail exceeds max_per_mail: a hit with 0 as its window. */
void	verdict_hits_mail(struct verdict_context *, const struct verdict_key *);

/*
 * Drops the hits of soft keys: another key refuses the mail, so Postfix does
 * not take it with a soft action.
 */
void	verdict_hits_drop_soft(struct verdict_context *);

void	verdict_hits_record(const struct verdict_context *);

#endif
