#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/ids.h"
#include "conf/match.h"
#include "conf/normal.h"
#include "lib/addr.h"
#include "lib/str.h"

const struct reader_word	match_attributes[] = {
	{ "sasl_username",	KEY_SASL_USERNAME },
	{ "sasl_domain",	KEY_SASL_DOMAIN },
	{ "sender",		KEY_SENDER },
	{ "sender_domain",	KEY_SENDER_DOMAIN },
	{ "client_address",	KEY_CLIENT_ADDRESS },
	{ "recipient",		KEY_RECIPIENT },
	{ "recipient_domain",	KEY_RECIPIENT_DOMAIN },
	{ "helo_name",		KEY_HELO_NAME },
	{ "client_name",	KEY_CLIENT_NAME },
	{ "policy_context",	KEY_POLICY_CONTEXT },
	{ "server_port",	KEY_SERVER_PORT },
	{ "ccert_fingerprint",	KEY_CCERT_FINGERPRINT },
	{ "server",		KEY_SERVER },
	{ NULL,			0 }
};

void
match_clear(void *member)
{
	struct settings_match	*m = member;
	size_t			 i;

	for (i = 0; i < m->count; i++)
		ids_free(m->list[i].ids);
	m->count = 0;
}

static bool
has_attribute(const struct settings_match *m, enum rule_attribute attr)
{
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (m->list[i].attr == attr)
			return true;
	return false;
}

bool
match_needs_rcpt(const struct settings_rule *rule)
{
	static const enum rule_attribute	attrs[] = {
		KEY_RECIPIENT, KEY_RECIPIENT_DOMAIN
	};
	size_t					i, j;

	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		for (j = 0; j < rule->nkey; j++)
			if (rule->key[j] == attrs[i])
				return true;
		if (has_attribute(&rule->only, attrs[i]) ||
		    has_attribute(&rule->except, attrs[i]))
			return true;
	}
	return false;
}

/* --- values --- */

/* Whether it looks like a domain; a name such as john.smith does not. */
static bool
looks_like_domain(const char *bytes, size_t len)
{
	static const char	*const tops[] = {
		"com", "edu", "example", "gov", "info", "int", "net", "org",
		"test"
	};
	const char		*top;
	size_t			 n, i;

	for (top = bytes + len; top > bytes && top[-1] != '.'; top--)
		continue;
	n = len - (size_t)(top - bytes);
	if (top == bytes || memchr(bytes, '@', len) != NULL)
		return false;
	for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (strlen(tops[i]) == n && strncasecmp(top, tops[i], n) == 0)
			return true;
	return n == 2;
}

const char *
match_never(enum rule_attribute attr, const char *bytes, size_t len)
{
	struct network	n;
	bool		address = addr_network_parse(&n, bytes, len) == 0;

	switch (attr) {
	case KEY_CLIENT_ADDRESS:
		return address ? NULL : "which is neither an address nor a "
		    "network";
	case KEY_SASL_USERNAME:
	case KEY_SENDER:
	case KEY_RECIPIENT:
		if (address)
			return "which is an address of a client";
		if (len > 1 && bytes[0] == '*' && bytes[1] == '@')
			return "which is not a pattern: a domain is written "
			    "\"@example.org\"";
		return looks_like_domain(bytes, len) ?
		    "which is one whole id: a domain is written "
		    "\"@example.org\"" : NULL;
	case KEY_SASL_DOMAIN:
	case KEY_SENDER_DOMAIN:
	case KEY_RECIPIENT_DOMAIN:
		return memchr(bytes, '@', len) != NULL ?
		    "which has an \"@\" and is not a domain" : NULL;
	default:
		return NULL;
	}
}

static int
read_port(const struct reading *r, struct ids *ids, const struct value *v)
{
	struct reading	port = *r;
	char		text[8];
	int64_t		n;
	bool		fresh;

	port.out = &n;
	port.min = 1;
	port.max = UINT16_MAX;
	if (v->type == VALUE_STR)
		return reader_fault(r, v, "must be a number, not a string");
	if (reader_int64(&port, v) == -1)
		return -1;
	snprintf(text, sizeof(text), "%d", (int)n);
	(void)ids_add(ids, text, strlen(text), &fresh);
	return 0;
}

static int
read_text(const struct reading *r, struct ids *ids, enum rule_attribute attr,
    const struct value *v)
{
	const char	*why;
	struct str	 id;
	size_t		 at = 0;
	bool		 fresh;
	int		 result = 0;

	if (v->type != VALUE_STR)
		return reader_mismatch(r, v, "a list of strings");
	if (attr == KEY_SASL_DOMAIN || attr == KEY_SENDER_DOMAIN ||
	    attr == KEY_RECIPIENT_DOMAIN)
		at = v->bytes[0] == '@';
	str_init(&id);
	normal_text(&id, r->settings, attr, v->bytes + at, v->len - at);
	if (id.len == 0)
		result = reader_fault(r, v, "has an empty value");
	else {
		if ((why = match_never(attr, id.data, id.len)) != NULL)
			reader_warning(r, v, "has \"%s\", %s", v->bytes, why);
		(void)ids_add(ids, id.data, id.len, &fresh);
	}
	str_clear(&id);
	return result;
}

static int
read_value(const struct reading *r, struct ids *ids, enum rule_attribute attr,
    const struct value *v)
{
	struct network	n;
	bool		fresh;

	if (attr == KEY_SERVER_PORT)
		return read_port(r, ids, v);
	if (attr != KEY_CLIENT_ADDRESS)
		return read_text(r, ids, attr, v);
	if (reader_network(r, v, &n) == -1)
		return -1;
	(void)ids_add_network(ids, &n, &fresh);
	return 0;
}

/* --- only and except --- */

static int
read_values(const struct reading *r, struct settings_match *m,
    enum rule_attribute attr, const struct value *v)
{
	size_t	n = READER_IS_LIST(v) ? v->count : 1, i;
	int	result = 0;

	if (n == 0)
		return reader_fault(r, v, "is an empty list");
	m->list[m->count].attr = attr;
	m->list[m->count].ids = ids_new(r->settings);
	for (i = 0; i < n; i++)
		if (read_value(r, m->list[m->count].ids, attr,
		    READER_IS_LIST(v) ? v->items[i] : v) == -1)
			result = -1;
	m->count++;
	return result;
}

int
match_read(const struct reading *r, const struct value *v)
{
	struct settings_match	*m = r->out;
	struct reading		 word = *r, values = *r;
	char			 name[READER_NAME_MAX];
	int			 attr, result = 0;
	size_t			 i;

	if (v->type == VALUE_NONE)
		return 0;
	if (v->type != VALUE_DICT)
		return reader_mismatch(r, v,
		    "a dictionary of attributes and lists of values");
	word.out = &attr;
	word.words = match_attributes;
	values.name = name;
	for (i = 0; i + 1 < v->count; i += 2) {
		if (reader_word(&word, v->items[i]) == -1) {
			result = -1;
			continue;
		}
		snprintf(name, sizeof(name), "%s.%s", r->name,
		    v->items[i]->bytes);
		if (attr == KEY_SERVER)
			result = reader_fault(&values, v->items[i],
			    "has no values: write server_port or "
			    "policy_context");
		else if (has_attribute(m, (enum rule_attribute)attr))
			result = reader_fault(&values, v->items[i],
			    "stands there twice");
		else if (read_values(&values, m, (enum rule_attribute)attr,
		    v->items[i + 1]) == -1)
			result = -1;
	}
	return result;
}

/* --- lists without attributes --- */

/* Whether it is an address or a network, be this right or wrong. */
static bool
is_address(const struct value *v)
{
	struct network	n;

	return v->type == VALUE_STR &&
	    (addr_network_parse(&n, v->bytes, v->len) == 0 ||
	    memchr(v->bytes, '/', v->len) != NULL);
}

/* Values of this attribute; among logins may be addresses of clients. */
static int
read_list(const struct reading *r, const struct value *v,
    enum rule_attribute attr)
{
	struct ids	*ids = ids_new(r->settings), **out = r->out;
	size_t		 i;
	int		 result = 0;

	for (i = 0; i < v->count; i++)
		if (read_value(r, ids, attr == KEY_SASL_USERNAME &&
		    is_address(v->items[i]) ? KEY_CLIENT_ADDRESS : attr,
		    v->items[i]) == -1)
			result = -1;
	if (result == -1) {
		ids_free(ids);
		return -1;
	}
	ids_free(*out);
	*out = ids;
	return 0;
}

int
match_read_exempt(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v,
		    "a list of logins, \"@domain\", addresses and networks");
	return read_list(r, v, KEY_SASL_USERNAME);
}

int
match_read_recipients(const struct reading *r, const struct value *v)
{
	if (v->type != VALUE_NONE && !READER_IS_LIST(v))
		return reader_mismatch(r, v, "a list of strings");
	return v->count == 0 ? 0 : read_list(r, v, KEY_RECIPIENT);
}
