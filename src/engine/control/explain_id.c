#include <errno.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/normal.h"
#include "conf/stored_id.h"
#include "engine/blocks.h"
#include "engine/control/explain_id.h"
#include "engine/identity.h"

/* Adds a key; the caller sets its id. The limits are those of the value. */
static struct msg_charge_key *
show_key(struct msg_charge *charge, unsigned int rule, const struct ids *by_id,
    const struct limits *otherwise, const char *value, size_t len)
{
	struct msg_charge_key	*key = &charge->keys[charge->nkeys++];
	const struct limits	*limits = NULL;

	if (by_id != NULL)
		limits = settings_id_limits(by_id, value, len);
	memset(key, 0, sizeof(*key));
	key->amount = 1;
	key->value = "";
	key->rule = (uint16_t)rule;
	key->limits = limits != NULL ? *limits : *otherwise;
	/* A full rule must not hide the others. */
	key->shadow = true;
	return key;
}

/*
 * Appends the id by which a rule counts what an administrator wrote; false: it
 * does not count that.
 */
static bool
id_under(struct str *out, const struct settings *s,
    const struct settings_rule *rule, enum rule_attribute attr,
    const char *bytes, size_t len)
{
	struct network	net;
	char		text[ADDR_TEXT_MAX];
	unsigned int	counted;
	bool		address;
	size_t		at = out->len;

	len = normal_length(bytes, len);
	address = addr_network_parse(&net, bytes, len) == 0;
	if (!address && errno == EDOM)
		return false;
	switch (attr) {
	case KEY_CLIENT_ADDRESS:
		if (!address)
			break;
		counted = settings_prefix(s, rule, net.addr.bits);
		if (net.prefix == net.addr.bits)
			identity_address(out, s, rule, &net.addr);
		else if (net.prefix == counted)
			str_adds(out, addr_network_format(&net, text,
			    sizeof(text)));
		break;
	case KEY_SASL_DOMAIN:
	case KEY_SENDER_DOMAIN:
	case KEY_RECIPIENT_DOMAIN:
		if (len > 0 && bytes[0] == '@') {
			bytes++;
			len--;
		}
		if (address || memchr(bytes, '@', len) != NULL)
			break;
		str_add(out, bytes, len);
		if (s->fold_case)
			str_fold(out->data + at, out->len - at);
		break;
	case KEY_SERVER:
		if (len == strlen("server") && memcmp(bytes, "server",
		    len) == 0)
			str_add(out, bytes, len);
		break;
	default:
		if (!address && len > 0 && bytes[0] != '@')
			(void)identity_value(out, s, attr, bytes, len);
	}
	return out->len > at;
}

/*
 * The same for a combination, whose values have commas between them. A
 * backslash makes a comma a part of the value.
 */
static bool
id_combination(struct str *out, const struct settings *s,
    const struct settings_rule *rule, const char *bytes, size_t len)
{
	struct str	value;
	bool		good = true;
	size_t		at, i, j = 0;

	str_init(&value);
	for (i = 0; i < rule->nkey && good; i++) {
		value.len = 0;
		for (; j < len && bytes[j] != ','; j++) {
			j += bytes[j] == '\\' && j + 1 < len;
			str_addc(&value, (unsigned char)bytes[j]);
		}
		/* No value is empty, so there is one. */
		good = (j++ < len) == (i + 1 < rule->nkey) && value.len > 0;
		if (i > 0)
			str_addc(out, ',');
		at = out->len;
		good = good && id_under(out, s, rule, rule->key[i], value.data,
		    value.len);
		identity_escape(out, at);
	}
	str_clear(&value);
	return good;
}

/*
 * Takes the limits off the key, if `exempt` names its id. Returns whether it
 * does.
 */
static bool
show_exempt(struct msg_charge_key *key, const struct settings *s,
    enum rule_attribute attr, const char *id, size_t len)
{
	if (attr == KEY_SASL_USERNAME ?
	    ids_find_name(s->exempt, id, len) == NULL :
	    attr != KEY_CLIENT_ADDRESS || ids_find(s->exempt, id, len) == NULL)
		return false;
	key->limits.count = 0;
	key->sql = key->map = false;
	key->max_per_mail = 0;
	return true;
}

/* Whether it is an address, or a network, which is never counted. */
static bool
id_outside(const struct settings_networks *networks, const char *bytes,
    size_t len)
{
	struct network	net;

	return addr_network_parse(&net, bytes, normal_length(bytes,
	    len)) == 0 && net.prefix == net.addr.bits &&
	    !identity_within(networks, &net.addr);
}

/* Whether a change without a rule's name applies to this rule. */
static bool
rule_counts_mails(const struct settings_rule *r)
{
	static const bool	others[KEY__MAX] = {
		[KEY_RECIPIENT] = true, [KEY_HELO_NAME] = true,
		[KEY_CLIENT_NAME] = true, [KEY_POLICY_CONTEXT] = true,
		[KEY_SERVER_PORT] = true, [KEY_CCERT_FINGERPRINT] = true
	};

	return (r->count == RULE_RECIPIENTS || r->count == RULE_MESSAGES) &&
	    !others[r->key[0]];
}

/*
 * Makes the id for each rule; `ids` holds them one after the other. Returns
 * whether one of them is exempt.
 */
static bool
show_rules(struct msg_charge *charge, const struct settings *s, const char *id,
    size_t idlen, struct str *ids, bool mails)
{
	const struct settings_rule	*r;
	const struct settings_rule	*named = stored_id_named(s, id, idlen);
	struct msg_charge_key		*key;
	const char			*value;
	enum rule_attribute		 kind = KEY__MAX;
	struct network			 net;
	size_t				 i, name, at[RULES_MAX];
	bool				 exempt = false;

	if (named != NULL) {
		name = strlen(named->name) + 1;
		id += name;
		idlen -= name;
	} else if (addr_network_parse(&net, id, idlen) == -1 &&
	    (kind = blocks_kind(&id, &idlen)) == KEY__MAX &&
	    memchr(id, ':', idlen) != NULL)
		/* The name of no rule, as for a block. */
		return false;
	for (i = 0; i < s->nrules; i++) {
		r = &s->rules[i];
		if (named != NULL ? r != named : mails && !rule_counts_mails(r))
			continue;
		if (kind != KEY__MAX && (r->nkey > 1 || r->key[0] != kind))
			continue;
		at[charge->nkeys] = ids->len;
		str_addf(ids, "%s:", r->name);
		name = ids->len;
		if (r->nkey > 1 ? named == NULL ||
		    !id_combination(ids, s, r, id, idlen) :
		    !id_under(ids, s, r, r->key[0], id, idlen) ||
		    (r->key[0] == KEY_CLIENT_ADDRESS && r->networks.count > 0 &&
		    id_outside(&r->networks, id, idlen))) {
			ids->len = at[charge->nkeys];
			continue;
		}
		value = ids->data + name;
		key = show_key(charge, (unsigned int)i, r->limits_by_id,
		    &r->limits, value, ids->len - name);
		key->idlen = ids->len - at[charge->nkeys - 1];
		key->sql = r->sql_limits_by_id != NULL;
		key->map = r->id_sql != NULL;
		if (r->count == RULE_EXTERNAL)
			key->kind = CHARGE_EXTERNAL;
		if (mails)
			continue;
		key->max_per_mail = r->max_per_mail;
		if (r->nkey == 1 && show_exempt(key, s, r->key[0], value,
		    ids->len - name))
			exempt = true;
	}
	/* `ids` does not grow any more: sets the pointers into it. */
	for (i = 0; i < charge->nkeys; i++)
		charge->keys[i].id = ids->data + at[i];
	return exempt;
}

bool
explain_id_fits(struct control *c, const struct control_word *word)
{
	if (word->len <= EXPLAIN_ID_MAX)
		return true;
	control_fail(c, "the id is too long");
	return false;
}

bool
explain_id(struct msg_charge *charge, const struct settings *s,
    const struct control_word *word, struct str *ids, bool mails)
{
	const char		*id = word->bytes;
	size_t			 len = normal_length(id, word->len);
	struct msg_charge_key	*key;
	enum rule_attribute	 kind;
	struct network		 net;
	bool			 counts;

	memset(charge, 0, offsetof(struct msg_charge, keys));
	charge->mode = CHARGE_EACH;
	charge->instance = charge->state = "";
	if (s->nrules > 0)
		return show_rules(charge, s, id, len, ids, mails);
	if ((kind = blocks_kind(&id, &len)) == KEY__MAX)
		kind = addr_network_parse(&net, id, len) == 0 ?
		    KEY_CLIENT_ADDRESS : s->limit_by_sasl ?
		    KEY_SASL_USERNAME : KEY_SENDER;
	counts = kind == KEY_SASL_USERNAME ? s->limit_by_sasl :
	    kind == KEY_SENDER ? s->limit_by_sender :
	    kind == KEY_CLIENT_ADDRESS && s->limit_by_ip &&
	    !id_outside(&s->limited_networks, id, len);
	if (!counts || !id_under(ids, s, NULL, kind, id, len))
		return false;
	key = show_key(charge, 0, s->limits_by_id, &s->limits, ids->data,
	    ids->len);
	key->id = ids->data;
	key->idlen = ids->len;
	key->sql = s->sql_limits_by_id[0] != '\0';
	return !mails && show_exempt(key, s, kind, ids->data, ids->len);
}
