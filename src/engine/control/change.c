#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/control/audit.h"
#include "engine/control/away.h"
#include "engine/blocks.h"
#include "engine/control/change.h"
#include "engine/events.h"
#include "engine/control/explain.h"
#include "engine/control/explain_id.h"
#include "engine/mapping.h"
#include "engine/reply.h"
#include "engine/maillog.h"
#include "engine/stats.h"
#include "engine/loop_clock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"

#define AMOUNT_MAX	INT64_C(1000000000000)
#define EXTERNAL_MAX	INT64_C(1000000)	/* in one charge */
#define NO_RULE		"no rule counts such an id"

static struct {
	struct msg_charge	charge;
	struct msg_weighed	weighed;
	struct msg_override	override;
} change;

/* False: the command has failed. */
static bool
change_number(struct control *c, const struct control_word *word, int64_t max,
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
change_until(struct control *c, const struct control_word *word, int64_t *until)
{
	int64_t	now = clock_wall();

	if (strcmp(word->bytes, "forever") == 0) {
		*until = OVERRIDE_FOREVER;
		return true;
	}
	if (word->bytes[0] != '@') {
		if (!change_number(c, word, OVERRIDE_SECONDS_MAX, until))
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

static bool
change_id_fits(struct control *c, const struct control_word *word)
{
	if (word->len <= EXPLAIN_ID_MAX)
		return true;
	control_fail(c, "the id is too long");
	return false;
}

/* --- events --- */

/* Begins the event of this command, which is sent when it is done. */
static void
change_event_begin(struct control *c, const char *id, size_t idlen)
{
	struct str	*fields = &control_question(c)->event;
	char		 who[AUDIT_PEER_MAX];

	fields->len = 0;
	reply_bytes(fields, "id", id, idlen);
	reply_text(fields, "who", audit_who(control_audit(c), who));
}

static void
change_event_done(struct control *c)
{
	events_add(control_name(c), &control_question(c)->event);
}

/* --- reset --- */

void
change_reset(struct control *c, const struct control_word *word, size_t n)
{
	struct control_question	*q = control_question(c);
	struct str		 ids;

	(void)n;
	if (!change_id_fits(c, &word[0]))
		return;
	str_init(&ids);
	q->policy = policy_take(control_policy());
	change_event_begin(c, word[0].bytes, word[0].len);
	(void)explain_id(&change.charge, q->policy->settings, &word[0], &ids,
	    true);
	change.charge.deadline = clock_after(loop_now(),
	    q->policy->settings->db_timeout).ns;
	q->charge.len = 0;
	msg_charge_put(&q->charge, &change.charge);
	if (change.charge.nkeys == 0)
		control_fail(c, NO_RULE);
	else if (!control_ask(c, MSG_RESET, &q->charge))
		away_fail(c, NULL);
	str_clear(&ids);
}

int
change_reset_on_answer(struct control *c, const struct message *m)
{
	const struct str	*sent = &control_question(c)->charge;
	struct msg_weighed	*answer = &change.weighed;
	struct str		*out = control_answer(c);
	size_t			 i;

	if (msg_charge_get(&change.charge, sent->data, sent->len) == -1)
		log_fatal("a charge of our own is broken");
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(answer, m->payload, m->len) == -1 ||
	    answer->nkeys > change.charge.nkeys)
		return -1;
	if (answer->verdict.verdict != VERDICT_ACCEPTED) {
		away_fail(c, "nothing was reset: the database could not do it");
		return 0;
	}
	mapping_take(memory_mapping(control_memory()),
	    control_question(c)->policy->settings, &change.charge,
	    &answer->verdict);
	for (i = 0; i < answer->nkeys; i++) {
		reply_begin(out, "resets");
		reply_bytes(out, "id", change.charge.keys[i].id,
		    change.charge.keys[i].idlen);
		reply_number(out, "n", answer->keys[i].amount);
		reply_end(out);
	}
	change_event_done(c);
	control_end(c);
	return 0;
}

/* --- charge --- */

/* Fills in the fields of the rule, as apply.c does for a mail. */
static void
change_external(const struct settings *s, struct msg_charge_key *key)
{
	const struct settings_rule	*rule = &s->rules[key->rule];

	key->kind = CHARGE_EXTERNAL;
	key->shadow = rule->shadow;
	key->warn_at = (uint8_t)rule->warn_at;
	key->report = s->report && rule->report;
	key->reported = key->report ?
	    settings_reported(s, &key->limits) : 0;
}

/* Whether the charge is of one rule that counts external, named in the word. */
static bool
change_is_external(const struct settings *s, const struct control_word *word)
{
	const struct msg_charge_key	*key = &change.charge.keys[0];
	const char			*name;

	if (s->nrules == 0 || change.charge.nkeys != 1)
		return false;
	name = s->rules[key->rule].name;
	return s->rules[key->rule].count == RULE_EXTERNAL &&
	    strncmp(word->bytes, name, strlen(name)) == 0 &&
	    word->bytes[strlen(name)] == ':';
}

/* What a hit of the charge locks; `id` has room for OVERRIDE_ID_MAX bytes. */
static void
change_lock(const struct settings_rule *rule, struct msg_charge_key *key,
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

/* Sends the charge to the ledger, which records it in any case. */
static void
change_charge_ask(struct control *c, int64_t amount, const char *instance,
    size_t len)
{
	char			 lock[OVERRIDE_ID_MAX];
	struct control_question	*q = control_question(c);
	const struct settings	*s = q->policy->settings;
	struct msg_charge	*m = &change.charge;

	change_external(s, &m->keys[0]);
	change_lock(&s->rules[m->keys[0].rule], &m->keys[0], lock);
	m->keys[0].amount = amount;
	m->keys[0].value = instance;
	m->keys[0].valuelen = len;
	m->mode = CHARGE_ADD;
	m->state = "external";
	m->statelen = strlen(m->state);
	m->deadline = clock_after(loop_now(), s->db_timeout).ns;
	q->charge.len = 0;
	msg_charge_put(&q->charge, m);
	if (!control_ask(c, MSG_EXTERNAL, &q->charge))
		away_fail(c, NULL);
}

void
change_charge(struct control *c, const struct control_word *word, size_t n)
{
	struct control_question	*q = control_question(c);
	struct str		 ids;
	int64_t			 amount;

	if (!change_id_fits(c, &word[0]) ||
	    !change_number(c, &word[1], EXTERNAL_MAX, &amount))
		return;
	if (n > 2 && (word[2].len == 0 || word[2].len > CHARGE_INSTANCE_MAX)) {
		control_fail(c, "an instance has 1 to %d bytes",
		    CHARGE_INSTANCE_MAX);
		return;
	}
	str_init(&ids);
	q->policy = policy_take(control_policy());
	(void)explain_id(&change.charge, q->policy->settings, &word[0], &ids,
	    false);
	if (!change_is_external(q->policy->settings, &word[0]))
		control_fail(c, "%.255s: RULE:ID is expected, of a rule that "
		    "counts \"external\"", word[0].bytes);
	else
		change_charge_ask(c, amount, n > 2 ? word[2].bytes : "",
		    n > 2 ? word[2].len : 0);
	str_clear(&ids);
}

static void
change_say_reached(const struct msg_charge_key *key,
    const struct msg_verdict *v)
{
	char	id[256];

	(void)str_printable(id, sizeof(id), key->id, key->idlen);
	log_notice("charged up to its limit: id=<%s> limit=%" PRId64 "/%"
	    PRId64 " used=%" PRId64 "%s", id, v->full[0].limit.mails,
	    v->full[0].limit.seconds, v->full[0].used,
	    v->shadowed != 0 ? " (shadow)" : "");
}

/* Logs and counts the locks and warnings that a charge caused. */
static void
change_say_more(const struct settings *s, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	struct maillog_about	about;
	struct msg_verdict	rest = *v;

	memset(&about, 0, sizeof(about));
	rest.over = rest.shadowed = 0;
	stats_verdict_rules(s, charge, &rest);
	maillog_verdict(s, charge, &about, &rest, NULL);
}

static void
change_say_charged(struct str *out, const struct msg_charge_key *key,
    const struct msg_weighed *answer)
{
	const struct msg_weighed_key	*k = &answer->keys[0];
	size_t				 i;

	reply_begin(out, "charges");
	reply_bytes(out, "id", key->id, key->idlen);
	reply_number(out, "n", k->amount);
	reply_bool(out, "reached", answer->verdict.over != 0);
	reply_bool(out, "locked", answer->verdict.locked != 0);
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
}

int
change_charge_on_answer(struct control *c, const struct message *m)
{
	const struct control_question	*q = control_question(c);
	const struct msg_charge_key	*key = &change.charge.keys[0];
	struct msg_weighed		*answer = &change.weighed;

	if (msg_charge_get(&change.charge, q->charge.data, q->charge.len) == -1)
		log_fatal("a charge of our own is broken");
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(answer, m->payload, m->len) == -1)
		return -1;
	if (answer->verdict.verdict != VERDICT_ACCEPTED || answer->nkeys != 1) {
		away_fail(c, "nothing was charged: the database could not do "
		    "it");
		return 0;
	}
	mapping_take(memory_mapping(control_memory()), q->policy->settings,
	    &change.charge, &answer->verdict);
	if (answer->verdict.over != 0 || answer->verdict.shadowed != 0)
		change_say_reached(key, &answer->verdict);
	change_say_more(q->policy->settings, &change.charge, &answer->verdict);
	if (control_memory() != NULL)
		memory_learn(control_memory(), &change.charge, &answer->verdict,
		    clock_wall());
	change_say_charged(control_answer(c), key, answer);
	control_end(c);
	return 0;
}

/* --- what holds until a time --- */

/* Sends a message to the ledger; `done` is the answer after success. */
static void
change_ask(struct control *c, enum override_kind kind, int64_t until,
    const char *reason, size_t reasonlen, const struct str *done)
{
	struct msg_override	*m = &change.override;
	struct str		 payload;
	char			 who[AUDIT_PEER_MAX];

	(void)audit_who(control_audit(c), who);
	m->kind = (uint8_t)kind;
	m->since = 0;
	m->until = until;
	m->who = who;
	m->wholen = strlen(who);
	m->reason = reason;
	m->reasonlen = reasonlen;
	if (until > 0)
		reply_until(&control_question(c)->event, until);
	if (reasonlen > 0)
		reply_bytes(&control_question(c)->event, "reason", reason,
		    reasonlen);
	control_question(c)->word.len = 0;
	str_add(&control_question(c)->word, done->data, done->len);
	str_init(&payload);
	msg_override_put(&payload, m);
	if (!control_ask(c, MSG_OVERRIDE, &payload))
		away_fail(c, NULL);
	str_clear(&payload);
}

/* Names the rules that are not among the keys of the charge. */
static void
change_others(struct str *out, const struct settings *s)
{
	size_t	i, j, n = 0;

	for (i = 0; i < s->nrules; i++) {
		for (j = 0; j < change.charge.nkeys; j++)
			if (change.charge.keys[j].rule == i)
				break;
		if (j < change.charge.nkeys)
			continue;
		str_addf(out, "%s%s", n++ == 0 ? "; not for: " :
		    ", ", s->rules[i].name);
	}
}

static void
change_grant_until(struct control *c, const struct control_word *word,
    int64_t amount, int64_t until)
{
	const struct settings	*s = control_policy()->settings;
	struct msg_override	*m = &change.override;
	struct str		 ids, done;
	size_t			 i;

	if (!change_id_fits(c, word))
		return;
	str_init(&ids);
	str_init(&done);
	(void)explain_id(&change.charge, s, word, &ids, true);
	m->amount = amount;
	m->nids = change.charge.nkeys;
	change_event_begin(c, word->bytes, word->len);
	if (until > 0)
		reply_number(&control_question(c)->event, "n", amount);
	str_adds(&done, until > 0 ? "granted to" : "no longer granted to");
	for (i = 0; i < m->nids; i++) {
		m->id[i] = change.charge.keys[i].id;
		m->idlen[i] = change.charge.keys[i].idlen;
		str_addc(&done, ' ');
		str_add(&done, m->id[i], m->idlen[i]);
	}
	if (until > 0)
		change_others(&done, s);
	if (m->nids == 0)
		control_fail(c, "no rule that counts recipients or messages "
		    "counts such an id");
	else
		change_ask(c, OVERRIDE_GRANT, until, "", 0, &done);
	str_clear(&done);
	str_clear(&ids);
}

void
change_grant(struct control *c, const struct control_word *word, size_t n)
{
	int64_t	amount, until;

	(void)n;
	if (change_number(c, &word[1], AMOUNT_MAX, &amount) &&
	    change_until(c, &word[2], &until))
		change_grant_until(c, word, amount, until);
}

void
change_ungrant(struct control *c, const struct control_word *word, size_t n)
{
	(void)n;
	change_grant_until(c, word, 0, 0);
}

static void
change_block_until(struct control *c, const struct control_word *word,
    int64_t until, const char *reason, size_t reasonlen)
{
	struct msg_override	*m = &change.override;
	struct str		 id, done;
	const char		*why;

	str_init(&id);
	str_init(&done);
	why = blocks_what(&id, control_policy()->settings, word->bytes,
	    word->len);
	if (why == NULL && (reasonlen > OVERRIDE_REASON_MAX ||
	    !str_utf8_valid(reason, reasonlen)))
		why = "the reason is longer than 255 bytes, or not UTF-8";
	if (why != NULL)
		control_fail(c, "%.255s: %s", word->bytes, why);
	else {
		m->amount = 0;
		m->nids = 1;
		m->id[0] = id.data;
		m->idlen[0] = id.len;
		change_event_begin(c, id.data, id.len);
		str_add(&done, id.data, id.len);
		str_adds(&done, until > 0 ? " is blocked" :
		    " is no longer blocked");
		if (until == 0)
			str_add(&control_question(c)->what, word->bytes,
			    word->len);
		change_ask(c, OVERRIDE_BLOCK, until, reason, reasonlen, &done);
	}
	str_clear(&done);
	str_clear(&id);
}

void
change_block(struct control *c, const struct control_word *word, size_t n)
{
	const size_t	len = sizeof(OVERRIDE_UNFAMILIAR) - 1;
	int64_t		until;

	if (strncasecmp(word[0].bytes, OVERRIDE_UNFAMILIAR, len) == 0)
		control_fail(c, "only a rule locks unfamiliar networks");
	else if (change_until(c, &word[1], &until))
		change_block_until(c, word, until, n > 2 ? word[2].bytes : "",
		    n > 2 ? word[2].len : 0);
}

void
change_unblock(struct control *c, const struct control_word *word, size_t n)
{
	(void)n;
	change_block_until(c, word, 0, "", 0);
}

/* Says whether another block still matches what was unblocked. */
static void
change_blocked_yet(struct str *out, const struct str *what)
{
	const struct settings	*s = control_policy()->settings;
	const struct override	*block;
	int64_t			 now = clock_wall();

	if (what->len == 0)
		return;
	block = blocks_of_id(s, OVERRIDE_BLOCK, what->data, what->len, now);
	if (block == NULL)
		block = blocks_of_id(s, OVERRIDE_LOCK, what->data, what->len,
		    now);
	if (block == NULL)
		return;
	str_adds(out, block->kind == OVERRIDE_LOCK ? "; it is locked by " :
	    "; it is blocked by ");
	str_add(out, block->id, block->idlen);
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
	struct str		*out = control_answer(c);
	struct str		*done = &control_question(c)->word;
	struct msg_overridden	 answer;
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
	if (answer.result == OVERRIDE_DONE ||
	    answer.result == OVERRIDE_WAS_NONE)
		change_blocked_yet(done, &control_question(c)->what);
	if (answer.result != OVERRIDE_DONE) {
		control_fail(c, "%s", done->data);
		return 0;
	}
	reply_begin(out, "");
	reply_bytes(out, "text", done->data, done->len);
	reply_end(out);
	change_event_done(c);
	control_end(c);
	return 0;
}
