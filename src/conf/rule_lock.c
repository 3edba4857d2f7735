#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/match.h"
#include "conf/rule_lock.h"

#define RULE_LOCK_MAX	(366 * INT64_C(86400))	/* seconds */
#define RULE_LOCK_NAME	96	/* "rules[31].lock.except_recipients" */

static reader	rule_lock_recipients;

static const struct rule_lock_field {
	const char	*name;
	reader		*read;
	size_t		 at;
} rule_lock_fields[] = {
	{ "for",	reader_int64,
	    offsetof(struct settings_lock, seconds) },
	{ "again",	reader_int64,
	    offsetof(struct settings_lock, again) },
	{ "action",	reader_string_or_none,
	    offsetof(struct settings_lock, action) },
	{ "except_recipients",	rule_lock_recipients,
	    offsetof(struct settings_lock, except) },
};

#define RULE_LOCK_FIELDS \
	(sizeof(rule_lock_fields) / sizeof(rule_lock_fields[0]))

void
rule_lock_clear(struct settings_lock *lock)
{
	free(lock->action);
	ids_free(lock->except);
	memset(lock, 0, sizeof(*lock));
}

static int
rule_lock_recipients(const struct reading *r, const struct value *v)
{
	struct ids	**out = r->out, *ids;

	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of strings");
	if (v->type == VALUE_NONE || v->count == 0)
		return 0;
	if ((ids = match_recipients(r, v)) == NULL)
		return -1;
	ids_free(*out);
	*out = ids;
	return 0;
}

static void
rule_lock_unknown(const struct reading *r, const struct value *key)
{
	struct reader_nearest	nearest = { .written = key->bytes };
	size_t			i;

	if (key->type != VALUE_STR) {
		reader_unknown(r, key, "has a field that is not a string");
		return;
	}
	for (i = 0; i < RULE_LOCK_FIELDS; i++)
		reader_nearest(&nearest, rule_lock_fields[i].name);
	if (nearest.name != NULL)
		reader_unknown(r, key, "has an unknown field \"%s\"; did you "
		    "mean \"%s\"?", key->bytes, nearest.name);
	else
		reader_unknown(r, key, "has an unknown field \"%s\"",
		    key->bytes);
}

static int
rule_lock_field(const struct reading *r, struct settings_lock *lock,
    const struct value *key, const struct value *v)
{
	struct reading	field = *r;
	char		name[RULE_LOCK_NAME];
	size_t		i;

	for (i = 0; i < RULE_LOCK_FIELDS; i++)
		if (key->type == VALUE_STR &&
		    strcmp(key->bytes, rule_lock_fields[i].name) == 0)
			break;
	if (i == RULE_LOCK_FIELDS) {
		rule_lock_unknown(r, key);
		return 0;
	}
	(void)snprintf(name, sizeof(name), "%s.%s", r->name, key->bytes);
	field.name = name;
	field.out = (char *)lock + rule_lock_fields[i].at;
	field.min = 1;
	field.max = RULE_LOCK_MAX;
	return rule_lock_fields[i].read(&field, v);
}

int
rule_lock_read(const struct reading *r, const struct value *v)
{
	struct settings_lock	 lock, *out = r->out;
	int			 result = 0;
	size_t			 i;

	if (v->type == VALUE_NONE)
		return 0;
	if (v->type != VALUE_DICT)
		return reader_mismatch(r, v, "a dictionary");
	memset(&lock, 0, sizeof(lock));
	for (i = 0; i + 1 < v->count; i += 2)
		if (rule_lock_field(r, &lock, v->items[i],
		    v->items[i + 1]) == -1)
			result = -1;
	if (value_get(v, "for") == NULL) {
		reader_fault(r, v, "has no \"for\": the seconds that it lasts");
		result = -1;
	}
	if (lock.again == 0)
		lock.again = lock.seconds;
	if (result == -1)
		rule_lock_clear(&lock);
	else {
		rule_lock_clear(out);
		*out = lock;
	}
	return result;
}

enum rule_attribute
rule_lock_attribute(const struct settings_rule *rule)
{
	enum rule_attribute	found = KEY__MAX;
	size_t			i;

	for (i = 0; i < rule->nkey; i++)
		if (rule->key[i] == KEY_SASL_USERNAME)
			return KEY_SASL_USERNAME;
		else if (rule->key[i] == KEY_CLIENT_ADDRESS)
			found = KEY_CLIENT_ADDRESS;
	return found;
}

static bool
rule_lock_same(const char *name, const char *bytes, size_t len)
{
	return strlen(name) == len && memcmp(name, bytes, len) == 0;
}

bool
rule_lock_is_named(const struct settings_rule *rule, const char *name,
    size_t len)
{
	size_t	i;

	for (i = 0; i < rule->nwas; i++)
		if (rule_lock_same(rule->was[i], name, len))
			return true;
	return rule_lock_same(rule->name, name, len);
}

void
rule_lock_check(const struct reading *r, const struct settings_rule *rule,
    const struct value *v)
{
	if (rule->lock.seconds > 0 && rule->count == RULE_NEW_RECIPIENTS &&
	    rule_lock_attribute(rule) != KEY_SASL_USERNAME)
		reader_fault(r, value_get(v, "lock"), "has a lock, and counts "
		    "new_recipients: its key must contain sasl_username");
	if (rule->lock.seconds > 0 && rule->count == RULE_EXTERNAL &&
	    rule->nkey > 1)
		reader_fault(r, value_get(v, "lock"), "has a lock, and counts "
		    "external: its key must be sasl_username or client_address "
		    "alone");
	if (rule->lock.seconds > 0 && rule->nkey > 0 &&
	    rule_lock_attribute(rule) == KEY__MAX)
		reader_fault(r, value_get(v, "lock"), "has a lock, but its key "
		    "has neither sasl_username nor client_address, which it "
		    "could lock");
}
