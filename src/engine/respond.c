#include <stdlib.h>

#include "engine/action.h"
#include "engine/blocks.h"
#include "engine/decide.h"
#include "engine/ledger_link.h"
#include "engine/locks.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/mapping.h"
#include "engine/memory_refused.h"
#include "engine/pending.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/respond.h"
#include "engine/stage.h"
#include "engine/stats.h"
#include "engine/trouble.h"
#include "lib/log.h"

static struct {
	struct policy		*policy;
	struct memory		*memory;
	struct memory_refused	*refused;
	struct trouble		 trouble;
	struct decided		 decision;
	struct str		 answer;
	uint64_t		 tag;		/* the last one given */
} respond;

/* --- requests --- */

/* Never 0: see struct msg_charge. */
static int64_t
next_tag(void)
{
	respond.tag = respond.tag == INT64_MAX ? 1 : respond.tag + 1;
	return (int64_t)respond.tag;
}

/* `block` is NULL if the block or lock has just ended. */
static void
answer_block(struct client *client, const struct settings *s,
    const struct maillog_about *about, const struct override *block)
{
	maillog_blocked(about, block);
	refusal_blocked(about, block);
	stats_add(STATS_BLOCKED, 1);
	respond.answer.len = 0;
	str_adds(&respond.answer, "action=");
	action_add_blocked(&respond.answer, s, block, clock_wall());
	str_adds(&respond.answer, "\n\n");
	client_answer(client, respond.answer.data, respond.answer.len);
}

/* Answers what a block or a lock of the engine's own list matches. */
static void
answer_own(struct client *client, const struct request *req,
    const struct override *block)
{
	struct maillog_about	about;

	stats_answered(0);
	maillog_about(&about, req, KEY_SASL_USERNAME);
	answer_block(client, respond.policy->settings, &about, block);
}

/* Blocks come before everything else. True: answered. */
static bool
answer_if_blocked(struct client *client, const struct request *req)
{
	const struct override	*block;

	block = blocks_check(respond.policy->settings, req, clock_wall());
	if (block != NULL)
		answer_own(client, req, block);
	return block != NULL;
}

/*
 * Answers if a lock holds: true. If the request passes one, sets charge->pass.
 */
static bool
answer_if_locked(struct client *client, const struct request *req,
    struct msg_charge *charge)
{
	const struct override	*lock = NULL;

	if (charge->subject)
		lock = blocks_lock(charge, clock_wall(), &charge->pass);
	if (lock != NULL)
		answer_own(client, req, lock);
	return lock != NULL;
}

static void
answer_passed(struct client *client, const struct policy *policy)
{
	stats_add(STATS_PASSED, 1);
	client_answer(client, policy->success.data, policy->success.len);
}

void
respond_on_request(struct client *client, const struct request *req)
{
	struct decided	*d = &respond.decision;
	struct policy	*policy = respond.policy;
	bool		 fresh, own;
	size_t		 i;

	fresh = blocks_fresh(loop_now(), clock_wall());
	stats_add(STATS_REQUESTS, 1);
	/*
	 * The ledger checks if the engine's list is not fresh, or if there is
	 * none: at the start a request waits for it. While no ledger serves,
	 * the list that exists is used.
	 */
	own = fresh || (blocks_known() && !pending_is_serving());
	if (own && answer_if_blocked(client, req))
		return;
	(void)decide_request(d, policy->settings, req, next_tag());
	if (req->attr[ATTR_PROTOCOL_STATE].len > 0)
		maillog_stage(policy->settings,
		    stage_rules(policy->settings, req));
	if (d->bad_count)
		maillog_bad_count(req);
	if (d->exempt)
		stats_add(STATS_EXEMPT, 1);
	d->charge.subject = false;
	/* The ledger has to know the login for report_user. */
	if (!fresh || d->locks || blocks_locks() ||
	    policy->settings->report_user != NULL)
		blocks_subject(&d->charge, policy->settings, req);
	if (own && answer_if_locked(client, req, &d->charge))
		return;
	if (d->reason != REASON_CHARGED && own && d->charge.pass == 0) {
		stats_answered(0);
		maillog_passed(req, decide_reason_text(d->reason));
		answer_passed(client, policy);
		return;
	}
	for (i = 0; i < d->charge.nkeys; i++)
		if (d->charge.keys[i].pass == 0)
			stats_rule(policy->settings, d->charge.keys[i].rule,
			    STATS_RULE_CHARGED);
	pending_add(client, policy, req, d);
	ledger_feed();
}

/* --- verdicts --- */

static void
on_owed(const struct msg_charge *charge, const int64_t *charged,
    int64_t date, int sign)
{
	if (respond.memory != NULL)
		memory_owe(respond.memory, charge, charged, date, sign);
}

/*
 * While the ledger had this charge, the memory may have accepted others that
 * the ledger did not know of, and so have left no room for it.
 */
static bool
overruled_by_memory(struct msg_charge *charge, const struct msg_verdict *v,
    int64_t now, struct msg_verdict *right)
{
	if (replay_count() == 0 || v->verdict != VERDICT_ACCEPTED ||
	    !memory_over(respond.memory, charge, v, now, right))
		return false;
	return right->verdict == VERDICT_ACCEPTED ||
	    replay_back(charge, v->charged, now, next_tag());
}

/* Learns the ledger's verdict, or if there is none, lets the memory decide. */
static void
remember(const struct pending *p, struct msg_charge *charge,
    const struct msg_verdict **v)
{
	static struct msg_verdict	verdict, again;
	int64_t				now = clock_wall();

	if (p->again && (*v)->verdict == VERDICT_ACCEPTED) {
		again = **v;
		memory_again(respond.memory, charge, &again, now);
		*v = &again;
	}
	if (overruled_by_memory(charge, *v, now, &verdict)) {
		*v = &verdict;
		if (verdict.verdict == VERDICT_REFUSED) {
			stats_add(STATS_MEMORY_REFUSED, 1);
			return;
		}
	}
	if ((*v)->verdict != VERDICT_UNAVAILABLE) {
		memory_learn(respond.memory, charge, *v, now);
		return;
	}
	locks_decide(respond.memory, charge, now, &verdict);
	*v = &verdict;
	if (verdict.verdict == VERDICT_BLOCKED)
		return;
	if (verdict.verdict == VERDICT_REFUSED) {
		memory_refused_keep(respond.refused, pending_number(p),
		    pending_sent(p));
		stats_add(STATS_MEMORY_REFUSED, 1);
	} else
		(void)replay_add(charge, verdict.charged, now);
}

/* A verdict after the answer. */
void
respond_on_late(uint64_t request, const struct msg_verdict *v)
{
	stats_add(STATS_LATE, 1);
	memory_refused_verdict(respond.refused, respond.memory, request, v);
}

/* A reload may have changed db_error_action since the request came. */
static bool
uses_memory(const struct pending *p)
{
	return p->policy->memory && respond.memory != NULL;
}

/*
 * Most requests are accepted without anything to log, and need no look at the
 * charge.
 */
static bool
is_plain(const struct pending *p, const struct msg_verdict *v)
{
	return v->verdict == VERDICT_ACCEPTED && !p->bare && v->over == 0 &&
	    v->shadowed == 0 && v->locked == 0 &&
	    v->warned == 0 && !uses_memory(p) && !log_debugging();
}

/*
 * Handles blocks that the ledger looked for; if it gave no verdict, those of
 * this engine's list. True: answered.
 */
static bool
answer_if_found(struct pending *p, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	const struct override	*block;
	uint8_t			 pass;

	if (v->verdict == VERDICT_UNAVAILABLE)
		blocks_missed();
	else if (v->verdict != VERDICT_BLOCKED && !p->bare)
		return false;
	block = blocks_check_charge(charge, clock_wall());
	if (block == NULL)
		block = blocks_lock(charge, clock_wall(), &pass);
	/* No more mails pass the lock. */
	if (block == NULL && v->verdict == VERDICT_BLOCKED)
		block = blocks_lock_any(charge, clock_wall());
	if (v->verdict == VERDICT_BLOCKED || block != NULL) {
		answer_block(p->client, p->policy->settings, &p->about,
		    block);
		return true;
	}
	if (!p->bare)
		return false;
	maillog_passed_charge(charge, &p->about, decide_reason_text(p->reason));
	answer_passed(p->client, p->policy);
	return true;
}

void
respond_on_verdict(struct pending *p, const struct msg_verdict *v)
{
	struct policy		*policy = p->policy;
	const struct str	*answer = &policy->success;
	struct msg_charge	*charge = NULL;
	bool			 none = v->verdict == VERDICT_UNAVAILABLE;

	stats_answered(clock_between(p->began, loop_now()));
	trouble_note(&respond.trouble, none, policy);
	if (!none) {
		replay_soon();
		locks_send();
	}
	if (!is_plain(p, v))
		charge = pending_charge(p);
	if (answer_if_found(p, charge, v))
		return;
	stats_verdict(v);
	if (charge != NULL) {
		if (none)
			mapping_recall(memory_mapping(respond.memory),
			    policy->settings, charge);
		else
			mapping_take(memory_mapping(respond.memory),
			    policy->settings, charge, v);
		if (uses_memory(p))
			remember(p, charge, &v);
		/* By a lock that the memory knows. */
		if (v->verdict == VERDICT_BLOCKED) {
			answer_block(p->client, policy->settings, &p->about,
			    blocks_lock_any(charge, clock_wall()));
			return;
		}
		stats_verdict_rules(policy->settings, charge, v);
		maillog_verdict(policy->settings, charge, &p->about, v,
		    !none ? NULL : uses_memory(p) ? "from memory" :
		    "no verdict in time");
		refusal_verdict(policy->settings, charge, &p->about, v,
		    none && uses_memory(p) ? respond.memory : NULL);
		if (v->verdict == VERDICT_UNAVAILABLE)
			answer = &policy->error;
		else if (v->verdict == VERDICT_REFUSED || v->over != 0) {
			respond.answer.len = 0;
			str_adds(&respond.answer, "action=");
			action_add(&respond.answer, policy->settings, charge,
			    v);
			str_adds(&respond.answer, "\n\n");
			answer = &respond.answer;
		}
	}
	client_answer(p->client, answer->data, answer->len);
}

void
respond_use(struct policy *policy, struct memory *memory)
{
	respond.policy = policy;
	respond.memory = memory;
}

void
respond_init(void)
{
	arc4random_buf(&respond.tag, sizeof(respond.tag));
	respond.tag &= INT64_MAX;
	decide_init(&respond.decision);
	str_init(&respond.answer);
	respond.refused = memory_refused_new();
	replay_init(on_owed);
}
