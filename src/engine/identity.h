#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>

#include "conf/settings.h"
#include "engine/request.h"
#include "lib/addr.h"
#include "lib/str.h"

/*
 * The ids of a request, as they are counted: folded, without the part after the
 * recipient delimiter, addresses as networks. Pure.
 */

/* "sasl_username", "sender_domain", …: the attribute's name in the settings. */
const char	*identity_name(enum rule_attribute);

/*
 * Appends the id; false, with nothing appended, if the request has none. The
 * rule, NULL where there are no rules, may have prefixes of its own.
 */
bool		 identity_add(struct str *, const struct settings *,
		    const struct settings_rule *, const struct request *,
		    enum rule_attribute);

/*
 * Like identity_add, for a value from elsewhere; not for client_address.
 * Returns false, with nothing appended, for an empty value or domain.
 */
bool		 identity_value(struct str *, const struct settings *,
		    enum rule_attribute, const char *, size_t);

/*
 * Escapes the commas of a combination's value, which begins at `at`, so that
 * different combinations stay different.
 */
void		 identity_escape(struct str *, size_t at);

/* Like identity_add, for a client's address. */
void		 identity_address(struct str *, const struct settings *,
		    const struct settings_rule *, const struct addr *);

/* False if client_address is not an address, such as `unknown`. */
bool		 identity_client(struct addr *, const struct request *);

/* Whether one of the networks contains the address. */
bool		 identity_within(const struct settings_networks *,
		    const struct addr *);

/*
 * With `all`, whether the request has, for every attribute of the match, one of
 * the values listed for it; otherwise, whether it has one of them for at least
 * one attribute. The str is for what is built meanwhile; it is left as it was.
 */
bool		 identity_matches(struct str *, const struct settings *,
		    const struct settings_match *, const struct request *,
		    bool all);

/*
 * identity_exempt: which attributes of the request `exempt` names, as bits
 * 1 << KEY_SASL_USERNAME and 1 << KEY_CLIENT_ADDRESS. identity_counts_exempt:
 * whether it names the whole network by which the rule counts the client. The
 * str is left as it was.
 */
unsigned int	 identity_exempt(struct str *, const struct settings *,
		    const struct request *);
bool		 identity_counts_exempt(struct str *, const struct settings *,
		    const struct settings_rule *, const struct request *);

/* Whether `exempt` names this login or address. */
bool		 identity_is_exempt(const struct settings *, const char *,
		    size_t);

/* Whether the networks are empty or contain the request's client. */
bool		 identity_from(const struct settings_networks *,
		    const struct request *);

/*
 * Shortens the str from `at` on to `max` bytes (at least 32): the end of a
 * longer text is replaced by '#' and a hash of the whole, which is the same in
 * every process.
 */
void		 identity_bound(struct str *, size_t at, size_t max);

/*
 * A hash of two strings, above 0, the same in every process and after every
 * restart.
 */
int64_t		 identity_tag(const void *, size_t, const void *, size_t);

#endif
