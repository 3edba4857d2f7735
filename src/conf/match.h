#ifndef MATCH_H
#define MATCH_H

#include "conf/reader.h"

/* Lists of ids without limits: `exempt`, and `only` and `except` of a rule. */
reader		 match_read;		/* struct settings_match */
reader		 match_read_exempt;	/* struct ids *; None is empty */
void		 match_clear(struct settings_match *);

/* Whether the rule looks at the recipient, which only RCPT always tells. */
bool		 match_needs_rcpt(const struct settings_rule *);

/*
 * Words of rules that are attributes of a request: "sasl_username", …, up to a
 * NULL name.
 */
extern const struct reader_word	match_attributes[];

/*
 * Why no request can have this value of the attribute, or NULL. A domain's "@"
 * has been left out.
 */
const char	*match_never(enum rule_attribute, const char *, size_t);

#endif
