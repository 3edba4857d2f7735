#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/normal.h"
#include "decision/lock.h"
#include "engine/action.h"
#include "engine/control/away.h"
#include "engine/blocks.h"
#include "engine/apply.h"
#include "engine/control/explain.h"
#include "engine/control/explain_habit.h"
#include "engine/control/explain_id.h"
#include "engine/identity.h"
#include "engine/mapping.h"
#include "engine/memory.h"
#include "engine/reply.h"
#include "engine/request.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"
#include "lib/log.h"


static struct {
	struct msg_charge	charge;
	struct msg_weighed	weighed;
	struct msg_charge	own;	/* with its ids before id_sql */
} explain;

static struct msg_charge *
explain_charge(struct control *c)
{
	const struct str	*sent = &control_question(c)->charge;

	if (msg_charge_get(&explain.charge, sent->data, sent->len) == -1)
		log_fatal("a charge of our own is broken");
	return &explain.charge;
}

/* Sends the charge to be weighed, and keeps it and the settings. */
static bool
explain_ask(struct control *c, struct msg_charge *charge)
{
	struct control_question	*q = control_question(c);

	if (q->policy == NULL)
		q->policy = policy_take(control_policy());
	charge->deadline = clock_after(loop_now(),
	    q->policy->settings->db_timeout).ns;
	charge->date = 0;
	q->charge.len = 0;
	msg_charge_put(&q->charge, charge);
	return control_ask(c, MSG_WEIGH, &q->charge);
}

static int
explain_weighed(const struct msg_charge *charge, const struct message *m)
{
	if (m->type != MSG_WEIGHED ||
	    msg_weighed_get(&explain.weighed, m->payload, m->len) == -1 ||
	    explain.weighed.nkeys > charge->nkeys)
		return -1;
	return 0;
}

/* Gives the keys the ids that are counted; `v` is NULL without a verdict. */
static void
explain_map(const struct settings *s, struct msg_charge *charge,
    const struct msg_verdict *v)
{
	struct mapping	*mapping = memory_mapping(control_memory());

	explain.own = *charge;
	if (v != NULL)
		mapping_take(mapping, s, charge, v);
	else
		mapping_recall(mapping, s, charge);
}

static const char *
explain_rule(const struct settings *s, const struct msg_charge_key *key)
{
	return key->rule < s->nrules ? s->rules[key->rule].name : "";
}

static void
explain_windows(struct str *out, const struct settings *s,
    const struct msg_charge_key *key, const struct msg_weighed_key *answer)
{
	const struct msg_window	*w;
	size_t			 i;

	for (i = 0; i < answer->nwindows; i++) {
		w = &answer->windows[i];
		reply_begin(out, "windows");
		reply_text(out, "rule", explain_rule(s, key));
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
explain_verdict(struct str *out, const char *verdict, const char *reason,
    const char *action, size_t len)
{
	reply_begin(out, "");
	reply_text(out, "verdict", verdict);
	reply_text(out, "reason", reason);
	reply_bytes(out, "action", action, len);
	reply_end(out);
}

/*
 * Makes a request of the words, each of which is a line. 0, or -1: the command
 * has failed.
 */
static int
explain_read(struct control *c, struct request *req, struct str *lines,
    const struct control_word *word, size_t n)
{
	const char	*reason = NULL;
	size_t		 i;

	for (i = 0; i < n; i++) {
		str_add(lines, word[i].bytes, word[i].len);
		str_addc(lines, '\n');
	}
	str_addc(lines, '\n');
	if (lines->len > REQUEST_MAX)
		reason = "too long";
	else if (request_parse(req, lines->data, lines->len, &reason) > 0)
		return 0;
	control_fail(c, "malformed request, closed without an answer: %s",
	    reason);
	return -1;
}

/* The answer to what a block or a lock matches. */
static void
explain_blocked(struct control *c, const struct settings *s,
    const struct override *block)
{
	struct str	action;

	str_init(&action);
	action_add_blocked(&action, s, block, clock_wall());
	explain_verdict(control_answer(c), "blocked", block == NULL ?
	    "a block has just ended" : block->kind == OVERRIDE_LOCK ?
	    lock_is_partial(block) ?
	    "a lock holds for networks that are unfamiliar to its rule" :
	    "a lock holds, under all rules" :
	    "a block holds, before everything else", action.data, action.len);
	str_clear(&action);
	if (block != NULL)
		blocks_reply(control_answer(c), block);
	control_end(c);
}

void
explain_run(struct control *c, const struct control_word *word, size_t n)
{
	const struct settings	*s = control_policy()->settings;
	const struct override	*block;
	struct applied		 d;
	struct request		 req;
	struct str		 lines;

	str_init(&lines);
	apply_init(&d);
	if (explain_read(c, &req, &lines, word, n) == -1)
		goto done;
	if ((block = blocks_check(s, &req, clock_wall())) != NULL) {
		explain_blocked(c, s, block);
		goto done;
	}
	apply_request(&d, s, &req, (int64_t)arc4random() + 1);
	blocks_subject(&d.charge, s, &req);
	block = blocks_lock(&d.charge, clock_wall(), &d.charge.pass);
	if (block != NULL) {
		explain_blocked(c, s, block);
		goto done;
	}
	if (d.reason != REASON_CHARGED && d.charge.pass == 0) {
		explain_verdict(control_answer(c), "passed",
		    apply_reason_text(d.reason), s->success_action,
		    strlen(s->success_action));
		control_end(c);
		goto done;
	}
	control_question(c)->identity = d.identity;
	control_question(c)->exempt = d.exempt;
	if (!explain_ask(c, &d.charge))
		explain_on_timeout(c);
 done:
	apply_clear(&d);
	str_clear(&lines);
}

static void
explain_keys(struct str *out, const struct settings *s,
    const struct msg_charge *charge, enum rule_attribute identity)
{
	const struct msg_weighed	*w = &explain.weighed;
	const struct msg_charge_key	*key;
	struct str			 name;
	size_t				 i;

	for (i = 0; i < w->nkeys; i++) {
		key = &charge->keys[i];
		if (!decision_counts(key, w->verdict.passed))
			continue;
		str_init(&name);
		apply_key_name(&name, s, key, identity);
		reply_begin(out, "keys");
		reply_text(out, "rule", explain_rule(s, key));
		reply_bytes(out, "key", name.data, name.len);
		reply_bytes(out, "id", key->id, key->idlen);
		if (key->id != explain.own.keys[i].id)
			reply_bytes(out, "id_of", explain.own.keys[i].id,
			    explain.own.keys[i].idlen);
		reply_number(out, "n", w->keys[i].amount);
		if (key->max_per_mail > 0)
			reply_number(out, "max_per_mail", key->max_per_mail);
		reply_bool(out, "refuses", w->verdict.verdict ==
		    VERDICT_REFUSED && w->verdict.key == i);
		reply_bool(out, "over", (w->verdict.over >> i & 1) != 0);
		reply_bool(out, "would_refuse",
		    (w->verdict.shadowed >> i & 1) != 0);
		reply_bool(out, "warns", (w->verdict.warned >> i & 1) != 0);
		explain_habit(out, key, &w->keys[i]);
		reply_end(out);
		str_clear(&name);
	}
	for (i = 0; i < w->nkeys; i++)
		explain_windows(out, s, &charge->keys[i], &w->keys[i]);
}

/* Appends the verdict on the charge and the windows behind it. */
static void
explain_answer(struct control *c, const struct msg_charge *charge,
    const char *accepted, const char *refused)
{
	struct control_question		*q = control_question(c);
	const struct settings		*s = q->policy->settings;
	const struct msg_verdict	*v = &explain.weighed.verdict;
	const struct override		*block;
	struct str			 action;

	if (v->verdict == VERDICT_BLOCKED) {
		block = blocks_check_charge(charge, clock_wall());
		explain_blocked(c, s, block != NULL ? block :
		    blocks_lock_any(charge, clock_wall()));
		return;
	}
	str_init(&action);
	action_add(&action, s, charge, v);
	if (v->verdict == VERDICT_ACCEPTED)
		explain_verdict(control_answer(c), "accepted", v->passed != 0 ?
		    "a lock holds, and mail to this recipient passes it" :
		    q->exempt ?
		    "exempt: it is recorded, and no limit applies" : accepted,
		    action.data, action.len);
	else
		explain_verdict(control_answer(c), "refused", refused,
		    action.data, action.len);
	explain_keys(control_answer(c), s, charge, q->identity);
	control_end(c);
	str_clear(&action);
}

/* Answers as for a request to which the ledger gives no verdict. */
static void
explain_without(struct control *c, struct msg_charge *charge)
{
	const struct policy	*policy = control_question(c)->policy;
	struct memory		*memory = control_memory();
	const char		*action;

	if (policy->memory && memory != NULL) {
		explain_map(policy->settings, charge, NULL);
		memory_weigh(memory, charge, clock_wall(), &explain.weighed);
		explain_answer(c, charge, "the database gives no verdict; in "
		    "memory all windows hold",
		    explain.weighed.verdict.per_mail ? "the database gives no "
		    "verdict; in memory the mail exceeds max_per_mail" :
		    "the database gives no verdict; in memory a window is "
		    "full");
		return;
	}
	action = policy->memory ? policy->settings->success_action :
	    policy->settings->db_error_action;
	explain_verdict(control_answer(c), "unavailable",
	    "the database gives no verdict: db_error_action", action,
	    strlen(action));
	control_end(c);
}

void
explain_on_timeout(struct control *c)
{
	struct msg_charge	*charge = explain_charge(c);

	(void)blocks_lock(charge, clock_wall(), &charge->pass);
	explain_without(c, charge);
}

int
explain_on_answer(struct control *c, const struct message *m)
{
	struct msg_charge	*charge = explain_charge(c);

	if (explain_weighed(charge, m) == -1)
		return -1;
	if (explain.weighed.verdict.verdict == VERDICT_UNAVAILABLE)
		explain_on_timeout(c);
	else {
		explain_map(control_question(c)->policy->settings, charge,
		    &explain.weighed.verdict);
		explain_answer(c, charge, explain.weighed.verdict.over != 0 ?
		    "a window is full, and Postfix takes the mail" :
		    "all windows hold",
		    explain.weighed.verdict.per_mail ?
		    "the mail exceeds max_per_mail" : "a window is full");
	}
	return 0;
}

/* --- show --- */

void
explain_show(struct control *c, const struct control_word *word, size_t n)
{
	struct control_question	*q = control_question(c);
	struct msg_charge	*charge = &explain.charge;
	struct str		 ids;

	(void)n;
	if (word[0].len > EXPLAIN_ID_MAX) {
		control_fail(c, "the id is too long");
		return;
	}
	str_init(&ids);
	q->policy = policy_take(control_policy());
	str_add(&q->word, word[0].bytes, word[0].len);
	q->exempt = explain_id(charge, q->policy->settings, &word[0], &ids,
	    false) || identity_is_exempt(q->policy->settings, q->word.data,
	    q->word.len);
	if (charge->nkeys == 0 ? !control_ask(c, MSG_OVERRIDES_WANTED, NULL) :
	    !explain_ask(c, charge))
		away_fail(c, NULL);
	str_clear(&ids);
}

/* An id that is not counted may still be blocked or locked. */
static void
show_block(struct control *c, const struct override *block,
    const struct override *lock)
{
	if (block == NULL && lock == NULL) {
		control_fail(c, "no rule counts such an id");
		return;
	}
	if (block != NULL)
		blocks_reply(control_answer(c), block);
	if (lock != NULL)
		blocks_reply(control_answer(c), lock);
	control_end(c);
}

static void
show_max_per_mail(struct str *out, const struct settings *s,
    const struct msg_charge_key *key)
{
	if (key->max_per_mail == 0)
		return;
	reply_begin(out, "keys");
	reply_text(out, "rule", explain_rule(s, key));
	reply_bytes(out, "id", key->id, key->idlen);
	reply_number(out, "max_per_mail", key->max_per_mail);
	reply_end(out);
}

/* Whether this window has something to show. */
static bool
show_has(const struct msg_weighed_key *k, size_t window)
{
	return k->windows[window].used > 0 || k->granted > 0;
}

int
explain_show_on_answer(struct control *c, const struct message *m,
    const struct msg_charge **shown)
{
	struct control_question	*q = control_question(c);
	const struct settings	*s = q->policy->settings;
	struct msg_charge	*charge;
	const struct msg_weighed *w = &explain.weighed;
	const struct override	*block, *lock;
	bool			 any = false;
	size_t			 i, j;

	block = blocks_of_id(s, OVERRIDE_BLOCK, q->word.data, q->word.len,
	    clock_wall());
	lock = blocks_of_id(s, OVERRIDE_LOCK, q->word.data, q->word.len,
	    clock_wall());
	if (m->type == MSG_OVERRIDES_END) {
		show_block(c, block, lock);
		return 0;
	}
	charge = explain_charge(c);
	if (explain_weighed(charge, m) == -1)
		return -1;
	if (w->verdict.verdict == VERDICT_UNAVAILABLE) {
		away_fail(c, NULL);
		return 0;
	}
	explain_map(s, charge, &w->verdict);
	if (q->exempt) {
		reply_begin(control_answer(c), "");
		reply_bool(control_answer(c), "exempt", true);
		reply_end(control_answer(c));
	}
	if (block != NULL)
		blocks_reply(control_answer(c), block);
	if (lock != NULL)
		blocks_reply(control_answer(c), lock);
	q->known = q->exempt || block != NULL || lock != NULL;
	/* Prints the rules with a count for the id; without any, all. */
	for (i = 0; i < w->nkeys; i++)
		for (j = 0; j < w->keys[i].nwindows; j++)
			any = any || show_has(&w->keys[i], j);
	for (i = 0; i < w->nkeys; i++) {
		for (j = 0; j < w->keys[i].nwindows; j++)
			if (!any || show_has(&w->keys[i], j))
				break;
		if (j < w->keys[i].nwindows || w->keys[i].nwindows == 0)
			show_max_per_mail(control_answer(c), s,
			    &charge->keys[i]);
		if (j < w->keys[i].nwindows)
			explain_windows(control_answer(c), s, &charge->keys[i],
			    &w->keys[i]);
	}
	q->known = q->known || any;
	*shown = charge;
	return 1;
}
