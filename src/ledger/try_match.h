#ifndef TRY_MATCH_H
#define TRY_MATCH_H

#include "conf/settings.h"

/*
 * Whether rows that were recorded by rule `is` of `now` say what rule `would`
 * of `tried` had done: only limits may differ, not what is counted. NULL, or
 * the reason why not. Without rules both indexes are 0. Pure.
 */
const char	*try_match(const struct settings *now, size_t is,
		    const struct settings *tried, size_t would);

/*
 * Reads statements of those settings that say what counts and what is limited;
 * NULL with a printable reason: others, or malformed ones.
 */
struct settings	*try_match_settings(const char *, size_t, char *why,
		    size_t size);

/* The rule that has this name, or had it earlier; SIZE_MAX: none. */
size_t		 try_match_rule_of(const struct settings *, const char *name);

#endif
