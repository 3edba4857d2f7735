#ifndef WHOSE_H
#define WHOSE_H

#include <stddef.h>

#include "conf/settings.h"
#include "ledger/lookup.h"

/* What a stored id means by the current settings. Pure. */

/* The rule whose name the id begins with; the longest name, if several fit. */
const struct settings_rule	*whose_rule(const struct settings *,
				    const char *id, size_t idlen);

/*
 * The limits that apply to the id; `rule` is whose_rule's. Limits from SQL only
 * if they are cached.
 */
const struct limits		*whose_limits(const struct settings *,
				    struct lookup *,
				    const struct settings_rule *,
				    const char *id, size_t idlen);

#endif
