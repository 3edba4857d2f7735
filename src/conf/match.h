#ifndef MATCH_H
#define MATCH_H

#include "conf/reader.h"

/*
 * Readers of lists of ids: `only` and `except` of a rule, `exempt`, and
 * `except_recipients` of a lock.
 */
reader		 match_read;		/* struct settings_match */
reader		 match_read_exempt;	/* struct ids *; None is empty */
reader		 match_read_recipients;	/* struct ids *; if empty, left as is */

void		 match_clear(void *);	/* struct settings_match * */

/*
 * Whether the rule uses the recipient, which Postfix sends with certainty only
 * at RCPT.
 */
bool		 match_needs_rcpt(const struct settings_rule *);

/*
 * The attributes of a request that rules name: "sasl_username", …, up to a NULL
 * name.
 */
extern const struct reader_word	match_attributes[];

/*
 * The reason why no request can have this value of the attribute, or NULL. The
 * "@" of a domain is already removed.
 */
const char	*match_never(enum rule_attribute, const char *, size_t);

#endif
