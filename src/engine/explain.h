#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "decision/override.h"
#include "engine/control.h"

#define EXPLAIN_ID_MAX	(CHARGE_ID_MAX / 2)

/*
 * The commands explain and show. Both send a charge to the ledger, which
 * decides it like any other charge but records nothing.
 */
void	explain_run(struct control *, const struct control_word *, size_t);
int	explain_told(struct control *, const struct message *);
void	explain_late(struct control *);

void	explain_show(struct control *, const struct control_word *, size_t);

/*
 * 1: the windows are appended, and *shown is the charge with their ids, until
 * the next call; 0: the command has ended; -1: malformed.
 */
int	explain_show_told(struct control *, const struct message *,
	    const struct msg_charge **shown);

/*
 * Makes the keys of a charge for an id that an administrator wrote: under each
 * rule that counts by such an id, or under the rule of "RULE:ID". With `mails`,
 * and without a rule's name, only under rules that count recipients or
 * messages. There may be none. The keys point into `ids`, which the caller
 * owns. Without `mails` returns whether one of the ids is exempt; that key has
 * no limits.
 */
bool	explain_id(struct msg_charge *, const struct settings *,
	    const struct control_word *, struct str *ids, bool mails);

#endif
