#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "conf/stored_id.h"
#include "engine/blocks.h"
#include "engine/control/change.h"
#include "engine/events.h"
#include "engine/control/explain_id.h"
#include "engine/mapping.h"
#include "engine/reply.h"
#include "engine/maillog.h"
#include "engine/stats.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"

#define AMOUNT_MAX	INT64_C(1000000000000)
#define EXTERNAL_MAX	INT64_C(1000000)	/* in one charge */

/* False: the command has failed. */
static bool
parse_number(struct control *c, const struct control_word *word, int64_t max,
    int64_t *out)
{
	if (num_parse(word->bytes, word->len, 1, max, out) == 0)
		return true;
	control_fail(c, "%.64s: a number from 1 to %lld is expected",
	    word->bytes, (long long)max);
	return false;
}

/*
 * "3600": seconds from now; "@1764400000": a time_t; "forever". False: the
 * command has failed.
 */
static bool
parse_until(struct control *c, const struct control_word *word, int64_t *until)
{
	int64_t	now = clock_wall();

	if (strcmp(word->bytes, "forever") == 0) {
		*until = OVERRIDE_FOREVER;
		return true;
	}
	if (word->bytes[0] != '@') {
		if (!parse_number(c, word, OVERRIDE_SECONDS_MAX, until))
			return false;
		*until += now;
		return true;
	}
	if (num_parse(word->bytes + 1, word->len - 1, now + 1,
	    now + OVERRIDE_SECONDS_MAX, until) == 0)
		return true;
	control_fail(c, "%.64s: a time in the next ten years is expected",
	    word->bytes);
	return false;
}

void
change_event_begin(struct control *c, const char *id, size_t idlen)
{
	char	who[AUDIT_PEER_MAX];

	c->event.len = 0;
	reply_bytes(&c->event, "id", id, idlen);
	reply_text(&c->event, "who", audit_who(&c->audit, false, who));
}

/* --- reset --- */

void
change_reset(struct control *c, const struct control_word *word, size_t n)
{
	struct msg_charge	charge;
	struct str		ids;

	(void)n;
	if (!explain_id_fits(c, &word[0]))
		return;
	str_init(&ids);
	change_event_begin(c, word[0].bytes, word[0].len);
	(void)explain_id(&charge, c->engine->policy->settings, &word[0], &ids,
	    true);
	if (charge.nkeys == 0)
		control_fail(c, "no rule counts such an id");
	else if (!control_ask_charge(c, MSG_RESET, &charge))
		away_fail(c, NULL);
	str_clear(&ids);
}

int
change_reset_on_answer(struct control *c, const struct message *m)
{
	struct msg_charge	 charge;
	struct msg_weighed	 answer;
	struct str		*out = &c->answer;
	size_t			 i;

	control_sent(c, &charge);
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(&answer, m->payload, m->len) == -1 ||
	    answer.nkeys > charge.nkeys)
		return -1;
	if (answer.verdict.verdict != VERDICT_ACCEPTED) {
		away_fail(c, "nothing was reset: the database could not do it");
		return 0;
	}
	mapping_take(memory_mapping(c->engine->memory), c->policy->settings,
	    &charge, &answer.verdict);
	for (i = 0; i < answer.nkeys; i++) {
		reply_begin(out, "resets");
		reply_bytes(out, "id", charge.keys[i].id, charge.keys[i].idlen);
		reply_number(out, "n", answer.keys[i].amount);
		reply_end(out);
	}
	events_add(c->engine->followers, c->command->name, &c->event);
	control_end(c);
	return 0;
}

/* --- charge --- */

/* What a hit of the charge locks; `id` has room for OVERRIDE_ID_MAX bytes. */
static void
fill_lock(const struct settings_rule *rule, struct msg_charge_key *key,
    char *id)
{
	const char	*value = key->id + strlen(rule->name) + 1;
	size_t		 len = key->idlen - strlen(rule->name) - 1;
	struct network	 net;
	char		 text[ADDR_TEXT_MAX];

	memset(&key->lock, 0, sizeof(key->lock));
	if (rule->lock.seconds == 0)
		return;
	if (rule->key[0] == KEY_SASL_USERNAME)
		key->lock.idlen = override_id(id, "login:", value, len);
	else if (addr_network_parse(&net, value, len) == 0) {
		(void)addr_network_format(&net, text, sizeof(text));
		key->lock.idlen = override_id(id, "network:", text,
		    strlen(text));
	} else
		return;
	key->lock.id = id;
	key->lock.seconds = rule->lock.seconds;
	key->lock.again = rule->lock.again;
	key->lock.rule = rule->name;
	key->lock.rulelen = strlen(rule->name);
}

void
change_charge(struct control *c, const struct control_word *word, size_t n)
{
	const struct settings		*s = c->engine->policy->settings;
	const struct settings_rule	*rule;
	struct msg_charge		 charge;
	struct msg_charge_key		*key = &charge.keys[0];
	struct str			 ids;
	char				 lock[OVERRIDE_ID_MAX];
	int64_t				 amount;

	if (!explain_id_fits(c, &word[0]) ||
	    !parse_number(c, &word[1], EXTERNAL_MAX, &amount))
		return;
	if (n > 2 && (word[2].len == 0 || word[2].len > CHARGE_INSTANCE_MAX)) {
		control_fail(c, "an instance has 1 to %d bytes",
		    CHARGE_INSTANCE_MAX);
		return;
	}
	str_init(&ids);
	(void)explain_id(&charge, s, &word[0], &ids, false);
	rule = stored_id_named(s, word[0].bytes, word[0].len);
	if (rule == NULL || rule->count != RULE_EXTERNAL ||
	    charge.nkeys != 1) {
		control_fail(c, "%.255s: RULE:ID is expected, of a rule that "
		    "counts \"external\"", word[0].bytes);
		goto done;
	}
	/* The fields of the rule, as apply.c sets them for a mail. */
	key->kind = CHARGE_EXTERNAL;
	key->shadow = rule->shadow;
	key->warn_at = (uint8_t)rule->warn_at;
	key->report = s->report && rule->report;
	key->reported = key->report ? settings_reported(s, &key->limits) : 0;
	fill_lock(rule, key, lock);
	key->amount = amount;
	key->value = n > 2 ? word[2].bytes : "";
	key->valuelen = n > 2 ? word[2].len : 0;
	charge.mode = CHARGE_ADD;
	charge.state = "external";
	charge.statelen = strlen(charge.state);
	if (!control_ask_charge(c, MSG_EXTERNAL, &charge))
		away_fail(c, NULL);
 done:
	str_clear(&ids);
}

/* Logs and counts what the charge caused. */
static void
log_charged(const struct control *c, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	const struct settings		*s = c->policy->settings;
	const struct msg_charge_key	*key = &charge->keys[0];
	struct maillog_about		 about;
	struct msg_verdict		 rest = *v;
	char				 id[256];

	if (v->over != 0 || v->shadowed != 0)
		log_notice("charged up to its limit: id=<%s> limit=%" PRId64
		    "/%" PRId64 " used=%" PRId64 "%s", str_printable(id,
		    sizeof(id), key->id, key->idlen), v->full[0].limit.mails,
		    v->full[0].limit.seconds, v->full[0].used,
		    v->shadowed != 0 ? " (shadow)" : "");
	/* Its locks and warnings have the lines that those of a mail have. */
	memset(&about, 0, sizeof(about));
	rest.over = rest.shadowed = 0;
	stats_verdict_rules(s, charge, &rest);
	maillog_verdict(c->engine->maillog, s, charge, &about, &rest, NULL);
}

int
change_charge_on_answer(struct control *c, const struct message *m)
{
	struct msg_charge		 charge;
	struct msg_weighed		 answer;
	const struct msg_charge_key	*key = &charge.keys[0];
	const struct msg_weighed_key	*k = &answer.keys[0];
	const struct msg_verdict	*v = &answer.verdict;
	struct str			*out = &c->answer;
	size_t				 i;

	control_sent(c, &charge);
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(&answer, m->payload, m->len) == -1)
		return -1;
	if (v->verdict != VERDICT_ACCEPTED || answer.nkeys != 1) {
		away_fail(c, "nothing was charged: the database could not do "
		    "it");
		return 0;
	}
	mapping_take(memory_mapping(c->engine->memory), c->policy->settings,
	    &charge, v);
	log_charged(c, &charge, v);
	if (c->engine->memory != NULL)
		memory_learn(c->engine->memory, &charge, v, clock_wall());
	reply_begin(out, "charges");
	reply_bytes(out, "id", key->id, key->idlen);
	reply_number(out, "n", k->amount);
	reply_bool(out, "reached", v->over != 0);
	reply_bool(out, "locked", v->locked != 0);
	reply_end(out);
	/* The windows were weighed before the charge. */
	for (i = 0; i < k->nwindows; i++) {
		reply_begin(out, "windows");
		reply_bytes(out, "id", key->id, key->idlen);
		reply_number(out, "used", num_add_clamp(k->windows[i].used,
		    k->amount));
		reply_number(out, "limit", k->windows[i].limit.mails);
		reply_number(out, "seconds", k->windows[i].limit.seconds);
		reply_end(out);
	}
	control_end(c);
	return 0;
}

/* --- what holds until a time --- */

/*
 * Sends it to the ledger, in the name of the caller. The word of the command
 * says what is done, if it is.
 */
static void
send_override(struct control *c, struct msg_override *m)
{
	struct str	payload;
	char		who[AUDIT_PEER_MAX];

	m->who = audit_who(&c->audit, false, who);
	m->wholen = strlen(who);
	if (m->until > 0)
		reply_until(&c->event, m->until);
	if (m->reasonlen > 0)
		reply_bytes(&c->event, "reason", m->reason, m->reasonlen);
	str_init(&payload);
	msg_override_put(&payload, m);
	if (!control_ask(c, MSG_OVERRIDE, &payload))
		away_fail(c, NULL);
	str_clear(&payload);
}

/* Grants, or with the id alone ends a grant. */
void
change_grant(struct control *c, const struct control_word *word, size_t n)
{
	const struct settings	*s = c->engine->policy->settings;
	struct msg_override	 m = { .kind = OVERRIDE_GRANT, .reason = "" };
	struct msg_charge	 charge;
	struct str		*done = &c->word;
	struct str		 ids;
	size_t			 i, j, others = 0;

	if (n > 1 && (!parse_number(c, &word[1], AMOUNT_MAX, &m.amount) ||
	    !parse_until(c, &word[2], &m.until)))
		return;
	if (!explain_id_fits(c, word))
		return;
	str_init(&ids);
	(void)explain_id(&charge, s, word, &ids, true);
	m.nids = charge.nkeys;
	change_event_begin(c, word->bytes, word->len);
	if (m.until > 0)
		reply_number(&c->event, "n", m.amount);
	str_adds(done, m.until > 0 ? "granted to" : "no longer granted to");
	for (i = 0; i < m.nids; i++) {
		m.id[i] = charge.keys[i].id;
		m.idlen[i] = charge.keys[i].idlen;
		str_addc(done, ' ');
		str_add(done, m.id[i], m.idlen[i]);
	}
	/* Names the rules that still limit the id. */
	for (i = 0; m.until > 0 && i < s->nrules; i++) {
		for (j = 0; j < m.nids; j++)
			if (charge.keys[j].rule == i)
				break;
		if (j == m.nids)
			str_addf(done, "%s%s", others++ == 0 ?
			    "; not for: " : ", ", s->rules[i].name);
	}
	if (m.nids == 0)
		control_fail(c, "no rule that counts recipients or messages "
		    "counts such an id");
	else
		send_override(c, &m);
	str_clear(&ids);
}

/* Blocks, or with the id alone ends a block. */
void
change_block(struct control *c, const struct control_word *word, size_t n)
{
	struct msg_override	 m = { .kind = OVERRIDE_BLOCK, .reason = "" };
	struct str		 id;
	const char		*why;

	if (n > 1 && strncasecmp(word->bytes, OVERRIDE_UNFAMILIAR,
	    sizeof(OVERRIDE_UNFAMILIAR) - 1) == 0) {
		control_fail(c, "only a rule locks unfamiliar networks");
		return;
	}
	if (n > 1 && !parse_until(c, &word[1], &m.until))
		return;
	if (n > 2) {
		m.reason = word[2].bytes;
		m.reasonlen = word[2].len;
	}
	str_init(&id);
	why = blocks_what(&id, c->engine->policy->settings, word->bytes,
	    word->len);
	if (why == NULL && (m.reasonlen > OVERRIDE_REASON_MAX ||
	    !str_utf8_valid(m.reason, m.reasonlen)))
		why = "the reason is longer than 255 bytes, or not UTF-8";
	if (why != NULL)
		control_fail(c, "%.255s: %s", word->bytes, why);
	else {
		m.nids = 1;
		m.id[0] = id.data;
		m.idlen[0] = id.len;
		change_event_begin(c, id.data, id.len);
		str_add(&c->word, id.data, id.len);
		str_adds(&c->word, m.until > 0 ? " is blocked" :
		    " is no longer blocked");
		if (m.until == 0)
			str_add(&c->what, word->bytes, word->len);
		send_override(c, &m);
	}
	str_clear(&id);
}

int
change_on_answer(struct control *c, const struct message *m)
{
	static const char	*const faults[OVERRIDE_RESULT__MAX] = {
		[OVERRIDE_WAS_NONE] = "no such block, lock or grant is in "
		    "force",
		[OVERRIDE_FULL] = "100000 are in force already, and no more "
		    "may be",
	};
	const struct settings	*s = c->engine->policy->settings;
	const struct override	*block;
	struct str		*out = &c->answer;
	struct str		*done = &c->word;
	struct msg_overridden	 answer;
	int64_t			 now = clock_wall();
	size_t			 i;

	if (m->type != MSG_OVERRIDDEN ||
	    msg_overridden_get(&answer, m->payload, m->len) == -1)
		return -1;
	if (answer.result == OVERRIDE_FAILED) {
		away_fail(c, "the database could not do it");
		return 0;
	}
	if (answer.result != OVERRIDE_DONE) {
		done->len = 0;
		str_adds(done, faults[answer.result]);
	}
	for (i = 0; i < answer.nids; i++) {
		str_adds(done, i == 0 ? "; counted as " : ", ");
		str_add(done, answer.id[i], answer.idlen[i]);
	}
	/* Another block may still match what was unblocked. */
	if (c->what.len > 0 && answer.result != OVERRIDE_FULL) {
		block = blocks_of_id(c->engine->blocks, s, OVERRIDE_BLOCK,
		    c->what.data, c->what.len, now);
		if (block == NULL)
			block = blocks_of_id(c->engine->blocks, s,
			    OVERRIDE_LOCK, c->what.data, c->what.len, now);
		if (block != NULL) {
			str_adds(done, block->kind == OVERRIDE_LOCK ?
			    "; it is locked by " : "; it is blocked by ");
			str_add(done, block->id, block->idlen);
		}
	}
	if (answer.result != OVERRIDE_DONE) {
		control_fail(c, "%s", done->data);
		return 0;
	}
	reply_begin(out, "");
	reply_bytes(out, "text", done->data, done->len);
	reply_end(out);
	events_add(c->engine->followers, c->command->name, &c->event);
	control_end(c);
	return 0;
}
