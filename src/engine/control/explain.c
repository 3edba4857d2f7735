#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/normal.h"
#include "decision/habit.h"
#include "decision/lock.h"
#include "engine/action.h"
#include "engine/blocks.h"
#include "engine/apply.h"
#include "engine/control/explain.h"
#include "engine/control/explain_id.h"
#include "engine/control/why.h"
#include "engine/identity.h"
#include "engine/mapping.h"
#include "engine/memory.h"
#include "engine/reply.h"
#include "engine/request.h"
#include "lib/clock.h"
#include "lib/num.h"

/* A charge, and the verdict that it would get. */
struct weighed {
	struct msg_charge	charge;
	struct msg_weighed	answer;
	/* The ids of the keys before id_sql. */
	struct {
		const char	*id;
		size_t		 idlen;
	} own[CHARGE_KEYS_MAX];
};

/* The ledger's answer to the command's charge; -1: it is malformed. */
static int
get_weighed(const struct control *c, struct weighed *w,
    const struct message *m)
{
	if (m->type != MSG_WEIGHED || c->charge.len == 0)
		return -1;
	control_sent(c, &w->charge);
	if (msg_weighed_get(&w->answer, m->payload, m->len) == -1 ||
	    w->answer.nkeys > w->charge.nkeys)
		return -1;
	return 0;
}

/* Gives the keys the ids that are counted; `v` is NULL without a verdict. */
static void
map_ids(const struct control *c, struct weighed *w, const struct msg_verdict *v)
{
	struct mapping		*mapping = memory_mapping(c->engine->memory);
	const struct settings	*s = c->policy->settings;
	size_t			 i;

	for (i = 0; i < w->charge.nkeys; i++) {
		w->own[i].id = w->charge.keys[i].id;
		w->own[i].idlen = w->charge.keys[i].idlen;
	}
	if (v != NULL)
		mapping_take(mapping, s, &w->charge, v);
	else
		mapping_recall(mapping, s, &w->charge);
}

static const char *
rule_name(const struct settings *s, const struct msg_charge_key *key)
{
	return key->rule < s->nrules ? s->rules[key->rule].name : "";
}

static void
put_windows(struct str *out, const struct settings *s,
    const struct msg_charge_key *key, const struct msg_weighed_key *answer)
{
	const struct msg_window	*w;
	size_t			 i;

	for (i = 0; i < answer->nwindows; i++) {
		w = &answer->windows[i];
		reply_begin(out, "windows");
		reply_text(out, "rule", rule_name(s, key));
		reply_bytes(out, "id", key->id, key->idlen);
		reply_number(out, "used", w->used);
		reply_number(out, "limit", w->limit.mails);
		reply_number(out, "seconds", w->limit.seconds);
		reply_number(out, "n", w->amount);
		reply_retry_after(out, w->retry_after, &w->limit);
		reply_bool(out, "from_sql", answer->sql);
		reply_number(out, "granted", answer->granted);
		reply_number(out, "granted_for", answer->granted_for);
		reply_end(out);
	}
}

/* --- explain --- */

static void
put_verdict(struct str *out, const char *verdict, const char *reason,
    const char *action, size_t len)
{
	reply_begin(out, "");
	reply_text(out, "verdict", verdict);
	reply_text(out, "reason", reason);
	reply_bytes(out, "action", action, len);
	reply_end(out);
}

/* The answer to what a block or a lock matches. */
static void
reply_blocked(struct control *c, const struct settings *s,
    const struct override *block)
{
	struct str	action;

	str_init(&action);
	action_add_blocked(&action, s, block, clock_wall());
	put_verdict(&c->answer, "blocked", block == NULL ?
	    "a block has just ended" : block->kind == OVERRIDE_LOCK ?
	    lock_is_partial(block) ?
	    "a lock holds for networks that are unfamiliar to its rule" :
	    "a lock holds, under all rules" :
	    "a block holds, before everything else", action.data, action.len);
	str_clear(&action);
	if (block != NULL)
		blocks_reply(&c->answer, block);
	control_end(c);
}

void
explain_run(struct control *c, const struct control_word *word, size_t n)
{
	const struct settings	*s = c->engine->policy->settings;
	struct blocks		*blocks = c->engine->blocks;
	const struct override	*block;
	const char		*reason = "too long";
	struct applied		 d;
	struct request		 req;
	struct str		 lines;
	size_t			 i;

	str_init(&lines);
	apply_init(&d);
	for (i = 0; i < n; i++) {
		str_add(&lines, word[i].bytes, word[i].len);
		str_addc(&lines, '\n');
	}
	str_addc(&lines, '\n');
	if (lines.len > REQUEST_MAX ||
	    request_parse(&req, lines.data, lines.len, &reason) == 0) {
		control_fail(c, "malformed request, closed without an answer: "
		    "%s", reason);
		goto done;
	}
	if ((block = blocks_check(blocks, s, &req, clock_wall())) != NULL) {
		reply_blocked(c, s, block);
		goto done;
	}
	apply_use(&d, s);
	apply_request(&d, &req, (int64_t)arc4random() + 1);
	blocks_subject(blocks, &d.charge, s, &req);
	block = blocks_find_lock(blocks, &d.charge, clock_wall(),
	    &d.charge.pass);
	if (block != NULL) {
		reply_blocked(c, s, block);
		goto done;
	}
	if (d.reason != REASON_CHARGED && d.charge.pass == 0) {
		put_verdict(&c->answer, "passed", apply_reason_text(d.reason),
		    s->success_action, strlen(s->success_action));
		control_end(c);
		goto done;
	}
	c->identity = d.identity;
	c->exempt = d.exempt;
	if (!control_ask_charge(c, MSG_WEIGH, &d.charge))
		explain_on_timeout(c);
 done:
	apply_clear(&d);
	str_clear(&lines);
}

/* The fields that say why a rule that counts new recipients counts so. */
static void
put_habit(struct str *out, const struct msg_charge_key *key,
    const struct msg_weighed_key *answer)
{
	const int64_t			now = clock_wall();
	const struct habit_terms	terms = { key->unfamiliar, key->learn };
	const struct habit_pair		network = { answer->network[0],
					    answer->network[1] };
	const struct habit_pair		recipient = { answer->recipient[0],
					    answer->recipient[1] };
	bool				familiar, known;
	const char			*why;

	familiar = habit_familiar(&network, &terms, now);
	known = habit_known(&network, &terms, now);
	if (familiar)
		why = "it has been used for long enough";
	else if (terms.unfamiliar == 0)
		why = "to this rule every network is";
	else if (key->networklen == 0)
		why = "the client's address is unknown";
	else if (!known)
		why = "no mail from it was accepted recently";
	else
		why = "its first mail, or the last that was refused, is too "
		    "recent";
	reply_bytes(out, "network", key->network, key->networklen);
	reply_bool(out, "familiar", familiar);
	reply_text(out, "network_why", why);
	if (terms.unfamiliar > 0 && known && !familiar)
		reply_number(out, "familiar_in", num_sub_clamp(num_add_clamp(
		    network.first, terms.unfamiliar), now));
	reply_text(out, "recipient", key->valuelen == 0 ? "not named" :
	    habit_known(&recipient, &terms, now) ? "known" : "new");
	if (answer->learning > now)
		reply_number(out, "learning_for", answer->learning - now);
}

static void
put_keys(struct control *c, const struct weighed *w)
{
	const struct settings		*s = c->policy->settings;
	const struct msg_verdict	*v = &w->answer.verdict;
	const struct msg_weighed_key	*answer = w->answer.keys;
	const struct msg_charge_key	*key;
	struct str			*out = &c->answer;
	struct str			 name;
	size_t				 i;

	for (i = 0; i < w->answer.nkeys; i++) {
		key = &w->charge.keys[i];
		if (!decision_counts(key, v->passed))
			continue;
		str_init(&name);
		apply_key_name(&name, s, key, c->identity);
		reply_begin(out, "keys");
		reply_text(out, "rule", rule_name(s, key));
		reply_bytes(out, "key", name.data, name.len);
		reply_bytes(out, "id", key->id, key->idlen);
		if (key->id != w->own[i].id)
			reply_bytes(out, "id_of", w->own[i].id,
			    w->own[i].idlen);
		reply_number(out, "n", answer[i].amount);
		if (key->max_per_mail > 0)
			reply_number(out, "max_per_mail", key->max_per_mail);
		reply_bool(out, "refuses", v->verdict == VERDICT_REFUSED &&
		    v->key == i);
		reply_bool(out, "over", (v->over >> i & 1) != 0);
		reply_bool(out, "would_refuse", (v->shadowed >> i & 1) != 0);
		reply_bool(out, "warns", (v->warned >> i & 1) != 0);
		if (answer[i].habit)
			put_habit(out, key, &answer[i]);
		reply_end(out);
		str_clear(&name);
	}
	for (i = 0; i < w->answer.nkeys; i++)
		put_windows(out, s, &w->charge.keys[i], &answer[i]);
}

/* Appends the verdict on the charge and the windows behind it. */
static void
reply_charge(struct control *c, const struct weighed *w, const char *accepted,
    const char *refused)
{
	const struct settings		*s = c->policy->settings;
	const struct msg_charge		*charge = &w->charge;
	const struct msg_verdict	*v = &w->answer.verdict;
	const struct blocks		*blocks = c->engine->blocks;
	const struct override		*block;
	struct str			 action;

	if (v->verdict == VERDICT_BLOCKED) {
		block = blocks_check_charge(blocks, charge, clock_wall());
		reply_blocked(c, s, block != NULL ? block :
		    blocks_find_any_lock(blocks, charge, clock_wall()));
		return;
	}
	str_init(&action);
	action_add(&action, s, charge, v);
	if (v->verdict == VERDICT_ACCEPTED)
		put_verdict(&c->answer, "accepted", v->passed != 0 ?
		    "a lock holds, and mail to this recipient passes it" :
		    c->exempt ?
		    "exempt: it is recorded, and no limit applies" : accepted,
		    action.data, action.len);
	else
		put_verdict(&c->answer, "refused", refused,
		    action.data, action.len);
	put_keys(c, w);
	control_end(c);
	str_clear(&action);
}

/*
 * Answers as for a request to which the ledger gives no verdict. The charge is
 * as it was sent.
 */
static void
reply_alone(struct control *c, struct weighed *w)
{
	const struct policy		*policy = c->policy;
	const struct msg_verdict	*v = &w->answer.verdict;
	const char			*action;

	(void)blocks_find_lock(c->engine->blocks, &w->charge, clock_wall(),
	    &w->charge.pass);
	if (policy->memory && c->engine->memory != NULL) {
		map_ids(c, w, NULL);
		memory_weigh(c->engine->memory, &w->charge, clock_wall(),
		    &w->answer);
		reply_charge(c, w, "the database gives no verdict; in memory "
		    "all windows hold", v->per_mail ?
		    "the database gives no verdict; in memory the mail exceeds "
		    "max_per_mail" : "the database gives no verdict; in memory "
		    "a window is full");
		return;
	}
	action = policy->memory ? policy->settings->success_action :
	    policy->settings->db_error_action;
	put_verdict(&c->answer, "unavailable",
	    "the database gives no verdict: db_error_action", action,
	    strlen(action));
	control_end(c);
}

void
explain_on_timeout(struct control *c)
{
	struct weighed	w;

	control_sent(c, &w.charge);
	reply_alone(c, &w);
}

int
explain_on_answer(struct control *c, const struct message *m)
{
	struct weighed			 w;
	const struct msg_verdict	*v = &w.answer.verdict;

	if (get_weighed(c, &w, m) == -1)
		return -1;
	if (v->verdict == VERDICT_UNAVAILABLE) {
		reply_alone(c, &w);
		return 0;
	}
	map_ids(c, &w, v);
	reply_charge(c, &w, v->over != 0 ?
	    "a window is full, and Postfix takes the mail" :
	    "all windows hold", v->per_mail ?
	    "the mail exceeds max_per_mail" : "a window is full");
	return 0;
}

/* --- show --- */

void
explain_show(struct control *c, const struct control_word *word, size_t n)
{
	struct msg_charge	charge;
	struct str		ids;

	(void)n;
	if (!explain_id_fits(c, &word[0]))
		return;
	str_init(&ids);
	c->policy = policy_take(c->engine->policy);
	str_add(&c->word, word[0].bytes, word[0].len);
	c->exempt = explain_id(&charge, c->policy->settings, &word[0], &ids,
	    false) || identity_is_exempt(c->policy->settings, c->word.data,
	    c->word.len);
	if (charge.nkeys == 0 ? !control_ask(c, MSG_OVERRIDES_WANTED, NULL) :
	    !control_ask_charge(c, MSG_WEIGH, &charge))
		away_fail(c, NULL);
	str_clear(&ids);
}

/* The block and the lock that match the id. Returns whether there is one. */
static bool
show_overrides(struct control *c)
{
	const struct settings	*s = c->policy->settings;
	const struct blocks	*blocks = c->engine->blocks;
	const struct override	*block, *lock;
	int64_t			 now = clock_wall();

	block = blocks_of_id(blocks, s, OVERRIDE_BLOCK, c->word.data,
	    c->word.len, now);
	if (block != NULL)
		blocks_reply(&c->answer, block);
	lock = blocks_of_id(blocks, s, OVERRIDE_LOCK, c->word.data,
	    c->word.len, now);
	if (lock != NULL)
		blocks_reply(&c->answer, lock);
	return block != NULL || lock != NULL;
}

static bool
show_has_count(const struct msg_weighed_key *k)
{
	size_t	i;

	for (i = 0; i < k->nwindows; i++)
		if (k->windows[i].used > 0 || k->granted > 0)
			return true;
	return false;
}

/*
 * The rules with a count for the id; without any, all rules. Returns whether
 * there is a count.
 */
static bool
show_keys(struct str *out, const struct settings *s, const struct weighed *w)
{
	const struct msg_weighed_key	*answer = w->answer.keys;
	const struct msg_charge_key	*key;
	bool				 any = false;
	size_t				 i;

	for (i = 0; i < w->answer.nkeys; i++)
		any = any || show_has_count(&answer[i]);
	for (i = 0; i < w->answer.nkeys; i++) {
		if (any && answer[i].nwindows > 0 &&
		    !show_has_count(&answer[i]))
			continue;
		key = &w->charge.keys[i];
		if (key->max_per_mail > 0) {
			reply_begin(out, "keys");
			reply_text(out, "rule", rule_name(s, key));
			reply_bytes(out, "id", key->id, key->idlen);
			reply_number(out, "max_per_mail", key->max_per_mail);
			reply_end(out);
		}
		put_windows(out, s, key, &answer[i]);
	}
	return any;
}

static void
show_end(struct control *c)
{
	reply_begin(&c->answer, "");
	reply_bool(&c->answer, "known", c->known);
	reply_end(&c->answer);
	control_end(c);
}

/* Prints the windows if they have come, even without the refusals. */
void
explain_show_on_timeout(struct control *c)
{
	if (c->answer.len > 0)
		show_end(c);
	else
		control_fail(c, "the database did not answer in time");
}

/* First the windows, then the refusals. */
int
explain_show_on_answer(struct control *c, const struct message *m)
{
	struct weighed	w;
	int		ret;

	if (m->type == MSG_FOUND || m->type == MSG_SEARCHED) {
		if ((ret = why_show_on_answer(c, m)) == 1)
			show_end(c);
		return ret == -1 ? -1 : 0;
	}
	if (m->type == MSG_OVERRIDES_END) {
		/* An id that is not counted may still be blocked or locked. */
		if (show_overrides(c))
			control_end(c);
		else
			control_fail(c, "no rule counts such an id");
		return 0;
	}
	if (get_weighed(c, &w, m) == -1)
		return -1;
	if (w.answer.verdict.verdict == VERDICT_UNAVAILABLE) {
		away_fail(c, NULL);
		return 0;
	}
	map_ids(c, &w, &w.answer.verdict);
	if (c->exempt) {
		reply_begin(&c->answer, "");
		reply_bool(&c->answer, "exempt", true);
		reply_end(&c->answer);
	}
	c->known = show_overrides(c) || c->exempt;
	c->known = show_keys(&c->answer, c->policy->settings, &w) || c->known;
	if (c->engine->policy->settings->history == 0 ||
	    !why_show(c, &w.charge))
		show_end(c);
	return 0;
}
