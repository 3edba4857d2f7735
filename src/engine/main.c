#include <sys/types.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/blocks.h"
#include "engine/client.h"
#include "engine/control/command.h"
#include "engine/control/control.h"
#include "engine/engine.h"
#include "engine/events.h"
#include "engine/ledger_link.h"
#include "engine/listen.h"
#include "engine/locks.h"
#include "engine/loop_clock.h"
#include "engine/maillog.h"
#include "engine/memory.h"
#include "engine/pending.h"
#include "engine/policy.h"
#include "engine/refusal.h"
#include "engine/replay.h"
#include "engine/reply.h"
#include "engine/respond.h"
#include "engine/control/scan_queue.h"
#include "engine/stats.h"
#include "lib/log.h"
#include "role/role.h"

/*
 * The engine: receives requests, and asks the ledger for verdicts. It reads
 * bytes from outside, so it holds nothing but sockets.
 */
#define SPARE_DESCRIPTORS	32	/* channels, listeners, log, libevent */
#define CLIENTS_MOST		65536
#define CLIENTS_BUFFERED	(64 * 1024 * 1024)	/* bytes */
#define REQUEST_MS		(60 * 1000)	/* since its first byte */
#define ANSWER_MS		(60 * 1000)	/* for a client to read it */
#define STOP_SECONDS		5	/* for requests in flight */

static struct engine		engine;

static struct {
	struct role_start	 start;
	bool			 stopping;
	bool			 done;
	struct event		 parent;
	struct event		 stop;
	struct event		 silence;
} run;

/* --- settings --- */

static void
use_settings(struct settings *fresh)
{
	struct policy	*old = engine.policy;
	size_t		 i, j;

	engine.policy = policy_new(fresh);
	stats_rules(fresh);
	maillog_stages_afresh(engine.maillog);
	refusal_use(engine.refusals, fresh);
	listen_allow(engine.listeners, &fresh->allowed_clients);
	client_set_idle(engine.clients, (int64_t)fresh->delay_to_close * 1000);
	if (!engine.policy->memory) {
		memory_free(engine.memory);
		engine.memory = NULL;
	} else if (engine.memory == NULL)
		engine.memory = memory_new((size_t)fresh->memory_limit);
	else
		memory_resize(engine.memory, (size_t)fresh->memory_limit);
	for (i = 0; i < fresh->nrules && engine.memory != NULL; i++)
		for (j = 0; j < fresh->rules[i].nwas; j++)
			memory_rename(engine.memory, fresh->rules[i].was[j],
			    fresh->rules[i].name);
	respond_use(engine.responder, fresh);
	policy_drop(old);
}

/* --- the parent --- */

static void
on_stop_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	run.done = true;
}

/* Answers the requests that were read, then ends. */
static void
stop_engine(void)
{
	static const struct timeval	most = { STOP_SECONDS, 0 };

	if (run.stopping)
		return;
	run.stopping = true;
	listen_stop(engine.listeners);
	control_stop(engine.controls);
	client_stop(engine.clients);
	refusal_settle(engine.refusals);
	/* Tries once more, even if the database failed before. */
	replay_soon(engine.replay);
	evtimer_add(&run.stop, &most);
}

/* The end of a reload, by policyctl or by SIGHUP. Its last line sums it up. */
static void
on_task_done(const struct message *m)
{
	struct msg_task_done	 done;
	struct str		 fields;
	const char		*last;

	if (msg_task_done_get(&done, m->payload, m->len) == -1)
		return;
	if (done.task == TASK_SCAN)
		scan_queue_missing(engine.scan_queue, done.text);
	if (done.task != TASK_RELOAD)
		return;
	last = strrchr(done.text, '\n');
	str_init(&fields);
	reply_bool(&fields, "done", done.good);
	reply_text(&fields, "text", last != NULL ? last + 1 : done.text);
	events_add(engine.followers, "reload", &fields);
	str_clear(&fields);
}

static void
on_message(const struct message *m)
{
	struct settings		*fresh = NULL;
	struct msg_listener	 about;
	uint64_t		 number;

	switch (m->type) {
	case MSG_PEER:
		if (m->fd == -1)
			log_fatal("a peer without its channel");
		ledger_link_set(engine.ledger,
		    channel_new(m->fd, ROLE_ENGINE, ROLE_LEDGER));
		return;
	case MSG_SCAN:
		scan_queue_channel(engine.scan_queue, m->fd);
		return;
	case MSG_LISTENER:
		if (m->fd == -1 ||
		    msg_listener_get(&about, m->payload, m->len) == -1)
			log_fatal("malformed listener from the parent");
		if (run.stopping)
			close(m->fd);
		else
			listen_add(engine.listeners, m->fd, &about);
		return;
	case MSG_LISTENER_END:
		if (msg_number_get(&number, m->payload, m->len) == 0)
			listen_end(engine.listeners, (uint32_t)number);
		return;
	case MSG_STOP:
		stop_engine();
		return;
	case MSG_ALIVE_WANTED:
		channel_signal(run.start.parent, MSG_ALIVE, 0);
		return;
	case MSG_TASK_DONE:
		on_task_done(m);
		/* FALLTHROUGH */
	case MSG_STATE:
		if (control_on_parent(engine.controls, m) == -1)
			log_fatal("the result of a task cannot be read");
		return;
	default:
		if (role_message(&run.start, m, &fresh) == -1)
			log_fatal("malformed message from the parent");
		if (fresh != NULL) {
			use_settings(fresh);
			role_taken(&run.start);
		}
	}
}

static void
on_parent(int fd, short what, void *arg)
{
	struct message	m;
	int		r;

	(void)fd;
	(void)what;
	(void)arg;
	/* Without the parent the engine ends. */
	if (channel_read(run.start.parent) == -1)
		exit(0);
	while ((r = channel_next(run.start.parent, &m)) == 1)
		on_message(&m);
	if (r == -1)
		log_fatal("the parent's channel cannot be trusted");
}

/* An answer to a question of policyctl. */
static int
on_ledger(const struct engine *e, const struct message *m)
{
	return control_on_ledger(e->controls, m);
}

/* --- start and loop --- */

/* One descriptor for each client, after the reserve for everything else. */
static size_t
raise_descriptor_limit(void)
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
on_silence(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (stats_get()->count[STATS_REQUESTS] == 0)
		maillog_silence(engine.policy->settings);
}

static void
make_parts(const struct role_start *start)
{
	const struct client_bounds	bounds = {
		.request_ms = REQUEST_MS,
		.answer_ms = ANSWER_MS,
		.most = raise_descriptor_limit(),
		.buffered = CLIENTS_BUFFERED
	};

	engine.followers = events_new();
	engine.maillog = maillog_new(engine.followers);
	engine.blocks = blocks_new();
	engine.locks = locks_new(engine.blocks);
	engine.refusals = refusal_new();
	engine.responder = respond_new(&engine);
	engine.pending = pending_new(respond_on_verdict, engine.responder);
	engine.replay = replay_new(respond_on_owed, engine.responder);
	engine.ledger = ledger_link_new(&engine, start->parent, on_ledger,
	    respond_on_late);
	engine.clients = client_new(engine.maillog, respond_on_request,
	    engine.responder, &bounds);
	/* If the parent is root, the socket belongs to root. */
	engine.controls = control_new(&engine, start->identity.drop ? 0 :
	    geteuid(), start->parent, command_find);
	engine.scan_queue = scan_queue_new(engine.controls);
	engine.listeners = listen_new(engine.clients, engine.controls);
}

static void
init_engine(void)
{
	static const struct timeval	 hour = { 3600, 0 };
	struct role_start		*start = &run.start;
	size_t				 i;

	if (event_init() == NULL)
		role_fault(start, ROLE_FAULT, "libevent cannot be set up");
	make_parts(start);
	use_settings(start->settings);
	start->settings = NULL;
	evtimer_set(&run.stop, on_stop_timer, NULL);
	evtimer_set(&run.silence, on_silence, NULL);
	evtimer_add(&run.silence, &hour);
	event_set(&run.parent, channel_fd(start->parent),
	    EV_READ | EV_PERSIST, on_parent, NULL);
	event_add(&run.parent, NULL);
	if (start->peer != NULL)
		ledger_link_set(engine.ledger, start->peer);
	for (i = 0; i < start->nlisteners; i++)
		listen_add(engine.listeners, start->listeners[i].fd,
		    &start->listeners[i].about);
}

int
main(void)
{
	struct sandbox_needs	needs = {
		.role = SANDBOX_ENGINE, .directory_fd = -1
	};
	size_t			left;

	role_begin(&run.start, ROLE_ENGINE, "engine");
	init_engine();
	role_lock(&run.start, &needs);
	role_ready(&run.start);
	while (!run.done) {
		if (event_loop(EVLOOP_ONCE) == -1)
			log_fatal("event_loop: %s", strerror(errno));
		/* Writes everything that the turn queued. */
		ledger_link_flush(engine.ledger);
		/* The parent starts no other ledger. */
		if (run.stopping && !ledger_link_there(engine.ledger))
			pending_give_up(engine.pending);
		if (channel_queued(run.start.parent) > 0)
			(void)channel_flush(run.start.parent);
		if (run.stopping && client_count(engine.clients) == 0 &&
		    !replay_busy(engine.replay))
			run.done = true;
		loop_turn_end();
	}
	events_stop(engine.followers);
	if ((left = replay_count(engine.replay)) > 0)
		log_warning("accepted without the database and not recorded: "
		    "%zu request%s", left, left == 1 ? "" : "s");
	return 0;
}
