#ifndef NORMAL_H
#define NORMAL_H

#include <stddef.h>

#include "conf/settings.h"
#include "lib/str.h"

/*
 * Appends a login or a mail address as it is counted, be it of a request, of
 * limits_by_id or of policyctl: without its extension (recipient_delimiter),
 * folded (fold_case), and with `domain` behind one that has none, unless that
 * is "".
 */
void	normal_mailbox(struct str *, const struct settings *,
	    const char *domain, const char *, size_t);

/*
 * Appends a value of this attribute that the configuration names. A login keeps
 * having no domain: ids_find knows default_domain.
 */
void	normal_text(struct str *, const struct settings *,
	    enum rule_attribute, const char *, size_t);

/* The length without the blanks that no value of a request ends in. */
size_t	normal_length(const char *, size_t);

/* Where the domain begins, at its '@'; NULL: there is none. */
const char	*normal_domain(const char *, size_t);

#endif
