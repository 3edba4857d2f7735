#ifndef MATCH_H
#define MATCH_H

#include "conf/reader.h"

/* Readers of lists of ids: `exempt`, and `only` and `except` of a rule. */
reader		 match_read;		/* struct settings_match */
reader		 match_read_exempt;	/* struct ids *; None is empty */

/* A list of recipients and "@domain"s; NULL: it has a fault. */
struct ids	*match_recipients(const struct reading *,
		    const struct value *);

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
