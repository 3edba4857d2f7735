#ifndef WHOSE_H
#define WHOSE_H

#include <stddef.h>

#include "conf/settings.h"
#include "ledger/lookup.h"

/*
 * What an id that is stored stands for, as the settings are now. Pure.
 */

/* The rule whose name the id bears in front; the longest, if several fit. */
const struct settings_rule	*whose_rule(const struct settings *,
				    const char *id, size_t idlen);

/*
 * The limits that hold for the id; `rule` is whose_rule's. Those of the
 * database only as far as they are known.
 */
const struct limits		*whose_limits(const struct settings *,
				    struct lookup *,
				    const struct settings_rule *,
				    const char *id, size_t idlen);

#endif
