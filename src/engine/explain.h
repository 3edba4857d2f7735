#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "decision/override.h"
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
 * Makes the keys of a charge for an id of policyctl's: under each rule that
 * counts by such an id, or the one that it names, "RULE:ID". With `mails` and
 * no name only under rules that count recipients or messages. They point into
 * `ids`, which is the caller's; there may be none.
 */
void	explain_id(struct msg_charge *, const struct settings *,
	    const struct control_word *, struct str *ids, bool mails);

/* Appends a record of a block or a grant. */
void	explain_override(struct str *, const struct override *);

#endif
