#include <string.h>

#include "conf/stored_id.h"

static bool
begins_with(const char *id, size_t idlen, const char *name)
{
	size_t	len = strlen(name);

	return len < idlen && id[len] == ':' && memcmp(id, name, len) == 0;
}

/* Names have no colons, so an id begins with one at the most. */
const struct settings_rule *
stored_id_rule(const struct settings *s, const char *id, size_t idlen)
{
	const struct settings_rule	*rule;
	size_t				 i, j;

	for (i = 0; i < s->nrules; i++) {
		rule = &s->rules[i];
		if (begins_with(id, idlen, rule->name))
			return rule;
		for (j = 0; j < rule->nwas; j++)
			if (begins_with(id, idlen, rule->was[j]))
				return rule;
	}
	return NULL;
}

const struct settings_rule *
stored_id_named(const struct settings *s, const char *id, size_t idlen)
{
	size_t	i;

	for (i = 0; i < s->nrules; i++)
		if (begins_with(id, idlen, s->rules[i].name))
			return idlen > strlen(s->rules[i].name) + 1 ?
			    &s->rules[i] : NULL;
	return NULL;
}

bool
stored_id_was(const struct settings_rule *rule, const char *id, size_t idlen)
{
	return !begins_with(id, idlen, rule->name);
}

size_t
stored_id_bare(const char *id, size_t idlen)
{
	const char	*colon = memchr(id, ':', idlen);

	return colon != NULL ? (size_t)(colon - id) + 1 : 0;
}

const struct limits *
stored_id_limits(const struct settings *s, const struct limits *sql,
    const struct settings_rule *rule, const char *id, size_t idlen)
{
	const struct ids	*by_id = s->limits_by_id;
	const struct limits	*limits = sql, *otherwise = &s->limits;
	size_t			 bare = 0;

	if (rule != NULL) {
		/* The entries of limits_by_id are without the rule's name. */
		bare = stored_id_bare(id, idlen);
		by_id = rule->limits_by_id;
		otherwise = &rule->limits;
	}
	if (limits == NULL && by_id != NULL)
		limits = settings_id_limits(by_id, id + bare, idlen - bare);
	return limits != NULL ? limits : otherwise;
}
