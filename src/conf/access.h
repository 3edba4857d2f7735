#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/settings.h"

/*
 * What becomes of a mail that is answered with an action of access(5):
 * access_refuses, the client is told that it was not accepted; access_takes,
 * Postfix accepts it as far as this service is concerned. DISCARD does neither:
 * the client believes that the mail was sent, and it was not.
 */
bool		 access_refuses(const char *action);
bool		 access_takes(const char *action);

/*
 * Where the free text of the action begins; its length if it has none, because
 * Postfix parses all of it. What is before the text must not depend on a
 * client.
 */
size_t		 access_text(const char *action);

/* Whether the action refuses temporarily: 4NN, DEFER or DEFER_IF_PERMIT. */
bool		 access_defers(const char *action);

/*
 * Whether the action is OK, also as an all-numerical result, DUNNO or PERMIT: a
 * limit with it has no effect.
 */
bool		 access_permits(const char *action);

/* Whether the mail stays in the queue until somebody releases it. */
bool		 access_holds(const char *action);

/*
 * Whether it is an all-numerical result of access(5), which means OK. A reply
 * code alone is none.
 */
bool		 access_is_number(const char *action);

/*
 * The action for a rule that refuses: its own or fail_action. A `rule` that is
 * no index of settings' rules has none of its own.
 */
const char	*access_of(const struct settings *, unsigned int rule);

/* The action for a mail that exceeds the rule's max_per_mail. */
const char	*access_per_mail(const struct settings *, unsigned int rule);

#endif
