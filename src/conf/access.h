#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/settings.h"

/*
 * What happens to a mail that is answered with an action of access(5).
 * access_refuses: the client learns that it was not accepted. access_takes:
 * Postfix accepts it as far as this service is concerned. DISCARD is neither:
 * the client believes that the mail was accepted, but it is not delivered.
 */
bool		 access_refuses(const char *action);
bool		 access_takes(const char *action);

/*
 * Offset of the action's free text; the length of the action if it has none,
 * because Postfix parses all of it. Nothing before the text may depend on a
 * client.
 */
size_t		 access_text(const char *action);

/* Whether the action refuses temporarily: 4NN, DEFER or DEFER_IF_PERMIT. */
bool		 access_defers(const char *action);

/*
 * Whether the action is OK (an all-numerical result included), DUNNO or PERMIT:
 * a limit with such an action has no effect.
 */
bool		 access_permits(const char *action);

/*
 * Whether the action is an all-numerical result of access(5), which means OK. A
 * reply code alone is not one.
 */
bool		 access_is_number(const char *action);

/*
 * The action when a rule refuses: the rule's or fail_action. A `rule` that is
 * not an index of the settings' rules gives fail_action.
 */
const char	*access_of(const struct settings *, unsigned int rule);

/* The action for a mail that exceeds the rule's max_per_mail. */
const char	*access_per_mail(const struct settings *, unsigned int rule);

/* Whether the action may answer a block: it refuses, HOLDs or DISCARDs. */
bool		 access_closes(const char *action);

#endif
