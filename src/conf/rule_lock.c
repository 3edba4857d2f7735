#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/match.h"
#include "conf/rule_lock.h"

#define RULE_LOCK_MAX	(366 * INT64_C(86400))	/* seconds */

#define AT(member)	.at = offsetof(struct settings_lock, member)

static const struct reader_row	rule_lock_rows[] = {
	{ .name = "for", .read = reader_int64, AT(seconds), .min = 1,
	    .max = RULE_LOCK_MAX },
	{ .name = "again", .read = reader_int64, AT(again), .min = 1,
	    .max = RULE_LOCK_MAX },
	{ .name = "action", .read = reader_string_or_none, AT(action),
	    .clear = reader_clear_text },
	{ .name = "except_recipients", .read = match_read_recipients,
	    AT(except), .clear = ids_clear }
};

#define RULE_LOCK_ROWS	(sizeof(rule_lock_rows) / sizeof(rule_lock_rows[0]))

void
rule_lock_clear(void *lock)
{
	reader_clear_rows(rule_lock_rows, RULE_LOCK_ROWS, lock);
}

int
rule_lock_read(const struct reading *r, const struct value *v)
{
	struct settings_lock	 lock, *out = r->out;
	size_t			 errors = r->faults->errors, i;

	if (v->type == VALUE_NONE)
		return 0;
	if (v->type != VALUE_DICT)
		return reader_mismatch(r, v, "a dictionary");
	memset(&lock, 0, sizeof(lock));
	for (i = 0; i + 1 < v->count; i += 2)
		reader_field(r, rule_lock_rows, RULE_LOCK_ROWS, &lock,
		    v->items[i], v->items[i + 1]);
	if (value_get(v, "for") == NULL)
		reader_fault(r, v, "has no \"for\": the seconds that it lasts");
	if (lock.again == 0)
		lock.again = lock.seconds;
	if (r->faults->errors != errors) {
		rule_lock_clear(&lock);
		return -1;
	}
	rule_lock_clear(out);
	*out = lock;
	return 0;
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
same_name(const char *name, const char *bytes, size_t len)
{
	return strlen(name) == len && memcmp(name, bytes, len) == 0;
}

bool
rule_lock_is_named(const struct settings_rule *rule, const char *name,
    size_t len)
{
	size_t	i;

	for (i = 0; i < rule->nwas; i++)
		if (same_name(rule->was[i], name, len))
			return true;
	return same_name(rule->name, name, len);
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
