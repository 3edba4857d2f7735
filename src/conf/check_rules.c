#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "conf/check.h"
#include "conf/match.h"
#include "conf/normal.h"
#include "conf/value.h"
#include "lib/addr.h"

/* The value of a field of rule `i`; NULL: the file does not have it. */
static const struct value *
rule_field(const struct settings *s, size_t i, const char *field)
{
	return value_get(settings_lookup(s, "rules")->items[i], field);
}

/* --- entries of limits_by_id that match nothing --- */

/* Why no id that the rule counts is like the entry, or NULL. */
static const char *
rule_mismatch(const struct settings_rule *rule, const char *bytes, size_t len)
{
	size_t	n = 1, i;

	if (rule->nkey > 1) {
		/* The values are separated by commas, but not by "\,". */
		for (i = 0; i < len; i++)
			if (bytes[i] == '\\')
				i++;
			else if (bytes[i] == ',')
				n++;
		return n == rule->nkey ? NULL :
		    "which has not as many values, with commas between them, "
		    "as the key has attributes";
	}
	if (rule->key[0] == KEY_SERVER)
		return len == strlen("server") &&
		    memcmp(bytes, "server", len) == 0 ? NULL :
		    "but the only id of this key is \"server\"";
	return match_never(rule->key[0], bytes, len);
}

/* The same without rules: an id is a login, a sender or an address. */
static const char *
plain_mismatch(const struct settings *s, const char *bytes, size_t len)
{
	if (match_never(KEY_CLIENT_ADDRESS, bytes, len) == NULL)
		return s->limit_by_ip ? NULL :
		    "which is the address of a client, but limit_by_ip is off";
	if (!s->limit_by_sasl && !s->limit_by_sender)
		return "but only addresses of clients are counted";
	return match_never(KEY_SASL_USERNAME, bytes, len);
}

/* An address that is counted by a shorter prefix never matches the entry. */
static bool
prefix_fits(const struct settings *s, const struct settings_rule *rule,
    const char *name, const struct value *key, size_t len,
    struct faults *faults)
{
	struct network	n;
	unsigned int	counted;

	if ((rule != NULL && (rule->nkey > 1 ||
	    rule->key[0] != KEY_CLIENT_ADDRESS)) ||
	    addr_network_parse(&n, key->bytes, len) == -1)
		return true;
	counted = settings_prefix(s, rule, n.addr.bits);
	if (n.prefix <= counted)
		return true;
	fault_warning(faults, key->line, key->column,
	    "%s has \"%s\", but clients are counted by networks of /%u: it "
	    "matches none", name, key->bytes, counted);
	return false;
}

/* `rule` is NULL for the setting limits_by_id. */
static void
verify_entries(const struct settings *s, const struct settings_rule *rule,
    const char *name, const struct value *v, struct faults *faults)
{
	const struct value	*key;
	const char		*why;
	size_t			 len, i;

	if (v == NULL || v->type != VALUE_DICT)
		return;
	for (i = 0; i + 1 < v->count; i += 2) {
		key = v->items[i];
		if (key->type != VALUE_STR)
			continue;
		len = normal_length(key->bytes, key->len);
		why = rule != NULL ? rule_mismatch(rule, key->bytes, len) :
		    plain_mismatch(s, key->bytes, len);
		if (prefix_fits(s, rule, name, key, len, faults) && why != NULL)
			fault_warning(faults, key->line, key->column,
			    "%s has \"%s\", %s", name, key->bytes, why);
	}
}

void
check_rules(const struct settings *s, struct faults *faults)
{
	char	name[48];
	size_t	i;

	if (s->nrules == 0 && (s->limit_by_sasl || s->limit_by_sender ||
	    s->limit_by_ip))
		verify_entries(s, NULL, "limits_by_id",
		    settings_lookup(s, "limits_by_id"), faults);
	for (i = 0; i < s->nrules; i++) {
		snprintf(name, sizeof(name), "rules[%zu].limits_by_id", i);
		verify_entries(s, &s->rules[i], name, rule_field(s, i,
		    "limits_by_id"), faults);
	}
}

/* --- where Postfix has to ask --- */

static void
warn_of_stage(const struct settings *s, size_t i, struct faults *faults)
{
	const struct settings_rule	*rule = &s->rules[i];
	const struct value		*v;

	v = rule_field(s, i, rule->count == RULE_DISTINCT_RECIPIENTS ||
	    rule->count == RULE_NEW_RECIPIENTS || rule->count == RULE_BYTES ?
	    "count" : "key");
	if (rule->at_rcpt)
		fault_warning(faults, v->line, v->column,
		    "rule %s counts at RCPT only: Postfix has to ask in "
		    "smtpd_recipient_restrictions, and a recipient that it "
		    "refuses afterwards stays counted", rule->name);
	else if (rule->count == RULE_BYTES)
		fault_warning(faults, v->line, v->column,
		    "rule %s counts at DATA and END-OF-MESSAGE only: Postfix "
		    "has to ask in smtpd_data_restrictions or "
		    "smtpd_end_of_data_restrictions", rule->name);
	else if (rule->count == RULE_NEW_RECIPIENTS)
		fault_warning(faults, v->line, v->column,
		    "rule %s should be asked in smtpd_recipient_restrictions: "
		    "later Postfix does not name the recipients of a mail to "
		    "several, so all of them count if the network is "
		    "unfamiliar, and nothing is learned", rule->name);
}

void
check_rules_notes(const struct settings *s, struct faults *faults)
{
	const struct value	*v;
	size_t			 i, j;

	for (i = 0; i < s->nrules; i++) {
		warn_of_stage(s, i, faults);
		v = rule_field(s, i, "key");
		for (j = 0; j < s->rules[i].nkey; j++)
			if (s->rules[i].key[j] == KEY_SASL_DOMAIN &&
			    s->default_domain[0] == '\0')
				fault_warning(faults, v->line, v->column,
				    "rule %s counts no login without \"@\": "
				    "set default_domain if there are such "
				    "logins", s->rules[i].name);
	}
}
