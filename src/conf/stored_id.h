#ifndef STORED_ID_H
#define STORED_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/settings.h"

/* What a stored id means by the current settings. Pure. */

/*
 * The rule whose name, or an earlier one of it (`was`), the id begins with, or
 * NULL.
 */
const struct settings_rule	*stored_id_rule(const struct settings *,
				    const char *id, size_t idlen);

/* The rule of that very name in "RULE:VALUE", or NULL; "RULE:" has none. */
const struct settings_rule	*stored_id_named(const struct settings *,
				    const char *id, size_t idlen);

/*
 * For an id with a rule. stored_id_was: whether it begins with an earlier name
 * of this rule. stored_id_bare: the offset of its value.
 */
bool				 stored_id_was(const struct settings_rule *,
				    const char *id, size_t idlen);
size_t				 stored_id_bare(const char *id, size_t idlen);

/*
 * The limits that apply to the id, never NULL; `rule` is stored_id_rule's,
 * `sql` what a query returned for it, or NULL.
 */
const struct limits		*stored_id_limits(const struct settings *,
				    const struct limits *sql,
				    const struct settings_rule *,
				    const char *id, size_t idlen);

#endif
