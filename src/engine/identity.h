#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>

#include "conf/settings.h"
#include "engine/request.h"
#include "lib/addr.h"
#include "lib/str.h"

/*
 * The ids that a request shows, as they are counted: folded, without the part
 * behind the recipient delimiter, addresses as networks. Pure.
 */

/* "sasl_username", "sender_domain", …: as the settings name it. */
const char	*identity_name(enum rule_attribute);

/* Appends the id; false, and nothing appended, when the request has none. */
bool		 identity_add(struct str *, const struct settings *,
		    const struct request *, enum rule_attribute);

/*
 * The same of a value that did not come in a request; not for client_address.
 * An empty domain adds nothing, which is told by false.
 */
bool		 identity_value(struct str *, const struct settings *,
		    enum rule_attribute, const char *, size_t);

/* The same of a client's address. */
void		 identity_address(struct str *, const struct settings *,
		    const struct addr *);

/* False for a client_address that is none, such as `unknown`. */
bool		 identity_client(struct addr *, const struct request *);

/* Whether one of them holds the address. */
bool		 identity_within(const struct settings_networks *,
		    const struct addr *);

/* Whether the networks are empty or hold the request's client. */
bool		 identity_from(const struct settings_networks *,
		    const struct request *);

/*
 * Makes what stands from `at` to the end of the str fit into `max` bytes (at
 * least 32): the tail of a longer one gives way to '#' and a hash of the
 * whole, the same in every process.
 */
void		 identity_bound(struct str *, size_t at, size_t max);

/* A hash that is the same in every process and after every restart; never 0. */
int64_t		 identity_tag(const void *, size_t, const void *, size_t);

#endif
