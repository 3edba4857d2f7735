#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "engine/control.h"

#define EXPLAIN_ID_MAX	(CHARGE_ID_MAX / 2)

/*
 * What a request would be answered and why, and what the windows of an id
 * hold: both are charges that the ledger weighs as it weighs all others, but
 * for recording them.
 */
void	explain_run(struct control *, const struct control_word *, size_t);
int	explain_told(struct control *, const struct message *);
void	explain_late(struct control *);

void	explain_show(struct control *, const struct control_word *, size_t);
int	explain_show_told(struct control *, const struct message *);

/*
 * Makes the keys of a charge for an id of policyctl's: under each rule, or the
 * one that it names. They point into the strs, which are the caller's.
 */
void	explain_id(struct msg_charge *, const struct settings *,
	    const struct control_word *, struct str *id, struct str *ids);

#endif
