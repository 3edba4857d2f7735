#ifndef RULES_H
#define RULES_H

#include "conf/reader.h"

/* The setting `rules`: a list of dictionaries, or None. */
reader	rules_read;		/* `out` is struct settings: rules, nrules */
void	rules_clear(struct settings *);

/*
 * Name and type of each field of a rule, for the manual's test; NULL after the
 * last.
 */
const char	*rules_field_name(size_t);
const char	*rules_field_type(size_t);

#endif
