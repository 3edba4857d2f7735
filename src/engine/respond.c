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
#include "lib/alloc.h"
#include "lib/log.h"

#define CALM_MS	1000	/* verdicts again for this long */

struct responder {
	const struct engine	*engine;
	uint64_t		 tag;		/* the last one given */
	/* The database gives no verdicts. */
	bool			 trouble;
	struct mono		 last;		/* the last without one */
	uint64_t		 without;	/* requests since it began */
	/* Of the request in hand, until it is queued or answered. */
	struct applied		 applied;
	struct msg_charge	 charge;
	struct msg_verdict	 again;		/* memory_again */
	struct msg_verdict	 decided;	/* by the memory */
	struct str		 answer;
};

/* Never 0: see struct msg_charge. */
static int64_t
next_tag(struct responder *r)
{
	r->tag = r->tag == INT64_MAX ? 1 : r->tag + 1;
	return (int64_t)r->tag;
}

/* `block` is NULL if the block or lock has just ended. */
static void
answer_block(struct responder *r, struct client *client,
    const struct settings *s, const struct maillog_about *about,
    const struct override *block)
{
	maillog_blocked(r->engine->maillog, about, block);
	refusal_blocked(r->engine->refusals, about, block);
	stats_add(STATS_BLOCKED, 1);
	r->answer.len = 0;
	str_adds(&r->answer, "action=");
	action_add_blocked(&r->answer, s, block, clock_wall());
	str_adds(&r->answer, "\n\n");
	client_answer(client, r->answer.data, r->answer.len);
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
	struct responder	*r = arg;
	struct applied		*a = &r->applied;
	struct blocks		*blocks = r->engine->blocks;
	struct policy		*policy = r->engine->policy;
	const struct settings	*s = policy->settings;
	const struct override	*block;
	struct maillog_about	 about;
	int64_t			 now = clock_wall();
	bool			 fresh, own;
	size_t			 i;

	stats_add(STATS_REQUESTS, 1);
	/*
	 * The ledger checks if the engine's list of blocks is not fresh, or if
	 * there is none: at the start a request waits for it. While no ledger
	 * serves, the list that exists is used.
	 */
	fresh = blocks_fresh(blocks, loop_now(), now);
	own = fresh || (blocks_known(blocks) &&
	    !pending_is_serving(r->engine->pending));
	/* Blocks come before everything else. */
	if (own && (block = blocks_check(blocks, s, req, now)) != NULL)
		goto blocked;
	apply_request(a, req, next_tag(r));
	if (a->stage != STAGE_NONE)
		maillog_stage(r->engine->maillog, s, stage_rules(s, a->stage));
	if (a->bad_count)
		maillog_bad_count(r->engine->maillog, req);
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
	pending_add(r->engine->pending, client, policy, req, a);
	ledger_link_feed(r->engine->ledger);
	return;
 blocked:
	stats_answered(0);
	maillog_about(&about, req, KEY_SASL_USERNAME);
	answer_block(r, client, s, &about, block);
}

/* --- verdicts --- */

/* Logs once that there are no verdicts, and once that there are again. */
static void
note_trouble(struct responder *r, bool none, const struct policy *policy)
{
	const struct settings	*s = policy->settings;
	size_t			 i;

	if (none) {
		r->last = loop_now();
		r->without++;
		if (r->trouble)
			return;
		r->trouble = true;
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
	if (!r->trouble ||
	    !clock_passed(clock_after(r->last, CALM_MS), loop_now()))
		return;
	log_notice("the database gives verdicts again; %" PRIu64
	    " %s answered without", r->without, r->without == 1 ?
	    "request was" : "requests were");
	r->trouble = false;
	r->without = 0;
}

void
respond_on_owed(void *arg, const struct msg_charge *charge,
    const int64_t *charged, int64_t date, int sign)
{
	const struct responder	*r = arg;

	if (r->engine->memory != NULL)
		memory_owe(r->engine->memory, charge, charged, date, sign);
}

/*
 * Learns the ledger's verdict, or if there is none, lets the memory decide.
 * Returns the verdict that counts; valid until the next call.
 */
static const struct msg_verdict *
remember(struct responder *r, struct memory *memory, const struct pending *p,
    struct msg_charge *charge, const struct msg_verdict *v)
{
	struct msg_verdict	*decided = &r->decided;
	struct replay		*replay = r->engine->replay;
	int64_t			 now = clock_wall();

	if (v->verdict == VERDICT_UNAVAILABLE) {
		locks_decide(r->engine->locks, memory, charge, now, decided);
		if (decided->verdict == VERDICT_REFUSED) {
			replay_refused(replay, p->number, &p->charge);
			stats_add(STATS_MEMORY_REFUSED, 1);
		} else if (decided->verdict == VERDICT_ACCEPTED)
			(void)replay_add(replay, charge, decided->charged, now);
		return decided;
	}
	if (p->again && v->verdict == VERDICT_ACCEPTED) {
		r->again = *v;
		memory_again(memory, charge, &r->again, now);
		v = &r->again;
	}
	/*
	 * While the ledger had this charge, the memory may have accepted others
	 * that the ledger did not know of, and so have left no room for it.
	 */
	if (v->verdict == VERDICT_ACCEPTED && replay_count(replay) > 0 &&
	    memory_over(memory, charge, v, now, decided) &&
	    (decided->verdict == VERDICT_ACCEPTED ||
	    replay_back(replay, charge, v->charged, now, next_tag(r)))) {
		v = decided;
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
answer_if_found(struct responder *r, struct pending *p,
    const struct msg_charge *charge, const struct msg_verdict *v)
{
	struct blocks		*blocks = r->engine->blocks;
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
		answer_block(r, p->client, p->policy->settings, &p->about,
		    block);
	else if (p->bare) {
		if (log_debugging())
			maillog_passed(&p->about, apply_reason_text(p->reason));
		answer_passed(p->client, p->policy);
	} else
		return false;
	return true;
}

/*
 * Learns the verdict, logs it and answers. `memory` is NULL if db_error_action
 * is another.
 */
static void
answer_verdict(struct responder *r, struct pending *p, struct memory *memory,
    const struct msg_verdict *v)
{
	const struct engine	*engine = r->engine;
	const struct settings	*s = p->policy->settings;
	const struct str	*answer = &p->policy->success;
	struct mapping		*mapping = memory_mapping(engine->memory);
	struct msg_charge	*charge = &r->charge;
	bool			 none = v->verdict == VERDICT_UNAVAILABLE;

	pending_charge(p, charge);
	if (answer_if_found(r, p, charge, v))
		return;
	stats_verdict(v);
	if (none)
		mapping_recall(mapping, s, charge);
	else
		mapping_take(mapping, s, charge, v);
	if (memory != NULL)
		v = remember(r, memory, p, charge, v);
	/* By a lock that the memory knows. */
	if (v->verdict == VERDICT_BLOCKED) {
		answer_block(r, p->client, s, &p->about,
		    blocks_find_any_lock(engine->blocks, charge, clock_wall()));
		return;
	}
	stats_verdict_rules(s, charge, v);
	maillog_verdict(engine->maillog, s, charge, &p->about, v,
	    !none ? NULL : memory != NULL ? "from memory" :
	    "no verdict in time");
	refusal_verdict(engine->refusals, s, charge, &p->about, v,
	    none ? memory : NULL);
	if (v->verdict == VERDICT_UNAVAILABLE)
		answer = &p->policy->error;
	else if (v->verdict == VERDICT_REFUSED || v->over != 0) {
		r->answer.len = 0;
		str_adds(&r->answer, "action=");
		action_add(&r->answer, s, charge, v);
		str_adds(&r->answer, "\n\n");
		answer = &r->answer;
	}
	client_answer(p->client, answer->data, answer->len);
}

void
respond_on_verdict(void *arg, struct pending *p, const struct msg_verdict *v)
{
	struct responder	*r = arg;
	const struct engine	*engine = r->engine;
	struct policy		*policy = p->policy;
	struct memory		*memory = NULL;
	bool			 none = v->verdict == VERDICT_UNAVAILABLE;

	/* A reload may have changed db_error_action since the request came. */
	if (policy->memory)
		memory = engine->memory;
	stats_answered(clock_between(p->began, loop_now()));
	note_trouble(r, none, policy);
	if (!none) {
		replay_soon(engine->replay);
		locks_send(engine->locks);
	}
	/* Most requests are accepted without anything to log or to learn. */
	if (v->verdict == VERDICT_ACCEPTED && !p->bare && v->over == 0 &&
	    v->shadowed == 0 && v->locked == 0 && v->warned == 0 &&
	    memory == NULL && !log_debugging()) {
		stats_verdict(v);
		client_answer(p->client, policy->success.data,
		    policy->success.len);
		return;
	}
	answer_verdict(r, p, memory, v);
}

/* A verdict after the answer. */
void
respond_on_late(const struct engine *engine, uint64_t request,
    const struct msg_verdict *v)
{
	stats_add(STATS_LATE, 1);
	replay_late(engine->replay, request, v, memory_mapping(engine->memory),
	    next_tag(engine->responder));
}

void
respond_use(struct responder *r, const struct settings *s)
{
	apply_use(&r->applied, s);
}

struct responder *
respond_new(const struct engine *engine)
{
	struct responder	*r = alloc_zero(1, sizeof(*r));

	r->engine = engine;
	arc4random_buf(&r->tag, sizeof(r->tag));
	r->tag &= INT64_MAX;
	apply_init(&r->applied);
	str_init(&r->answer);
	return r;
}
