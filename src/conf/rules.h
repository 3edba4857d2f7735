#ifndef RULES_H
#define RULES_H

#include "conf/reader.h"

/* The setting `rules`: a list of dictionaries, or None. */
reader	rules_read;		/* `out` is struct settings: rules, nrules */
void	rules_clear(struct settings *);

/* Each field of a rule, for the manual's test; NULL after the last. */
const struct reader_row	*rules_field(size_t);

#endif
