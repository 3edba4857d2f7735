#include <limits.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/rule_lock.h"
#include "decision/lock.h"
#include "engine/apply_lock.h"
#include "engine/identity.h"

/*
 * Appends the id of a lock of the login, which begins with the word. Returns
 * its length; 0: none.
 */
static size_t
add_login_id(struct str *ids, const struct settings *s,
    const struct request *req, const char *word)
{
	char	id[OVERRIDE_ID_MAX];
	size_t	at = ids->len, len;

	if (!identity_add(ids, s, NULL, req, KEY_SASL_USERNAME))
		return 0;
	len = override_id(id, word, ids->data + at, ids->len - at);
	ids->len = at;
	str_add(ids, id, len);
	return len;
}

/* The same for the client's network of this length. */
static size_t
add_network_id(struct str *ids, const struct request *req, unsigned int prefix)
{
	struct network	net;
	char		id[OVERRIDE_ID_MAX], text[ADDR_TEXT_MAX];
	size_t		len;

	if (!identity_client(&net.addr, req))
		return 0;
	net.prefix = prefix < net.addr.bits ? prefix : net.addr.bits;
	addr_mask(&net.addr, net.prefix);
	(void)addr_network_format(&net, text, sizeof(text));
	len = override_id(id, "network:", text, strlen(text));
	str_add(ids, id, len);
	return len;
}

/* The length of the network by which the rule counts the client. */
static unsigned int
prefix_length(const struct settings *s, const struct settings_rule *rule,
    const struct request *req)
{
	struct addr	client;

	return identity_client(&client, req) ?
	    settings_prefix(s, rule, client.bits) : 0;
}

void
apply_lock_of(struct str *ids, const struct settings *s,
    const struct settings_rule *rule, const struct request *req,
    struct msg_charge_lock *lock)
{
	if (rule->lock.seconds == 0)
		return;
	lock->idlen = rule_lock_attribute(rule) == KEY_SASL_USERNAME ?
	    add_login_id(ids, s, req, rule->count == RULE_NEW_RECIPIENTS ?
	    OVERRIDE_UNFAMILIAR : "login:") : add_network_id(ids, req,
	    prefix_length(s, rule, req));
	if (lock->idlen == 0)
		return;
	lock->seconds = rule->lock.seconds;
	lock->again = rule->lock.again;
	lock->rule = rule->name;
	lock->rulelen = strlen(rule->name);
}

/* --- mail that passes --- */

/*
 * A key that counts the mails which pass. Its id is the str from `at` on, and
 * ends with the id of a lock, of `len` bytes; 0: there is no such lock.
 */
static void
add_pass_key(struct applied *a, size_t at, size_t len, uint8_t pass)
{
	struct msg_charge_key	*key = &a->charge.keys[a->charge.nkeys];

	if (len == 0) {
		a->ids.len = at;
		return;
	}
	memset(key, 0, sizeof(*key));
	a->id_at[a->charge.nkeys++] = at;
	key->idlen = a->ids.len - at;
	key->kind = CHARGE_SUM;
	key->amount = 1;
	key->pass = pass;
	key->rule = UINT16_MAX;
	a->pass_limit.mails = LOCK_PASSES;
	a->pass_limit.seconds = LOCK_PASS_PERIOD;
	key->limits.count = 1;
	key->limits.list = &a->pass_limit;
}

void
apply_lock_passes(struct applied *a, const struct settings *s,
    const struct request *req)
{
	const struct settings_rule	*rule;
	struct str			*ids = &a->ids;
	unsigned int			 shortest = UINT_MAX, prefix;
	bool				 excepted[RULES_MAX], login = false;
	size_t				 at = ids->len, i, j;

	a->charge.passes = "";
	a->charge.passeslen = 0;
	a->charge.pass = 0;
	a->locks = false;
	for (i = 0; i < s->nrules; i++) {
		rule = &s->rules[i];
		a->locks = a->locks || rule->lock.seconds > 0;
		excepted[i] = rule->lock.except != NULL && !a->exempt &&
		    a->stage >= STAGE_RCPT &&
		    identity_add(ids, s, NULL, req, KEY_RECIPIENT) &&
		    ids_find_name(rule->lock.except, ids->data + at,
		    ids->len - at) != NULL;
		ids->len = at;
		if (!excepted[i])
			continue;
		if (rule_lock_attribute(rule) == KEY_SASL_USERNAME)
			login = true;
		else if ((prefix = prefix_length(s, rule, req)) < shortest)
			shortest = prefix;
	}
	if (login && a->charge.nkeys < CHARGE_KEYS_MAX) {
		str_adds(ids, LOCK_PASS_WORD);
		add_pass_key(a, at, add_login_id(ids, s, req,
		    "login:"), LOCK_PASS_LOGIN);
	}
	at = ids->len;
	if (shortest != UINT_MAX && a->charge.nkeys < CHARGE_KEYS_MAX) {
		str_adds(ids, LOCK_PASS_WORD);
		add_pass_key(a, at, add_network_id(ids, req, shortest),
		    LOCK_PASS_CLIENT);
	}
	/* The names that the rules had, too: a lock may be older. */
	a->passes_at = ids->len;
	for (i = 0; i < s->nrules; i++) {
		rule = &s->rules[i];
		if (excepted[i])
			str_addf(ids, "%s%s", ids->len > a->passes_at ? "," :
			    "", rule->name);
		for (j = 0; excepted[i] && j < rule->nwas; j++)
			str_addf(ids, ",%s", rule->was[j]);
	}
	a->charge.passeslen = ids->len - a->passes_at;
}
