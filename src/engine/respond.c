#include <inttypes.h>
#include <stdlib.h>

#include "engine/action.h"
#include "engine/apply.h"
#include "engine/blocks.h"
#include "engine/engine.h"
#include "engine/ledger_link.h"
#include "engine/locks.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/mapping.h"
#include "engine/pending.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/respond.h"
#include "engine/stage.h"
#include "engine/stats.h"
#include "lib/log.h"

#define CALM_MS	1000	/* verdicts again for this long */

static struct {
	const struct engine	*engine;
	struct applied	 applied;
	struct msg_charge charge;	/* of the request that is answered */
	struct str	 answer;
	uint64_t	 tag;		/* the last one given */
	/* The database gives no verdicts. */
	bool		 trouble;
	struct mono	 last;		/* the last request without one */
	uint64_t	 without;	/* requests since it began */
} respond;

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
	maillog_blocked(respond.engine->maillog, about, block);
	refusal_blocked(respond.engine->refusals, about, block);
	stats_add(STATS_BLOCKED, 1);
	respond.answer.len = 0;
	str_adds(&respond.answer, "action=");
	action_add_blocked(&respond.answer, s, block, clock_wall());
	str_adds(&respond.answer, "\n\n");
	client_answer(client, respond.answer.data, respond.answer.len);
}

static void
answer_passed(struct client *client, const struct policy *policy)
{
	stats_add(STATS_PASSED, 1);
	client_answer(client, policy->success.data, policy->success.len);
}

/* --- requests --- */

void
respond_on_request(void *arg, struct client *client, const struct request *req)
{
	struct applied		*a = &respond.applied;
	struct blocks		*blocks = respond.engine->blocks;
	struct policy		*policy = respond.engine->policy;
	const struct settings	*s = policy->settings;
	const struct override	*block;
	struct maillog_about	 about;
	int64_t			 now = clock_wall();
	bool			 fresh, own;
	size_t			 i;

	(void)arg;
	stats_add(STATS_REQUESTS, 1);
	/*
	 * The ledger checks if the engine's list of blocks is not fresh, or if
	 * there is none: at the start a request waits for it. While no ledger
	 * serves, the list that exists is used.
	 */
	fresh = blocks_fresh(blocks, loop_now(), now);
	own = fresh || (blocks_known(blocks) &&
	    !pending_is_serving(respond.engine->pending));
	/* Blocks come before everything else. */
	if (own && (block = blocks_check(blocks, s, req, now)) != NULL)
		goto blocked;
	apply_request(a, req, next_tag());
	if (a->stage != STAGE_NONE)
		maillog_stage(respond.engine->maillog, s,
		    stage_rules(s, a->stage));
	if (a->bad_count)
		maillog_bad_count(respond.engine->maillog, req);
	if (a->exempt)
		stats_add(STATS_EXEMPT, 1);
	a->charge.subject = false;
	/* The ledger has to know the login for report_user. */
	if (!fresh || a->locks || blocks_any_lock(blocks) ||
	    s->report_user != NULL)
		blocks_subject(blocks, &a->charge, s, req);
	if (own && a->charge.subject &&
	    (block = blocks_find_lock(blocks, &a->charge, now,
	    &a->charge.pass)) != NULL)
		goto blocked;
	if (a->reason != REASON_CHARGED && own && a->charge.pass == 0) {
		stats_answered(0);
		if (log_debugging()) {
			maillog_about(&about, req, a->identity);
			maillog_passed(&about, apply_reason_text(a->reason));
		}
		answer_passed(client, policy);
		return;
	}
	for (i = 0; i < a->charge.nkeys; i++)
		if (a->charge.keys[i].pass == 0)
			stats_rule(s, a->charge.keys[i].rule,
			    STATS_RULE_CHARGED);
	pending_add(respond.engine->pending, client, policy, req, a);
	ledger_feed();
	return;
 blocked:
	stats_answered(0);
	maillog_about(&about, req, KEY_SASL_USERNAME);
	answer_block(client, s, &about, block);
}

/* --- verdicts --- */

/* Logs once that there are no verdicts, and once that there are again. */
static void
note_trouble(bool none, const struct policy *policy)
{
	const struct settings	*s = policy->settings;
	size_t			 i;

	if (none) {
		respond.last = loop_now();
		respond.without++;
		if (respond.trouble)
			return;
		respond.trouble = true;
		log_warning("the database gives no verdict: requests are "
		    "answered %s%s", policy->memory ? "from " : "by ",
		    s->db_error_action);
		/* The memory does not know which recipients are new. */
		for (i = 0; i < s->nrules && policy->memory; i++)
			if (s->rules[i].count == RULE_NEW_RECIPIENTS)
				log_warning("rule %s is not applied until the "
				    "database gives verdicts again: it counts "
				    "new recipients", s->rules[i].name);
		return;
	}
	/* A single verdict in time does not mean that the database is well. */
	if (!respond.trouble ||
	    !clock_passed(clock_after(respond.last, CALM_MS), loop_now()))
		return;
	log_notice("the database gives verdicts again; %" PRIu64
	    " %s answered without", respond.without, respond.without == 1 ?
	    "request was" : "requests were");
	respond.trouble = false;
	respond.without = 0;
}

void
respond_on_owed(void *arg, const struct msg_charge *charge,
    const int64_t *charged, int64_t date, int sign)
{
	(void)arg;
	if (respond.engine->memory != NULL)
		memory_owe(respond.engine->memory, charge, charged, date, sign);
}

/*
 * Learns the ledger's verdict, or if there is none, lets the memory decide.
 * Returns the verdict that counts; valid until the next call.
 */
static const struct msg_verdict *
remember(struct memory *memory, const struct pending *p,
    struct msg_charge *charge, const struct msg_verdict *v)
{
	static struct msg_verdict	verdict, again;
	struct replay			*replay = respond.engine->replay;
	int64_t				now = clock_wall();

	if (v->verdict == VERDICT_UNAVAILABLE) {
		locks_decide(respond.engine->locks, memory, charge, now,
		    &verdict);
		if (verdict.verdict == VERDICT_REFUSED) {
			replay_refused(replay, p->number, &p->charge);
			stats_add(STATS_MEMORY_REFUSED, 1);
		} else if (verdict.verdict == VERDICT_ACCEPTED)
			(void)replay_add(replay, charge, verdict.charged, now);
		return &verdict;
	}
	if (p->again && v->verdict == VERDICT_ACCEPTED) {
		again = *v;
		memory_again(memory, charge, &again, now);
		v = &again;
	}
	/*
	 * While the ledger had this charge, the memory may have accepted others
	 * that the ledger did not know of, and so have left no room for it.
	 */
	if (v->verdict == VERDICT_ACCEPTED && replay_count(replay) > 0 &&
	    memory_over(memory, charge, v, now, &verdict) &&
	    (verdict.verdict == VERDICT_ACCEPTED ||
	    replay_back(replay, charge, v->charged, now, next_tag()))) {
		v = &verdict;
		if (v->verdict == VERDICT_REFUSED) {
			stats_add(STATS_MEMORY_REFUSED, 1);
			return v;
		}
	}
	memory_learn(memory, charge, v, now);
	return v;
}

/*
 * Handles blocks that the ledger looked for; if it gave no verdict, those of
 * this engine's list. True: answered.
 */
static bool
answer_if_found(struct pending *p, const struct msg_charge *charge,
    const struct msg_verdict *v)
{
	struct blocks		*blocks = respond.engine->blocks;
	const struct override	*block;
	int64_t			 now = clock_wall();
	uint8_t			 pass;

	if (v->verdict == VERDICT_UNAVAILABLE)
		blocks_no_list(blocks);
	else if (v->verdict != VERDICT_BLOCKED && !p->bare)
		return false;
	block = blocks_check_charge(blocks, charge, now);
	if (block == NULL)
		block = blocks_find_lock(blocks, charge, now, &pass);
	/* No more mails pass the lock. */
	if (block == NULL && v->verdict == VERDICT_BLOCKED)
		block = blocks_find_any_lock(blocks, charge, now);
	if (v->verdict == VERDICT_BLOCKED || block != NULL)
		answer_block(p->client, p->policy->settings, &p->about, block);
	else if (p->bare) {
		if (log_debugging())
			maillog_passed(&p->about, apply_reason_text(p->reason));
		answer_passed(p->client, p->policy);
	} else
		return false;
	return true;
}

void
respond_on_verdict(void *arg, struct pending *p, const struct msg_verdict *v)
{
	struct policy		*policy = p->policy;
	const struct settings	*s = policy->settings;
	const struct str	*answer = &policy->success;
	struct memory		*memory = NULL;
	struct mapping		*mapping;
	struct msg_charge	*charge = &respond.charge;
	bool			 none = v->verdict == VERDICT_UNAVAILABLE;

	(void)arg;
	/* A reload may have changed db_error_action since the request came. */
	if (policy->memory)
		memory = respond.engine->memory;
	stats_answered(clock_between(p->began, loop_now()));
	note_trouble(none, policy);
	if (!none) {
		replay_soon(respond.engine->replay);
		locks_send(respond.engine->locks);
	}
	/* Most requests are accepted without anything to log or to learn. */
	if (v->verdict == VERDICT_ACCEPTED && !p->bare && v->over == 0 &&
	    v->shadowed == 0 && v->locked == 0 && v->warned == 0 &&
	    memory == NULL && !log_debugging()) {
		stats_verdict(v);
		client_answer(p->client, answer->data, answer->len);
		return;
	}
	pending_charge(p, charge);
	mapping = memory_mapping(respond.engine->memory);
	if (answer_if_found(p, charge, v))
		return;
	stats_verdict(v);
	if (none)
		mapping_recall(mapping, s, charge);
	else
		mapping_take(mapping, s, charge, v);
	if (memory != NULL)
		v = remember(memory, p, charge, v);
	/* By a lock that the memory knows. */
	if (v->verdict == VERDICT_BLOCKED) {
		answer_block(p->client, s, &p->about,
		    blocks_find_any_lock(respond.engine->blocks, charge,
		    clock_wall()));
		return;
	}
	stats_verdict_rules(s, charge, v);
	maillog_verdict(respond.engine->maillog, s, charge, &p->about, v,
	    !none ? NULL : memory != NULL ? "from memory" :
	    "no verdict in time");
	refusal_verdict(respond.engine->refusals, s, charge, &p->about, v,
	    none ? memory : NULL);
	if (v->verdict == VERDICT_UNAVAILABLE)
		answer = &policy->error;
	else if (v->verdict == VERDICT_REFUSED || v->over != 0) {
		respond.answer.len = 0;
		str_adds(&respond.answer, "action=");
		action_add(&respond.answer, s, charge, v);
		str_adds(&respond.answer, "\n\n");
		answer = &respond.answer;
	}
	client_answer(p->client, answer->data, answer->len);
}

/* A verdict after the answer. */
void
respond_on_late(uint64_t request, const struct msg_verdict *v)
{
	stats_add(STATS_LATE, 1);
	replay_late(respond.engine->replay, request, v,
	    memory_mapping(respond.engine->memory), next_tag());
}

void
respond_use(const struct settings *s)
{
	apply_use(&respond.applied, s);
}

void
respond_init(const struct engine *engine)
{
	respond.engine = engine;
	arc4random_buf(&respond.tag, sizeof(respond.tag));
	respond.tag &= INT64_MAX;
	apply_init(&respond.applied);
	str_init(&respond.answer);
}
