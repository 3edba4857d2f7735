#ifndef EXPLAIN_ID_H
#define EXPLAIN_ID_H

#include <stdbool.h>

#include "conf/settings.h"
#include "engine/control/control.h"
#include "ipc/message.h"
#include "lib/str.h"

#define EXPLAIN_ID_MAX	(CHARGE_ID_MAX / 2)

/* False: the id is too long to be looked for, and the command has ended. */
bool	explain_id_fits(struct control *, const struct control_word *);

/*
 * Makes the keys of a charge for an id that an administrator wrote: under each
 * rule that counts by such an id, or under the rule of "RULE:ID". With `mails`,
 * and without a rule's name, only under rules that count recipients or
 * messages. There may be none. The keys point into `ids`, which is the caller's
 * and empty at first. Returns whether one of the ids is exempt, so that its key
 * has no limits; with `mails` that is not looked at, and the result is false.
 */
bool	explain_id(struct msg_charge *, const struct settings *,
	    const struct control_word *, struct str *ids, bool mails);

#endif
