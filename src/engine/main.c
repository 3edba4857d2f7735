#include <sys/types.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/action.h"
#include "engine/blocks.h"
#include "engine/client.h"
#include "engine/command.h"
#include "engine/control.h"
#include "engine/decide.h"
#include "engine/events.h"
#include "engine/ledger_link.h"
#include "engine/listen.h"
#include "engine/locks.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/mapping.h"
#include "engine/memory.h"
#include "engine/memory_refused.h"
#include "engine/pending.h"
#include "engine/policy.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/reply.h"
#include "engine/scan_queue.h"
#include "engine/stats.h"
#include "engine/trouble.h"
#include "lib/log.h"
#include "role/role.h"

/*
 * The engine: receives requests, and asks the ledger for verdicts. It reads
 * bytes from outside, so it holds nothing but sockets.
 */
#define SPARE_DESCRIPTORS	32	/* channels, listeners, log, libevent */
#define CLIENTS_MOST		65536
#define CLIENTS_HELD		(64 * 1024 * 1024)	/* bytes */
#define REQUEST_MS		(60 * 1000)	/* since its first byte */
#define ANSWER_MS		(60 * 1000)	/* for a client to read it */
#define STOP_SECONDS		5	/* for requests in flight */
#define MAPPING_SHARE		8	/* of memory_limit, besides it */

static struct {
	struct role_start	 start;
	struct policy		*policy;
	struct decision		 decision;
	struct str		 answer;
	struct memory		*memory;
	struct memory_refused	*refused;
	struct trouble		 trouble;
	uint64_t		 tag;		/* the last one given */
	bool			 stopping;
	bool			 done;
	struct event		 parent;
	struct event		 stop;
	struct event		 silence;
} engine;

/* --- requests --- */

/* Never 0: see struct msg_charge. */
static int64_t
engine_tag(void)
{
	engine.tag = engine.tag == INT64_MAX ? 1 : engine.tag + 1;
	return (int64_t)engine.tag;
}

/* NULL: the block or lock has just ended. */
static void
engine_answer_blocked(struct client *client, const struct settings *s,
    const struct maillog_about *about, const struct override *block)
{
	maillog_blocked(about, block);
	refusal_blocked(about, block);
	stats_add(STATS_BLOCKED, 1);
	engine.answer.len = 0;
	str_adds(&engine.answer, "action=");
	action_add_blocked(&engine.answer, s, block, clock_wall());
	str_adds(&engine.answer, "\n\n");
	client_answer(client, engine.answer.data, engine.answer.len);
}

/* Answers what a block or a lock of the engine's own list matches. */
static void
engine_answer_own(struct client *client, const struct request *req,
    const struct override *block)
{
	struct maillog_about	about;

	stats_answered(0);
	maillog_about(&about, req, KEY_SASL_USERNAME);
	engine_answer_blocked(client, engine.policy->settings, &about, block);
}

/* Blocks come before everything else. */
static bool
engine_is_blocked(struct client *client, const struct request *req)
{
	const struct override	*block;

	block = blocks_check(engine.policy->settings, req, clock_wall());
	if (block != NULL)
		engine_answer_own(client, req, block);
	return block != NULL;
}

/* Locks hold for all rules. Otherwise `pass` of the charge is set. */
static bool
engine_is_locked(struct client *client, const struct request *req,
    struct msg_charge *charge)
{
	const struct override	*lock = NULL;

	if (charge->subject)
		lock = blocks_lock(charge, clock_wall(), &charge->pass);
	if (lock != NULL)
		engine_answer_own(client, req, lock);
	return lock != NULL;
}

static void
engine_pass(struct client *client, const struct policy *policy)
{
	stats_add(STATS_PASSED, 1);
	client_answer(client, policy->success.data, policy->success.len);
}

static void
engine_on_request(struct client *client, const struct request *req)
{
	struct decision	*d = &engine.decision;
	struct policy	*policy = engine.policy;
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
	if (own && engine_is_blocked(client, req))
		return;
	(void)decide_request(d, policy->settings, req, engine_tag());
	if (req->attr[ATTR_PROTOCOL_STATE].len > 0)
		maillog_stage(policy->settings,
		    decide_stage_rules(policy->settings, req));
	if (d->bad_count)
		maillog_bad_count(req);
	if (d->exempt)
		stats_add(STATS_EXEMPT, 1);
	d->charge.subject = false;
	/* The ledger has to know the login for report_user. */
	if (!fresh || d->locks || blocks_locks() ||
	    policy->settings->report_user != NULL)
		blocks_subject(&d->charge, policy->settings, req);
	if (own && engine_is_locked(client, req, &d->charge))
		return;
	if (d->reason != REASON_CHARGED && own && d->charge.pass == 0) {
		stats_answered(0);
		maillog_passed(req, decide_reason_text(d->reason));
		engine_pass(client, policy);
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
engine_on_owed(const struct msg_charge *charge, const int64_t *charged,
    int64_t date, int sign)
{
	if (engine.memory != NULL)
		memory_owe(engine.memory, charge, charged, date, sign);
}

/*
 * While the ledger had this charge, the memory may have accepted others that
 * the ledger did not know of, and so have left no room for it.
 */
static bool
engine_overrules(struct msg_charge *charge, const struct msg_verdict *v,
    int64_t now, struct msg_verdict *right)
{
	if (replay_count() == 0 || v->verdict != VERDICT_ACCEPTED ||
	    !memory_over(engine.memory, charge, v, now, right))
		return false;
	return right->verdict == VERDICT_ACCEPTED ||
	    replay_back(charge, v->charged, now, engine_tag());
}

/* Learns the ledger's verdict, or if there is none, lets the memory decide. */
static void
engine_remember(const struct pending *p, struct msg_charge *charge,
    const struct msg_verdict **v)
{
	static struct msg_verdict	verdict, again;
	int64_t				now = clock_wall();

	if (p->again && (*v)->verdict == VERDICT_ACCEPTED) {
		again = **v;
		memory_again(engine.memory, charge, &again, now);
		*v = &again;
	}
	if (engine_overrules(charge, *v, now, &verdict)) {
		*v = &verdict;
		if (verdict.verdict == VERDICT_REFUSED) {
			stats_add(STATS_MEMORY_REFUSED, 1);
			return;
		}
	}
	if ((*v)->verdict != VERDICT_UNAVAILABLE) {
		memory_learn(engine.memory, charge, *v, now);
		return;
	}
	locks_decide(engine.memory, charge, now, &verdict);
	*v = &verdict;
	if (verdict.verdict == VERDICT_BLOCKED)
		return;
	if (verdict.verdict == VERDICT_REFUSED) {
		memory_refused_keep(engine.refused, pending_number(p),
		    pending_sent(p));
		stats_add(STATS_MEMORY_REFUSED, 1);
	} else
		(void)replay_add(charge, verdict.charged, now);
}

/* A verdict after the answer. */
static void
engine_on_late(uint64_t request, const struct msg_verdict *v)
{
	stats_add(STATS_LATE, 1);
	memory_refused_verdict(engine.refused, request, v);
}

/* A reload may have changed db_error_action since the request came. */
static bool
engine_remembers(const struct pending *p)
{
	return p->policy->memory && engine.memory != NULL;
}

/*
 * Most requests are accepted without anything to log, and need no look at the
 * charge.
 */
static bool
engine_is_plain(const struct pending *p, const struct msg_verdict *v)
{
	return v->verdict == VERDICT_ACCEPTED && !p->bare && v->over == 0 &&
	    v->shadowed == 0 && v->locked == 0 &&
	    v->warned == 0 && !engine_remembers(p) && !log_debugging();
}

static void
engine_blocked(struct pending *p, const struct override *block)
{
	engine_answer_blocked(p->client, p->policy->settings, &p->about, block);
}

/*
 * Handles blocks that the ledger looked for; if it gave no verdict, those of
 * this engine's list. True: answered.
 */
static bool
engine_looked(struct pending *p, const struct msg_charge *charge,
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
		engine_blocked(p, block);
		return true;
	}
	if (!p->bare)
		return false;
	maillog_passed_charge(charge, &p->about, decide_reason_text(p->reason));
	engine_pass(p->client, p->policy);
	return true;
}

static void
engine_on_verdict(struct pending *p, const struct msg_verdict *v)
{
	struct policy		*policy = p->policy;
	const struct str	*answer = &policy->success;
	struct msg_charge	*charge = NULL;
	bool			 none = v->verdict == VERDICT_UNAVAILABLE;

	stats_answered(clock_between(p->began, loop_now()));
	trouble_note(&engine.trouble, none, policy);
	if (!none) {
		replay_soon();
		locks_send();
	}
	if (!engine_is_plain(p, v))
		charge = pending_charge(p);
	if (engine_looked(p, charge, v))
		return;
	stats_verdict(v);
	if (charge != NULL) {
		if (none)
			mapping_recall(policy->settings, charge);
		else
			mapping_take(policy->settings, charge, v);
		if (engine_remembers(p))
			engine_remember(p, charge, &v);
		if (v->verdict == VERDICT_BLOCKED) {
			engine_blocked(p, blocks_lock_any(charge,
			    clock_wall()));
			return;
		}
		stats_verdict_rules(policy->settings, charge, v);
		maillog_verdict(policy->settings, charge, &p->about, v,
		    !none ? NULL : engine_remembers(p) ? "from memory" :
		    "no verdict in time");
		refusal_verdict(policy->settings, charge, &p->about, v,
		    none && engine_remembers(p) ? engine.memory : NULL);
		if (v->verdict == VERDICT_UNAVAILABLE)
			answer = &policy->error;
		else if (v->verdict == VERDICT_REFUSED || v->over != 0) {
			engine.answer.len = 0;
			str_adds(&engine.answer, "action=");
			action_add(&engine.answer, policy->settings, charge, v);
			str_adds(&engine.answer, "\n\n");
			answer = &engine.answer;
		}
	}
	client_answer(p->client, answer->data, answer->len);
}

/* --- settings --- */

static int64_t
idle_ms(const struct settings *s)
{
	return (int64_t)s->delay_to_close * 1000;
}

static void
engine_rename(const struct settings *s)
{
	size_t	i, j;

	for (i = 0; i < s->nrules && engine.memory != NULL; i++)
		for (j = 0; j < s->rules[i].nwas; j++)
			memory_rename(engine.memory, s->rules[i].was[j],
			    s->rules[i].name);
}

static void
engine_use(struct settings *fresh)
{
	struct policy	*old = engine.policy;

	engine.policy = policy_new(fresh);
	stats_rules(fresh);
	maillog_stages_afresh();
	refusal_use(fresh);
	listen_allow(&fresh->allowed_clients);
	client_set_idle(idle_ms(fresh));
	mapping_resize(engine.policy->memory ?
	    (size_t)fresh->memory_limit / MAPPING_SHARE : 0);
	if (!engine.policy->memory) {
		memory_free(engine.memory);
		engine.memory = NULL;
	} else if (engine.memory == NULL)
		engine.memory = memory_new((size_t)fresh->memory_limit);
	else
		memory_resize(engine.memory, (size_t)fresh->memory_limit);
	engine_rename(fresh);
	control_use(engine.policy, engine.memory);
	policy_drop(old);
}

/* --- the parent --- */

static void
engine_on_stop_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	engine.done = true;
}

/* Answers the requests that were read, then ends. */
static void
engine_stop(void)
{
	static const struct timeval	most = { STOP_SECONDS, 0 };

	if (engine.stopping)
		return;
	engine.stopping = true;
	listen_stop();
	control_stop();
	client_stop();
	refusal_settle();
	/* Tries once more, even if the database failed before. */
	replay_soon();
	evtimer_add(&engine.stop, &most);
}

static void
engine_listener(const struct message *m)
{
	struct msg_listener	about;

	if (m->fd == -1 || msg_listener_get(&about, m->payload, m->len) == -1)
		log_fatal("a listener of the parent's cannot be read");
	if (engine.stopping)
		close(m->fd);
	else
		listen_add(m->fd, &about);
}

/* The end of a reload, by policyctl or by SIGHUP. Its last line sums it up. */
static void
engine_on_task_done(const struct message *m)
{
	static struct msg_task_done	 done;
	struct str			 fields;
	const char			*last;

	if (msg_task_done_get(&done, m->payload, m->len) == -1)
		return;
	if (done.task == TASK_SCAN)
		scan_queue_missing(done.text);
	if (done.task != TASK_RELOAD)
		return;
	last = strrchr(done.text, '\n');
	str_init(&fields);
	reply_bool(&fields, "done", done.good);
	reply_text(&fields, "text", last != NULL ? last + 1 : done.text);
	events_add("reload", &fields);
	str_clear(&fields);
}

static void
engine_on_message(const struct message *m)
{
	struct settings	*fresh = NULL;
	uint64_t	 number;

	switch (m->type) {
	case MSG_PEER:
		if (m->fd == -1)
			log_fatal("a peer without its channel");
		ledger_set(channel_new(m->fd, ROLE_ENGINE, ROLE_LEDGER));
		return;
	case MSG_SCAN:
		scan_queue_channel(m->fd);
		return;
	case MSG_LISTENER:
		engine_listener(m);
		return;
	case MSG_LISTENER_END:
		if (msg_number_get(&number, m->payload, m->len) == 0)
			listen_end((uint32_t)number);
		return;
	case MSG_STOP:
		engine_stop();
		return;
	case MSG_ALIVE_WANTED:
		channel_signal(engine.start.parent, MSG_ALIVE, 0);
		return;
	case MSG_TASK_DONE:
		engine_on_task_done(m);
		/* FALLTHROUGH */
	case MSG_STATE:
		if (control_on_parent(m) == -1)
			log_fatal("the result of a task cannot be read");
		return;
	default:
		if (role_message(&engine.start, m, &fresh) == -1)
			log_fatal("a message of the parent's cannot be read");
		if (fresh != NULL) {
			engine_use(fresh);
			role_taken(&engine.start);
		}
	}
}

static void
engine_on_parent(int fd, short what, void *arg)
{
	struct message	m;
	int		r;

	(void)fd;
	(void)what;
	(void)arg;
	/* Without the parent the engine ends. */
	if (channel_read(engine.start.parent) == -1)
		exit(0);
	while ((r = channel_next(engine.start.parent, &m)) == 1)
		engine_on_message(&m);
	if (r == -1)
		log_fatal("the parent's channel cannot be trusted");
}

/* --- start and loop --- */

/* One descriptor for each client, after the reserve for everything else. */
static size_t
engine_clients_most(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_fatal("getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_cur > CLIENTS_MOST + SPARE_DESCRIPTORS)
		limit.rlim_cur = CLIENTS_MOST + SPARE_DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_fatal("setrlimit: %s", strerror(errno));
	if (limit.rlim_cur <= 2 * SPARE_DESCRIPTORS)
		return SPARE_DESCRIPTORS;
	return (size_t)limit.rlim_cur - SPARE_DESCRIPTORS;
}

/*
 * An hour after the start: if no request has come, main.cf may not name the
 * socket.
 */
static void
engine_on_silence(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (stats_get()->count[STATS_REQUESTS] == 0)
		maillog_silence(engine.policy->settings);
}

static void
engine_watch_silence(void)
{
	static const struct timeval	hour = { 3600, 0 };

	evtimer_set(&engine.silence, engine_on_silence, NULL);
	evtimer_add(&engine.silence, &hour);
}

static void
engine_set_up(void)
{
	struct role_start	*start = &engine.start;
	struct client_bounds	 bounds = {
		.idle_ms = idle_ms(start->settings),
		.request_ms = REQUEST_MS,
		.answer_ms = ANSWER_MS,
		.most = engine_clients_most(),
		.held = CLIENTS_HELD
	};
	size_t			 i;

	if (event_init() == NULL)
		role_fault(start, "libevent cannot be set up");
	arc4random_buf(&engine.tag, sizeof(engine.tag));
	engine.tag &= INT64_MAX;
	decide_init(&engine.decision);
	str_init(&engine.answer);
	maillog_init();
	refusal_init();
	client_init(engine_on_request, &bounds);
	listen_init();
	blocks_init();
	scan_queue_init();
	pending_init(engine_on_verdict);
	replay_init(engine_on_owed);
	/* If the parent is root, the socket belongs to root. */
	control_init(start->identity.drop ? 0 : geteuid(), start->parent,
	    command_find);
	engine.refused = memory_refused_new();
	ledger_init(control_on_ledger, engine_on_late);
	engine_use(start->settings);
	start->settings = NULL;
	evtimer_set(&engine.stop, engine_on_stop_timer, NULL);
	engine_watch_silence();
	event_set(&engine.parent, channel_fd(start->parent),
	    EV_READ | EV_PERSIST, engine_on_parent, NULL);
	event_add(&engine.parent, NULL);
	if (start->peer != NULL)
		ledger_set(start->peer);
	for (i = 0; i < start->nlisteners; i++)
		listen_add(start->listeners[i].fd,
		    &start->listeners[i].about);
}

/* Writes everything that the turn queued. */
static void
engine_turn_end(void)
{
	ledger_flush();
	/* The parent starts no other ledger. */
	if (engine.stopping && !ledger_there())
		pending_give_up();
	if (channel_queued(engine.start.parent) > 0)
		(void)channel_flush(engine.start.parent);
	if (engine.stopping && client_count() == 0 && !replay_busy())
		engine.done = true;
	loop_turn_end();
}

int
main(void)
{
	struct sandbox_needs	needs;

	role_begin(&engine.start, ROLE_ENGINE, "engine");
	engine_set_up();
	memset(&needs, 0, sizeof(needs));
	needs.role = SANDBOX_ENGINE;
	needs.directory_fd = -1;
	role_lock(&engine.start, &needs);
	role_ready(&engine.start);
	while (!engine.done) {
		if (event_loop(EVLOOP_ONCE) == -1)
			log_fatal("event_loop: %s", strerror(errno));
		engine_turn_end();
	}
	events_stop();
	if (replay_count() > 0)
		log_warning("accepted without the database and not recorded: "
		    "%zu request%s", replay_count(), replay_count() == 1 ?
		    "" : "s");
	return 0;
}
