#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"
#include "lib/str.h"

/*
 * The rule of a key, if its id begins with the rule's name: after a reload a
 * charge may come from older rules.
 */
static const struct settings_rule *
charge_rule(const struct settings *s, const struct msg_charge_key *key)
{
	const struct settings_rule	*rule;
	size_t				 n;

	if (key->rule >= s->nrules)
		return NULL;
	rule = &s->rules[key->rule];
	n = strlen(rule->name);
	return key->idlen > n && key->id[n] == ':' &&
	    memcmp(key->id, rule->name, n) == 0 ? rule : NULL;
}

static size_t
charge_was_of(const struct settings *s, const struct msg_charge_key *key)
{
	const struct settings_rule	*rule = charge_rule(s, key);

	return rule != NULL ? rule->nwas : 0;
}

/* The id under an earlier name of its rule, as it is stored. */
static void
charge_was_set(struct verdict_was *w, const struct msg_charge_key *key,
    size_t bare, const char *name)
{
	struct str	 id;
	const char	*stored;
	char		 hashed[ID_STORED_MAX + 1];

	str_init(&id);
	str_addf(&id, "%s:", name);
	str_add(&id, key->id + bare, key->idlen - bare);
	w->idlen = id.len;
	w->rule_name = habits_rule(name, strlen(name));
	stored = id_stored(id.data, &w->idlen, hashed);
	memcpy(w->id, stored, w->idlen);
	str_clear(&id);
}

void
charge_was(struct verdict_charge *c, const struct settings *s,
    const struct msg_charge_key *keys)
{
	const struct settings_rule	*rule;
	size_t				 n = 0, i, j;

	c->was = NULL;
	c->nwas = 0;
	for (i = 0; i < c->nkeys; i++)
		n += charge_was_of(s, &keys[i]);
	if (n == 0)
		return;
	c->was = alloc_zero(n, sizeof(c->was[0]));
	for (i = 0; i < c->nkeys; i++) {
		if ((rule = charge_rule(s, &keys[i])) == NULL)
			continue;
		for (j = 0; j < rule->nwas; j++) {
			c->was[c->nwas].key = i;
			charge_was_set(&c->was[c->nwas++], &keys[i],
			    strlen(rule->name) + 1, rule->was[j]);
		}
	}
}

void
charge_was_again(struct verdict_charge *c, const struct settings *s)
{
	struct msg_charge_key	*keys;
	size_t			 i;

	if (c->nwas == 0)
		return;
	free(c->was);
	keys = alloc_zero(c->nkeys, sizeof(keys[0]));
	for (i = 0; i < c->nkeys; i++)
		keys[i] = c->keys[i].charge;
	charge_was(c, s, keys);
	free(keys);
}
