#include <stdlib.h>
#include <string.h>

#include "engine/control/audit.h"
#include "engine/control/away.h"
#include "engine/control/change.h"
#include "engine/control/change_habit.h"
#include "engine/events.h"
#include "engine/control/explain_id.h"
#include "engine/identity.h"
#include "engine/mapping.h"
#include "engine/reply.h"
#include "engine/loop_clock.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/num.h"

#define NO_RULE	"no rule that counts new recipients counts such an id"

static struct msg_charge	charge;
static char			network[CHARGE_KEYS_MAX][ADDR_TEXT_MAX];

/*
 * Keeps the keys of rules that count new recipients; with `familiar` only of
 * those to which a network can be familiar.
 */
static void
habit_keys(const struct settings *s, bool familiar)
{
	const struct settings_rule	*rule;
	struct msg_charge_key		*key;
	size_t				 n = 0, i;

	for (i = 0; i < charge.nkeys; i++) {
		key = &charge.keys[i];
		if (key->rule >= s->nrules)
			continue;
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
		charge.keys[n++] = *key;
	}
	charge.nkeys = n;
}

/* Asks the ledger to do it; what is said after success names the ids. */
static void
habit_ask(struct control *c, const struct control_word *word,
    enum message_type type, const char *done)
{
	struct control_question	*q = control_question(c);
	char			 who[AUDIT_PEER_MAX];
	struct str		 payload;
	size_t			 i;

	q->event.len = q->word.len = 0;
	reply_bytes(&q->event, "id", word->bytes, word->len);
	reply_text(&q->event, "who", audit_who(control_audit(c), who));
	str_adds(&q->word, done);
	for (i = 0; i < charge.nkeys; i++) {
		str_addc(&q->word, ' ');
		str_add(&q->word, charge.keys[i].id, charge.keys[i].idlen);
		if (type != MSG_TRUST)
			continue;
		str_adds(&q->word, " from ");
		str_add(&q->word, charge.keys[i].network,
		    charge.keys[i].networklen);
	}
	charge.deadline = clock_after(loop_now(),
	    control_policy()->settings->db_timeout).ns;
	str_init(&payload);
	msg_charge_put(&payload, &charge);
	if (!control_ask(c, type, &payload))
		away_fail(c, NULL);
	str_clear(&payload);
}

/* False: the command has failed. */
static bool
habit_id(struct control *c, const struct control_word *word, struct str *ids,
    bool familiar)
{
	const struct settings	*s = control_policy()->settings;

	if (word->len > EXPLAIN_ID_MAX) {
		control_fail(c, "the id is too long");
		return false;
	}
	(void)explain_id(&charge, s, word, ids, false);
	habit_keys(s, familiar);
	mapping_recall(memory_mapping(control_memory()), s, &charge);
	if (charge.nkeys == 0)
		control_fail(c, familiar ? NO_RULE " and has unfamiliar" :
		    NO_RULE);
	return charge.nkeys > 0;
}

/* The network by which each rule counts; false: the command has failed. */
static bool
habit_networks(struct control *c, const struct control_word *word)
{
	const struct settings		*s = control_policy()->settings;
	const struct settings_rule	*rule;
	struct network			 net, own;
	size_t				 i;

	if (addr_network_parse(&net, word->bytes, word->len) == -1) {
		control_fail(c, "%.64s: an address or a network is expected",
		    word->bytes);
		return false;
	}
	for (i = 0; i < charge.nkeys; i++) {
		rule = &s->rules[charge.keys[i].rule];
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
		charge.keys[i].network = network[i];
		charge.keys[i].networklen = strlen(network[i]);
	}
	return true;
}

void
change_habit_trust(struct control *c, const struct control_word *word, size_t n)
{
	struct str	ids;

	(void)n;
	str_init(&ids);
	if (habit_id(c, &word[0], &ids, true) && habit_networks(c, &word[1]))
		habit_ask(c, &word[0], MSG_TRUST, "familiar to");
	str_clear(&ids);
}

/* "3600": seconds ago; "@1764400000": a time_t. */
static bool
habit_since(struct control *c, const struct control_word *word)
{
	int64_t	now = clock_wall(), ago;

	if (word->bytes[0] == '@' && num_parse(word->bytes + 1, word->len - 1,
	    1, now, &charge.date) == 0)
		return true;
	if (num_parse(word->bytes, word->len, 1, now - 1, &ago) == 0) {
		charge.date = now - ago;
		return true;
	}
	control_fail(c, "%.64s: a time in the past is expected", word->bytes);
	return false;
}

void
change_habit_forget(struct control *c, const struct control_word *word,
    size_t n)
{
	struct str	ids;

	(void)n;
	str_init(&ids);
	if (habit_id(c, &word[0], &ids, false)) {
		/* The only mode whose date is not 0. */
		charge.mode = CHARGE_REPLAY;
		if (habit_since(c, &word[1]))
			habit_ask(c, &word[0], MSG_FORGET, "forgotten for");
	}
	str_clear(&ids);
}
