#include <inttypes.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/normal.h"
#include "engine/identity.h"
#include "lib/map.h"

enum part {
	PART_ALL,		/* the value itself */
	PART_KNOWN,		/* the value itself unless `unknown` */
	PART_MAILBOX,		/* without the address extension */
	PART_DOMAIN,		/* the part after the last @ */
	PART_NETWORK,		/* the client's address or network */
	PART_NONE		/* one id for everything */
};

static const struct {
	const char		*name;
	enum request_attribute	 from;
	enum part		 part;
} identities[KEY__MAX] = {
	[KEY_SASL_USERNAME] =
	    { "sasl_username", ATTR_SASL_USERNAME, PART_MAILBOX },
	[KEY_SASL_DOMAIN] =
	    { "sasl_domain", ATTR_SASL_USERNAME, PART_DOMAIN },
	[KEY_SENDER] =
	    { "sender", ATTR_SENDER, PART_MAILBOX },
	[KEY_SENDER_DOMAIN] =
	    { "sender_domain", ATTR_SENDER, PART_DOMAIN },
	[KEY_CLIENT_ADDRESS] =
	    { "client_address", ATTR_CLIENT_ADDRESS, PART_NETWORK },
	[KEY_RECIPIENT] =
	    { "recipient", ATTR_RECIPIENT, PART_MAILBOX },
	[KEY_RECIPIENT_DOMAIN] =
	    { "recipient_domain", ATTR_RECIPIENT, PART_DOMAIN },
	[KEY_HELO_NAME] =
	    { "helo_name", ATTR_HELO_NAME, PART_ALL },
	[KEY_CLIENT_NAME] =
	    { "client_name", ATTR_CLIENT_NAME, PART_KNOWN },
	[KEY_POLICY_CONTEXT] =
	    { "policy_context", ATTR_POLICY_CONTEXT, PART_ALL },
	[KEY_SERVER_PORT] =
	    { "server_port", ATTR_SERVER_PORT, PART_ALL },
	[KEY_CCERT_FINGERPRINT] =
	    { "ccert_fingerprint", ATTR_CCERT_FINGERPRINT, PART_ALL },
	[KEY_SERVER] =
	    { "server", ATTR_REQUEST, PART_NONE },
};

const char *
identity_name(enum rule_attribute attr)
{
	return identities[attr].name;
}

bool
identity_client(struct addr *addr, const struct request *req)
{
	const struct request_value	*v = &req->attr[ATTR_CLIENT_ADDRESS];

	return v->len > 0 && addr_parse(addr, v->bytes, v->len) == 0;
}

bool
identity_within(const struct settings_networks *networks,
    const struct addr *client)
{
	size_t	i;

	for (i = 0; i < networks->count; i++)
		if (addr_network_contains(&networks->list[i], client))
			return true;
	return false;
}

bool
identity_from(const struct settings_networks *networks,
    const struct request *req)
{
	struct addr	client;

	return networks->count == 0 || (identity_client(&client, req) &&
	    identity_within(networks, &client));
}

void
identity_address(struct str *out, const struct settings *s,
    const struct settings_rule *rule, const struct addr *client)
{
	struct network	net;
	char		text[ADDR_TEXT_MAX];
	unsigned int	prefix;

	net.addr = *client;
	prefix = settings_prefix(s, rule, net.addr.bits);
	if (prefix >= net.addr.bits) {
		str_adds(out, addr_format(&net.addr, text, sizeof(text)));
		return;
	}
	addr_mask(&net.addr, prefix);
	net.prefix = prefix;
	str_adds(out, addr_network_format(&net, text, sizeof(text)));
}

bool
identity_value(struct str *out, const struct settings *s,
    enum rule_attribute attr, const char *bytes, size_t len)
{
	const char	*domain = "", *sign;
	size_t		 at = out->len;

	/* Only a login belongs to this host's domain. */
	if (identities[attr].from == ATTR_SASL_USERNAME)
		domain = s->default_domain;
	switch (identities[attr].part) {
	case PART_DOMAIN:
		if ((sign = normal_domain(bytes, len)) == NULL)
			str_adds(out, domain);
		else
			str_add(out, sign + 1,
			    len - (size_t)(sign - bytes) - 1);
		break;
	case PART_MAILBOX:
		normal_mailbox(out, s, domain, bytes, len);
		return out->len > at;
	default:
		str_add(out, bytes, len);
	}
	if (s->fold_case)
		str_fold(out->data + at, out->len - at);
	return out->len > at;
}

bool
identity_add(struct str *out, const struct settings *s,
    const struct settings_rule *rule, const struct request *req,
    enum rule_attribute attr)
{
	const struct request_value	*v = &req->attr[identities[attr].from];
	struct addr			 client;

	if (identities[attr].part == PART_NONE) {
		str_adds(out, identities[attr].name);
		return true;
	}
	if (v->len == 0)
		return false;
	if (identities[attr].part == PART_NETWORK) {
		if (!identity_client(&client, req))
			return false;
		identity_address(out, s, rule, &client);
		return true;
	}
	if (identities[attr].part == PART_KNOWN && v->len == 7 &&
	    memcmp(v->bytes, "unknown", 7) == 0)
		return false;
	return identity_value(out, s, attr, v->bytes, v->len);
}

void
identity_escape(struct str *ids, size_t at)
{
	size_t	from = ids->len, to, i;

	for (i = at; i < from; i++)
		if (ids->data[i] == ',' || ids->data[i] == '\\')
			str_addc(ids, 0);
	/* From the end, so that no byte is moved twice. */
	for (to = ids->len; to > from;) {
		ids->data[--to] = ids->data[--from];
		if (ids->data[to] == ',' || ids->data[to] == '\\')
			ids->data[--to] = '\\';
	}
}

/* --- lists of values --- */

static bool
has_value(struct str *scratch, const struct settings *s, const struct ids *ids,
    const struct request *req, enum rule_attribute attr)
{
	struct addr	client;
	size_t		at = scratch->len;
	bool		found;

	/* Compares the whole address, whatever prefix is counted. */
	if (attr == KEY_CLIENT_ADDRESS)
		return identity_client(&client, req) &&
		    ids_find_address(ids, &client) != NULL;
	found = identity_add(scratch, s, NULL, req, attr) &&
	    ids_find_name(ids, scratch->data + at, scratch->len - at) != NULL;
	scratch->len = at;
	return found;
}

bool
identity_matches(struct str *scratch, const struct settings *s,
    const struct settings_match *m, const struct request *req, bool all)
{
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (has_value(scratch, s, m->list[i].ids, req,
		    m->list[i].attr) != all)
			return !all;
	return all;
}

unsigned int
identity_exempt(struct str *scratch, const struct settings *s,
    const struct request *req)
{
	static const enum rule_attribute	attrs[] = {
		KEY_SASL_USERNAME, KEY_CLIENT_ADDRESS
	};
	unsigned int				bits = 0;
	size_t					i;

	if (ids_first(s->exempt) == NULL)
		return 0;
	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (has_value(scratch, s, s->exempt, req, attrs[i]))
			bits |= 1U << attrs[i];
	return bits;
}

bool
identity_counts_exempt(struct str *scratch, const struct settings *s,
    const struct settings_rule *rule, const struct request *req)
{
	struct addr	client;
	size_t		at = scratch->len;
	bool		found;

	if (!identity_client(&client, req))
		return false;
	identity_address(scratch, s, rule, &client);
	found = ids_find(s->exempt, scratch->data + at, scratch->len - at) !=
	    NULL;
	scratch->len = at;
	return found;
}

bool
identity_is_exempt(const struct settings *s, const char *bytes, size_t len)
{
	struct addr	client;
	struct str	id;
	bool		found;

	if (addr_parse(&client, bytes, len) == 0)
		return ids_find_address(s->exempt, &client) != NULL;
	str_init(&id);
	found = identity_value(&id, s, KEY_SASL_USERNAME, bytes, len) &&
	    ids_find_name(s->exempt, id.data, id.len) != NULL;
	str_clear(&id);
	return found;
}

/* --- hashes --- */

int64_t
identity_tag(const void *first, size_t firstlen, const void *second, size_t len)
{
	static const uint64_t	fixed[2] = {
		UINT64_C(0x706f6c6963796400), UINT64_C(0x726174656c696d69)
	};
	uint64_t		key[2], hash;

	/*
	 * The first part is the key for hashing the second. With an instance,
	 * which Postfix chooses, a sender cannot find two recipients with one
	 * tag.
	 */
	key[0] = map_siphash(fixed, first, firstlen);
	key[1] = fixed[1];
	hash = map_siphash(key, second, len) & INT64_MAX;
	return hash == 0 ? 1 : (int64_t)hash;
}

void
identity_bound(struct str *out, size_t at, size_t max)
{
	int64_t	tag;

	if (out->len - at <= max)
		return;
	tag = identity_tag("", 0, out->data + at, out->len - at);
	out->len = at + max - 17;
	str_addf(out, "#%016" PRIx64, (uint64_t)tag);
}
