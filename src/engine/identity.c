#include <inttypes.h>
#include <string.h>

#include "engine/identity.h"
#include "lib/map.h"

enum part {
	PART_ALL,		/* the value as it is */
	PART_MAILBOX,		/* without the address extension */
	PART_DOMAIN,		/* what stands behind the last @ */
	PART_NETWORK,		/* the client's address, or its network */
	PART_NONE		/* one count for everything */
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
identity_from(const struct settings_networks *networks,
    const struct request *req)
{
	struct addr	client;
	size_t		i;

	if (networks->count == 0)
		return true;
	if (!identity_client(&client, req))
		return false;
	for (i = 0; i < networks->count; i++)
		if (addr_network_contains(&networks->list[i], &client))
			return true;
	return false;
}

static const char *
last_at(const struct request_value *v)
{
	size_t	i;

	for (i = v->len; i > 0; i--)
		if (v->bytes[i - 1] == '@')
			return v->bytes + i - 1;
	return NULL;
}

/*
 * As Postfix splits an address: at the first delimiter of the local part,
 * unless that is where it begins.
 */
static void
add_mailbox(struct str *out, const char *delimiters,
    const struct request_value *v)
{
	const char	*at = last_at(v);
	size_t		 local, i;

	local = at == NULL ? v->len : (size_t)(at - v->bytes);
	for (i = 0; i < local; i++)
		if (strchr(delimiters, v->bytes[i]) != NULL)
			break;
	str_add(out, v->bytes, i > 0 ? i : local);
	str_add(out, v->bytes + local, v->len - local);
}

static bool
add_domain(struct str *out, const struct request_value *v)
{
	const char	*at = last_at(v);
	size_t		 len;

	if (at == NULL || (len = v->len - (size_t)(at - v->bytes) - 1) == 0)
		return false;
	str_add(out, at + 1, len);
	return true;
}

static bool
add_network(struct str *out, const struct settings *s,
    const struct request *req)
{
	struct network	net;
	char		text[ADDR_TEXT_MAX];
	unsigned int	prefix;

	if (!identity_client(&net.addr, req))
		return false;
	prefix = net.addr.bits == 32 ? s->ipv4_prefix : s->ipv6_prefix;
	if (prefix >= net.addr.bits) {
		str_adds(out, addr_format(&net.addr, text, sizeof(text)));
		return true;
	}
	addr_mask(&net.addr, prefix);
	net.prefix = prefix;
	str_adds(out, addr_network_format(&net, text, sizeof(text)));
	return true;
}

bool
identity_add(struct str *out, const struct settings *s,
    const struct request *req, enum rule_attribute attr)
{
	const struct request_value	*v = &req->attr[identities[attr].from];
	size_t				 at = out->len;

	if (identities[attr].part == PART_NONE) {
		str_adds(out, identities[attr].name);
		return true;
	}
	if (v->len == 0)
		return false;
	switch (identities[attr].part) {
	case PART_NETWORK:
		return add_network(out, s, req);
	case PART_DOMAIN:
		if (!add_domain(out, v))
			return false;
		break;
	case PART_MAILBOX:
		if (s->recipient_delimiter[0] != '\0') {
			add_mailbox(out, s->recipient_delimiter, v);
			break;
		}
		/* FALLTHROUGH */
	default:
		str_add(out, v->bytes, v->len);
	}
	if (s->fold_case)
		str_fold(out->data + at, out->len - at);
	return true;
}

int64_t
identity_tag(const void *first, size_t firstlen, const void *second, size_t len)
{
	static const uint64_t	fixed[2] = {
		UINT64_C(0x706f6c6963796400), UINT64_C(0x726174656c696d69)
	};
	uint64_t		key[2], hash;

	/*
	 * The first part keys the hash of the second. With an instance, which
	 * is Postfix's choice, a sender cannot look for recipients of one tag.
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
