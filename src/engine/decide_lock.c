#include <limits.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/rule_lock.h"
#include "decision/lock.h"
#include "engine/decide_lock.h"
#include "engine/identity.h"

/*
 * Appends the id of a lock of the login, which begins with the word. Returns
 * its length; 0: none.
 */
static size_t
decide_lock_login(struct str *ids, const struct settings *s,
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
decide_lock_client(struct str *ids, const struct request *req,
    unsigned int prefix)
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
decide_lock_prefix(const struct settings *s, const struct settings_rule *rule,
    const struct request *req)
{
	struct addr	client;

	return identity_client(&client, req) ?
	    settings_prefix(s, rule, client.bits) : 0;
}

void
decide_lock_of(struct str *ids, const struct settings *s,
    const struct settings_rule *rule, const struct request *req,
    struct msg_charge_lock *lock)
{
	if (rule->lock.seconds == 0)
		return;
	lock->idlen = rule_lock_attribute(rule) == KEY_SASL_USERNAME ?
	    decide_lock_login(ids, s, req, rule->count == RULE_NEW_RECIPIENTS ?
	    OVERRIDE_UNFAMILIAR : "login:") : decide_lock_client(ids, req,
	    decide_lock_prefix(s, rule, req));
	if (lock->idlen == 0)
		return;
	lock->seconds = rule->lock.seconds;
	lock->again = rule->lock.again;
	lock->rule = rule->name;
	lock->rulelen = strlen(rule->name);
}

/* --- mail that passes --- */

static bool
decide_lock_excepts(struct str *ids, const struct settings *s,
    const struct settings_rule *rule, const struct request *req)
{
	size_t	at = ids->len;
	bool	found;

	found = identity_add(ids, s, NULL, req, KEY_RECIPIENT) &&
	    ids_find_name(rule->lock.except, ids->data + at, ids->len - at) !=
	    NULL;
	ids->len = at;
	return found;
}

/* A key that counts the mails which pass; its id is the str from `at` on. */
static void
decide_lock_key(struct decided *d, size_t at, uint8_t pass)
{
	static struct limit	 limit = { LOCK_PASSES, LOCK_PASS_PERIOD };
	struct msg_charge_key	*key = &d->charge.keys[d->charge.nkeys];

	memset(key, 0, sizeof(*key));
	d->id_at[d->charge.nkeys++] = at;
	key->idlen = d->ids.len - at;
	key->kind = CHARGE_SUM;
	key->amount = 1;
	key->pass = pass;
	key->rule = UINT16_MAX;
	key->limits.count = 1;
	key->limits.list = &limit;
}

static void
decide_lock_keys(struct decided *d, const struct settings *s,
    const struct request *req, bool login, unsigned int prefix)
{
	size_t	at = d->ids.len;

	if (login && d->charge.nkeys < CHARGE_KEYS_MAX) {
		str_adds(&d->ids, LOCK_PASS_WORD);
		if (decide_lock_login(&d->ids, s, req, "login:") > 0)
			decide_lock_key(d, at, LOCK_PASS_LOGIN);
		else
			d->ids.len = at;
	}
	at = d->ids.len;
	if (prefix != UINT_MAX && d->charge.nkeys < CHARGE_KEYS_MAX) {
		str_adds(&d->ids, LOCK_PASS_WORD);
		if (decide_lock_client(&d->ids, req, prefix) > 0)
			decide_lock_key(d, at, LOCK_PASS_CLIENT);
		else
			d->ids.len = at;
	}
}

/* Adds the names of a rule whose locks are passed: a lock may be older. */
static void
decide_lock_names(struct decided *d, const struct settings_rule *rule)
{
	size_t	i;

	str_addf(&d->ids, "%s%s", d->ids.len > d->passes_at ? "," : "",
	    rule->name);
	for (i = 0; i < rule->nwas; i++)
		str_addf(&d->ids, ",%s", rule->was[i]);
}

void
decide_lock_passes(struct decided *d, const struct settings *s,
    const struct request *req, bool stage)
{
	const struct settings_rule	*rule;
	unsigned int			 shortest = UINT_MAX, prefix;
	bool				 excepted[RULES_MAX], login = false;
	size_t				 i;

	d->charge.passes = "";
	d->charge.passeslen = 0;
	d->charge.pass = 0;
	d->locks = false;
	for (i = 0; i < s->nrules; i++) {
		rule = &s->rules[i];
		d->locks = d->locks || rule->lock.seconds > 0;
		excepted[i] = rule->lock.except != NULL && !d->exempt &&
		    stage && decide_lock_excepts(&d->ids, s, rule, req);
		if (!excepted[i])
			continue;
		if (rule_lock_attribute(rule) == KEY_SASL_USERNAME)
			login = true;
		else if ((prefix = decide_lock_prefix(s, rule, req)) < shortest)
			shortest = prefix;
	}
	decide_lock_keys(d, s, req, login, shortest);
	d->passes_at = d->ids.len;
	for (i = 0; i < s->nrules; i++)
		if (excepted[i])
			decide_lock_names(d, &s->rules[i]);
	d->charge.passeslen = d->ids.len - d->passes_at;
}
