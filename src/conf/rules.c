#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/limits.h"
#include "conf/match.h"
#include "conf/rule_lock.h"
#include "conf/rules.h"
#include "ipc/message.h"
#include "lib/alloc.h"

#define RULES_NAME_MAX		64	/* bytes of a rule's name */
#define RULES_NAME_CHARS	"abcdefghijklmnopqrstuvwxyz" \
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

#define RULES_LEARN		(INT64_C(90) * 86400)
#define RULES_LEARN_MAX		(INT64_C(3660) * 86400)

/* The networks of a rule that counts new recipients, unless it says more. */
#define RULES_HABIT_IPV4	24
#define RULES_HABIT_IPV6	48

static reader	read_key, read_unless, read_name, read_was;

static const struct reader_word	rules_counts[] = {
	{ "recipients",		RULE_RECIPIENTS },
	{ "messages",		RULE_MESSAGES },
	{ "bytes",		RULE_BYTES },
	{ "addresses",		RULE_ADDRESSES },
	{ "distinct_recipients", RULE_DISTINCT_RECIPIENTS },
	{ "senders",		RULE_SENDERS },
	{ "new_recipients",	RULE_NEW_RECIPIENTS },
	{ "external",		RULE_EXTERNAL },
	{ NULL,			0 }
};

#define AT(member)	.at = offsetof(struct settings_rule, member)
#define TEXT(member)	AT(member), .clear = reader_clear_text

/* The member of `key` and `was` is the whole rule: they fill two members. */
static const struct reader_row	rules_fields[] = {
	{ .name = "name", .type = "str", .read = read_name, TEXT(name) },
	{ .name = "was", .type = "str or list of str", .read = read_was },
	{ .name = "key", .type = "str or list of str", .read = read_key,
	    .words = match_attributes },
	{ .name = "id_sql", .type = "str", .read = reader_query,
	    TEXT(id_sql) },
	{ .name = "limits", .type = "list of [mails, seconds]",
	    .read = limits_read, AT(limits), .clear = limits_clear },
	{ .name = "limits_by_id", .type = "dict", .read = limits_read_by_id,
	    AT(limits_by_id), .clear = ids_clear },
	{ .name = "sql_limits_by_id", .type = "str", .read = reader_query,
	    TEXT(sql_limits_by_id) },
	{ .name = "count", .type = "str", .read = reader_word, AT(count),
	    .words = rules_counts },
	{ .name = "only", .type = "dict", .read = match_read,
	    AT(only), .clear = match_clear },
	{ .name = "except", .type = "dict", .read = match_read,
	    AT(except), .clear = match_clear },
	{ .name = "networks", .type = "list of str", .read = reader_networks,
	    AT(networks), .clear = reader_clear_networks },
	{ .name = "unless", .type = "str", .read = read_unless,
	    AT(unless), .words = match_attributes },
	{ .name = "ipv4_prefix", .type = "int", .read = reader_unsigned,
	    AT(ipv4_prefix), .min = 1, .max = 32 },
	{ .name = "ipv6_prefix", .type = "int", .read = reader_unsigned,
	    AT(ipv6_prefix), .min = 1, .max = 128 },
	{ .name = "max_per_mail", .type = "int", .read = reader_int64,
	    AT(max_per_mail), .min = 1, .max = LIMITS_MAILS_MAX },
	{ .name = "unfamiliar", .type = "int", .read = reader_int64,
	    AT(unfamiliar), .min = 1, .max = CHARGE_LEARNING - 1 },
	{ .name = "learn", .type = "int", .read = reader_int64,
	    AT(learn), .min = 86400, .max = RULES_LEARN_MAX },
	{ .name = "action", .type = "str", .read = reader_string_or_none,
	    TEXT(action) },
	{ .name = "lock", .type = "dict", .read = rule_lock_read,
	    AT(lock), .clear = rule_lock_clear },
	{ .name = "warn_at", .type = "int", .read = reader_unsigned,
	    AT(warn_at), .max = 100 },
	{ .name = "shadow", .type = "bool", .read = reader_bool,
	    AT(shadow) },
	{ .name = "report", .type = "bool", .read = reader_bool,
	    AT(report) }
};

#define RULES_FIELDS	(sizeof(rules_fields) / sizeof(rules_fields[0]))

const struct reader_row *
rules_field(size_t i)
{
	return i < RULES_FIELDS ? &rules_fields[i] : NULL;
}

/*
 * Names are used in logs, reports and on policyctl's command line, and before
 * the ids in the database, followed by a colon.
 */
static int
read_name(const struct reading *r, const struct value *v)
{
	if (v->type == VALUE_STR && v->len > RULES_NAME_MAX)
		return reader_fault(r, v, "is longer than %d bytes",
		    RULES_NAME_MAX);
	if (v->type == VALUE_STR &&
	    (strspn(v->bytes, RULES_NAME_CHARS) != v->len || v->len == 0))
		return reader_fault(r, v, "must be made of letters, digits, "
		    "\".\", \"_\" and \"-\"");
	return reader_string(r, v);
}

static void
clear_was(struct settings_rule *rule)
{
	while (rule->nwas > 0)
		free(rule->was[--rule->nwas]);
}

static int
read_was(const struct reading *r, const struct value *v)
{
	struct settings_rule	*rule = r->out;
	struct reading		 one = *r;
	char			*name;
	size_t			 n, i;

	n = READER_IS_LIST(v) ? v->count : v->type == VALUE_NONE ? 0 : 1;
	if (n > RULE_WAS_MAX)
		return reader_fault(r, v, "names more than %d earlier names",
		    RULE_WAS_MAX);
	clear_was(rule);
	for (i = 0; i < n; i++) {
		name = NULL;
		one.out = &name;
		if (read_name(&one, READER_IS_LIST(v) ? v->items[i] : v) == -1)
			return -1;
		rule->was[rule->nwas++] = name;
	}
	return 0;
}

static int
read_attribute(const struct reading *r, const struct value *v, int *attribute)
{
	struct reading	word;

	word = *r;
	word.out = attribute;
	return reader_word(&word, v);
}

static int
read_key(const struct reading *r, const struct value *v)
{
	struct settings_rule	*rule = r->out;
	const struct value	*item;
	int			 attribute;
	size_t			 i, n;

	n = READER_IS_LIST(v) ? v->count : 1;
	if (n < 1 || n > RULE_KEY_MAX)
		return reader_fault(r, v, "must name one to %d attributes",
		    RULE_KEY_MAX);
	rule->nkey = 0;
	while (rule->nkey < n) {
		item = READER_IS_LIST(v) ? v->items[rule->nkey] : v;
		if (read_attribute(r, item, &attribute) == -1)
			return -1;
		for (i = 0; i < rule->nkey; i++)
			if ((int)rule->key[i] == attribute)
				return reader_fault(r, item, "names %s twice",
				    item->bytes);
		if (attribute == KEY_SERVER && n > 1)
			return reader_fault(r, item,
			    "has \"server\" beside others: it stands for "
			    "everything");
		rule->key[rule->nkey++] = (enum rule_attribute)attribute;
	}
	return 0;
}

static int
read_unless(const struct reading *r, const struct value *v)
{
	int	attribute;

	if (v->type == VALUE_NONE) {
		*(int *)r->out = -1;
		return 0;
	}
	if (read_attribute(r, v, &attribute) == -1)
		return -1;
	if (attribute == KEY_SERVER)
		return reader_fault(r, v,
		    "is \"server\", which is always there: the rule would "
		    "never apply");
	*(int *)r->out = attribute;
	return 0;
}

void
rules_clear(struct settings *s)
{
	size_t	i;

	for (i = 0; i < s->nrules; i++) {
		reader_clear_rows(rules_fields, RULES_FIELDS, &s->rules[i]);
		clear_was(&s->rules[i]);
	}
	free(s->rules);
	s->rules = NULL;
	s->nrules = 0;
}

/* Checks for required fields; a wrong field is not reported a second time. */
static void
check_rule(const struct reading *r, const struct settings_rule *rule,
    const struct value *v)
{
	static const char	*const habit[] = { "unfamiliar", "learn" };
	size_t			 i;

	if (value_get(v, "name") == NULL)
		reader_fault(r, v, "has no name");
	if (value_get(v, "key") == NULL)
		reader_fault(r, v, "has no key: what is counted");
	if (value_get(v, "limits") == NULL &&
	    value_get(v, "limits_by_id") == NULL &&
	    value_get(v, "sql_limits_by_id") == NULL &&
	    value_get(v, "max_per_mail") == NULL)
		reader_fault(r, v, "has none of limits, limits_by_id, "
		    "sql_limits_by_id and max_per_mail");
	if (value_get(v, "max_per_mail") != NULL &&
	    rule->count != RULE_RECIPIENTS && rule->count != RULE_BYTES)
		reader_fault(r, value_get(v, "max_per_mail"), "has "
		    "max_per_mail, which is for rules that count recipients or "
		    "bytes");
	for (i = 0; i < sizeof(habit) / sizeof(habit[0]); i++)
		if (rule->count != RULE_NEW_RECIPIENTS &&
		    value_get(v, habit[i]) != NULL)
			reader_fault(r, value_get(v, habit[i]), "has %s, "
			    "which is for rules that count new_recipients",
			    habit[i]);
	if (rule->count == RULE_NEW_RECIPIENTS &&
	    rule->learn < rule->unfamiliar)
		reader_fault(r, value_get(v, "learn"), "has a learn that is "
		    "shorter than its unfamiliar: no network would ever be "
		    "familiar");
	rule_lock_check(r, rule, v);
	if (rule->at_rcpt && rule->count == RULE_BYTES)
		reader_fault(r, v, "looks at the recipient, which is known at "
		    "RCPT, and counts bytes, which are known later: it would "
		    "never apply");
	for (i = 0; rule->name != NULL && &r->settings->rules[i] < rule; i++)
		if (r->settings->rules[i].name != NULL &&
		    strcmp(r->settings->rules[i].name, rule->name) == 0) {
			reader_fault(r, value_get(v, "name"),
			    "has the name of another rule, \"%s\"", rule->name);
			break;
		}
}

static void
read_rule(const struct reading *r, struct settings_rule *rule,
    const struct value *v)
{
	struct reading		 one = *r;
	const struct value	*item;
	bool			 last;
	size_t			 i, pass;

	if (v->type != VALUE_DICT) {
		reader_mismatch(r, v, "a dictionary");
		return;
	}
	rule->unless = -1;
	rule->learn = RULES_LEARN;
	rule->ipv4_prefix = r->settings->ipv4_prefix;
	rule->ipv6_prefix = r->settings->ipv6_prefix;
	/* By default a rule is reported if `report` is on. */
	rule->report = r->settings->report;
	one.rule = rule;
	/* limits_by_id is last: the key says how its ids are written. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i + 1 < v->count; i += 2) {
			item = v->items[i + 1];
			last = item == value_get(v, "limits_by_id");
			if (last == (pass == 1))
				reader_field(&one, rules_fields, RULES_FIELDS,
				    rule, v->items[i], item);
		}
	/* "" switches a query off. */
	if (rule->sql_limits_by_id != NULL && *rule->sql_limits_by_id == '\0')
		reader_clear_text(&rule->sql_limits_by_id);
	if (rule->id_sql != NULL && *rule->id_sql == '\0')
		reader_clear_text(&rule->id_sql);
	if (rule->count == RULE_NEW_RECIPIENTS) {
		if (value_get(v, "ipv4_prefix") == NULL)
			rule->ipv4_prefix = RULES_HABIT_IPV4;
		if (value_get(v, "ipv6_prefix") == NULL)
			rule->ipv6_prefix = RULES_HABIT_IPV6;
	}
	rule->at_rcpt = rule->count == RULE_DISTINCT_RECIPIENTS ||
	    match_needs_rcpt(rule);
	check_rule(r, rule, v);
}

/* Two rules with one name would count each other's mail. */
static void
check_was(const struct reading *r, const struct value *v)
{
	const struct settings_rule	*rules = r->settings->rules;
	struct reading			 one = *r;
	const char			*was, *other;
	char				 name[32];
	size_t				 i, j, k, n, earlier;

	one.name = name;
	for (i = 0; i < r->settings->nrules; i++)
		for (j = 0; j < rules[i].nwas; j++)
			for (k = 0; k < r->settings->nrules; k++) {
				was = rules[i].was[j];
				/* Each pair of earlier names is seen once. */
				earlier = k < i ? rules[k].nwas :
				    k == i ? j : 0;
				other = rules[k].name;
				for (n = 0; n < earlier && (other == NULL ||
				    strcmp(other, was) != 0); n++)
					other = rules[k].was[n];
				if (other == NULL || strcmp(other, was) != 0)
					continue;
				(void)snprintf(name, sizeof(name),
				    "rules[%zu].was", i);
				reader_fault(&one, value_get(v->items[i],
				    "was"), "has a name of rules[%zu], \"%s\"",
				    k, was);
			}
}

int
rules_read(const struct reading *r, const struct value *v)
{
	struct settings	*s = r->out;
	struct reading	 one;
	char		 name[32];
	size_t		 errors, i;

	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of dictionaries or None");
	if (v->type != VALUE_NONE && v->count == 0)
		return reader_fault(r, v,
		    "holds no rule; write None to have none");
	if (v->count > RULES_MAX)
		return reader_fault(r, v, "holds more than %d rules",
		    RULES_MAX);
	errors = r->faults->errors;
	rules_clear(s);
	if (v->count > 0)
		s->rules = alloc_zero(v->count, sizeof(*s->rules));
	for (i = 0; i < v->count; i++) {
		snprintf(name, sizeof(name), "rules[%zu]", i);
		one = *r;
		one.name = name;
		s->nrules = i + 1;
		read_rule(&one, &s->rules[i], v->items[i]);
	}
	if (r->faults->errors == errors)
		check_was(r, v);
	return r->faults->errors == errors ? 0 : -1;
}
