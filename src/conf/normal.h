#ifndef NORMAL_H
#define NORMAL_H

#include <stddef.h>

#include "conf/settings.h"
#include "lib/str.h"

/*
 * Appends a login or a mail address in its counted form, the same for requests,
 * limits_by_id and policyctl: without its extension (recipient_delimiter),
 * folded (fold_case), and with "@" and `domain` added if it has no domain and
 * `domain` is not "".
 */
void	normal_mailbox(struct str *, const struct settings *,
	    const char *domain, const char *, size_t);

/*
 * Appends the counted form of an attribute's value in the configuration. A
 * login without a domain stays without: ids_find adds default_domain.
 */
void	normal_text(struct str *, const struct settings *,
	    enum rule_attribute, const char *, size_t);

/* The length without blanks at the end, which no value of a request has. */
size_t	normal_length(const char *, size_t);

/* The '@' at which the domain begins; NULL: there is none. */
const char	*normal_domain(const char *, size_t);

#endif
