#include <string.h>

#include "ledger/whose.h"

const struct settings_rule *
whose_rule(const struct settings *s, const char *id, size_t idlen)
{
	const struct settings_rule	*best = NULL;
	size_t				 i, len, longest = 0;

	for (i = 0; i < s->nrules; i++) {
		len = strlen(s->rules[i].name);
		if (len < idlen && id[len] == ':' &&
		    memcmp(id, s->rules[i].name, len) == 0 && len >= longest) {
			best = &s->rules[i];
			longest = len;
		}
	}
	return best;
}

const struct limits *
whose_limits(const struct settings *s, struct lookup *lookup,
    const struct settings_rule *rule, const char *id, size_t idlen)
{
	const struct ids	*by_id = s->limits_by_id;
	const struct lookup_entry	*sql;
	const struct limits		*limits = NULL, *otherwise = &s->limits;
	size_t				 bare = 0;

	sql = lookup_find(lookup, rule == NULL ? 0 :
	    (uint16_t)(rule - s->rules), id, idlen);
	if (sql != NULL)
		limits = lookup_of(sql);
	if (rule != NULL) {
		/* The entries of limits_by_id are without the rule's name. */
		bare = strlen(rule->name) + 1;
		by_id = rule->limits_by_id;
		otherwise = &rule->limits;
	}
	if (limits == NULL && by_id != NULL)
		limits = settings_id_limits(by_id, id + bare, idlen - bare);
	return limits != NULL ? limits : otherwise;
}
