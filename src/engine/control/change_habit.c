#include <string.h>

#include "engine/control/change.h"
#include "engine/control/explain_id.h"
#include "engine/mapping.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/num.h"

#define NO_RULE	"no rule that counts new recipients counts such an id"

/* Asks the ledger to do it; what is said after success names the ids. */
static void
habit_ask(struct control *c, const struct control_word *word,
    enum message_type type, struct msg_charge *charge, const char *done)
{
	const struct msg_charge_key	*key;
	size_t				 i;

	change_event_begin(c, word->bytes, word->len);
	str_adds(&c->word, done);
	for (i = 0; i < charge->nkeys; i++) {
		key = &charge->keys[i];
		str_addc(&c->word, ' ');
		str_add(&c->word, key->id, key->idlen);
		if (type != MSG_TRUST)
			continue;
		str_adds(&c->word, " from ");
		str_add(&c->word, key->network, key->networklen);
	}
	if (!control_ask_charge(c, type, charge))
		away_fail(c, NULL);
}

/*
 * Makes the keys of the rules that count new recipients; with `familiar` only
 * of those to which a network can be familiar. False: the command has failed.
 */
static bool
habit_id(struct control *c, struct msg_charge *charge,
    const struct control_word *word, struct str *ids, bool familiar)
{
	const struct settings		*s = c->engine->policy->settings;
	const struct settings_rule	*rule;
	struct msg_charge_key		*key;
	size_t				 n = 0, i;

	if (!explain_id_fits(c, word))
		return false;
	(void)explain_id(charge, s, word, ids, false);
	for (i = 0; i < charge->nkeys && s->nrules > 0; i++) {
		key = &charge->keys[i];
		rule = &s->rules[key->rule];
		if (rule->count != RULE_NEW_RECIPIENTS ||
		    (familiar && rule->unfamiliar == 0))
			continue;
		key->kind = CHARGE_HABIT;
		key->amount = 0;
		key->value = key->network = "";
		key->valuelen = key->networklen = 0;
		key->unfamiliar = rule->unfamiliar;
		key->learn = rule->learn;
		charge->keys[n++] = *key;
	}
	charge->nkeys = n;
	mapping_recall(memory_mapping(c->engine->memory), s, charge);
	if (n == 0)
		control_fail(c, familiar ? NO_RULE " and has unfamiliar" :
		    NO_RULE);
	return n > 0;
}

/*
 * Gives each key the network by which its rule counts, as a text in `network`.
 * False: the command has failed.
 */
static bool
habit_networks(struct control *c, struct msg_charge *charge,
    const struct control_word *word,
    char network[CHARGE_KEYS_MAX][ADDR_TEXT_MAX])
{
	const struct settings		*s = c->engine->policy->settings;
	const struct settings_rule	*rule;
	struct network			 net, own;
	size_t				 i;

	if (addr_network_parse(&net, word->bytes, word->len) == -1) {
		control_fail(c, "%.64s: an address or a network is expected",
		    word->bytes);
		return false;
	}
	for (i = 0; i < charge->nkeys; i++) {
		rule = &s->rules[charge->keys[i].rule];
		own = net;
		own.prefix = settings_prefix(s, rule, net.addr.bits);
		if (net.prefix < own.prefix) {
			control_fail(c, "%.64s is larger than a /%u, by which "
			    "rule %s knows networks", word->bytes, own.prefix,
			    rule->name);
			return false;
		}
		addr_mask(&own.addr, own.prefix);
		(void)addr_network_format(&own, network[i],
		    sizeof(network[i]));
		charge->keys[i].network = network[i];
		charge->keys[i].networklen = strlen(network[i]);
	}
	return true;
}

void
change_habit_trust(struct control *c, const struct control_word *word, size_t n)
{
	struct msg_charge	charge;
	struct str		ids;
	char			network[CHARGE_KEYS_MAX][ADDR_TEXT_MAX];

	(void)n;
	str_init(&ids);
	if (habit_id(c, &charge, &word[0], &ids, true) &&
	    habit_networks(c, &charge, &word[1], network))
		habit_ask(c, &word[0], MSG_TRUST, &charge, "familiar to");
	str_clear(&ids);
}

void
change_habit_forget(struct control *c, const struct control_word *word,
    size_t n)
{
	struct msg_charge	charge;
	struct str		ids;
	int64_t			now = clock_wall(), ago;

	(void)n;
	str_init(&ids);
	if (!habit_id(c, &charge, &word[0], &ids, false))
		goto done;
	/* The only mode whose date is not 0. */
	charge.mode = CHARGE_REPLAY;
	/* "3600": seconds ago; "@1764400000": a time_t. */
	if (num_parse(word[1].bytes, word[1].len, 1, now - 1, &ago) == 0)
		charge.date = now - ago;
	else if (word[1].bytes[0] != '@' || num_parse(word[1].bytes + 1,
	    word[1].len - 1, 1, now, &charge.date) == -1) {
		control_fail(c, "%.64s: a time in the past is expected",
		    word[1].bytes);
		goto done;
	}
	habit_ask(c, &word[0], MSG_FORGET, &charge, "forgotten for");
 done:
	str_clear(&ids);
}
