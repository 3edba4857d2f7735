#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "lib/clock.h"
#include "lib/log.h"

#define READS		64		/* messages of a channel, then decide */
#define FLUSH_MS	100		/* between looks at its deadline */
#define REMEMBER_NS	INT64_C(60000000000)
#define GOODBYE_MS	2000

static struct ledger	ledger;

/* --- the peers --- */

static void
drop_engine(struct ledger *l)
{
	channel_free(l->engine);
	l->engine = NULL;
	charge_batch_clear(l->batch);
	inquiry_clear(&l->asked);
	/* Only the engine waits for the result of a scan. */
	if (l->scans)
		l->stopping = true;
}

/*
 * The channel to the engine is of no use any more, with this errno. After an
 * engine that broke the rules the parent must start another one; only the
 * serving ledger may ask for that. The parent would not send another channel
 * after a fault of this process, so the next ledger must take over.
 */
static void
lose_engine(struct ledger *l, int error)
{
	if (error == EBADMSG && !l->scans)
		channel_signal(l->parent, MSG_PEER_BROKEN, 0);
	else if (error != 0 && error != EBADMSG && error != EPIPE &&
	    error != ECONNRESET)
		log_fatal("channel to the engine: %s", strerror(error));
	drop_engine(l);
}

/*
 * Hands each message of a channel to `handle`; NULL: there must be none. -1:
 * the channel has ended (errno 0), the peer broke its rules (EBADMSG), or
 * another fault.
 */
static int
read_channel(struct ledger *l, struct channel *c,
    int (*handle)(struct ledger *, const struct message *))
{
	struct message	m;
	int		n, reads = 0;

	do {
		if ((n = channel_read(c)) != 1)
			return n;
		while ((n = channel_next(c, &m)) == 1)
			if (handle == NULL || handle(l, &m) == -1) {
				errno = EBADMSG;
				return -1;
			}
		if (n == -1)
			return -1;
	} while (channel_filled(c) && ++reads < READS);
	return 0;
}

static void
read_engine(struct ledger *l)
{
	l->questions = 0;
	if (l->engine != NULL &&
	    read_channel(l, l->engine, dispatch_message) == -1)
		lose_engine(l, errno);
}

/* --- the parent --- */

static int
on_peer(struct ledger *l, const struct message *m)
{
	uint64_t	role;

	if (m->fd == -1 || msg_number_get(&role, m->payload, m->len) == -1)
		return -1;
	if (role == ROLE_ENGINE) {
		drop_engine(l);
		l->engine = channel_new(m->fd, ROLE_LEDGER, ROLE_ENGINE);
		channel_signal(l->engine, MSG_SERVING, 0);
		dispatch_engine(l);
		return 0;
	}
	if (role != ROLE_REPORT)
		return -1;
	ledger_drop_report(l);
	l->report = channel_new(m->fd, ROLE_LEDGER, ROLE_REPORT);
	return 0;
}

/*
 * The parent sends the end of the engine's channel. The engine asks one
 * question.
 */
static int
on_scan(struct ledger *l, const struct message *m)
{
	if (m->fd == -1 || l->engine != NULL)
		return -1;
	l->engine = channel_new(m->fd, ROLE_LEDGER, ROLE_ENGINE);
	l->scans = true;
	return 0;
}

static int
on_stop(struct ledger *l, const struct message *m)
{
	(void)m;
	l->stopping = true;
	return 0;
}

static int	(*const from_parent[MSG__MAX])(struct ledger *,
		    const struct message *) = {
	[MSG_PEER]		= on_peer,
	[MSG_STOP]		= on_stop,
	[MSG_CLEAN]		= upkeep_on_clean,
	[MSG_HITS_WANTED]	= upkeep_on_wanted,
	[MSG_HITS_SENT]		= upkeep_on_hits_sent,
	[MSG_NOTICE_WANTED]	= upkeep_on_wanted,
	[MSG_NOTICE_SENT]	= upkeep_on_notice_sent,
	[MSG_SCAN]		= on_scan
};

static int
on_parent(struct ledger *l, const struct message *m)
{
	struct settings	*fresh = NULL;
	int		 handled;

	if ((handled = role_message(&l->start, m, &fresh)) == -1)
		return -1;
	if (fresh != NULL) {
		orphans_tell(l, fresh);
		charge_batch_settings(l->batch, fresh);
		lookup_settings(l->limits, fresh);
		lookup_settings(l->ids, fresh);
		cache_set_max(l->cache, (size_t)fresh->memory_limit);
		settings_free(l->settings);
		l->settings = fresh;
		settings_wipe_connections(fresh);
		log_set_debug(fresh->debug);
		role_taken(&l->start);
	}
	return handled == 1 || from_parent[m->type] == NULL ? 0 :
	    from_parent[m->type](l, m);
}

/* --- the loop --- */

static void
flush_channels(struct ledger *l)
{
	if (channel_flush(l->parent) == -1)
		exit(0);
	if (l->engine != NULL && channel_flush(l->engine) == -1)
		lose_engine(l, errno);
	if (l->report != NULL && channel_flush(l->report) == -1)
		ledger_drop_report(l);
}

static void
set_pollfd(struct pollfd *p, const struct channel *c)
{
	p->fd = c == NULL ? -1 : channel_fd(c);
	p->events = 0;
	p->revents = 0;
	if (c == NULL)
		return;
	/* Do not read from an engine that does not read our answers. */
	if (channel_queued(c) < CHANNEL_HIGH)
		p->events |= POLLIN;
	if (channel_queued(c) > 0)
		p->events |= POLLOUT;
}

/* `idle`: milliseconds until store_idle should be called again, -1: never. */
static int
poll_timeout(struct ledger *l, int idle)
{
	int	due;

	if (l->batch->count > 0) {
		if (l->busy)
			return clock_left(l->retry, clock_mono());
		return l->gathered.ns == 0 ? 0 :
		    clock_left(l->gathered, clock_mono());
	}
	if (charge_batch_unflushed(l->batch))
		return FLUSH_MS;
	due = clock_sooner(clean_wait(&l->clean),
	    notices_wait(l->notices, clock_mono()));
	due = clock_sooner(due, history_wait(l->history, clock_mono()));
	due = clock_sooner(due, inquiry_wait(&l->asked));
	return clock_sooner(due, idle);
}

/* Waits for input and reads it. */
static void
wait_for_events(struct ledger *l, int idle)
{
	struct pollfd	p[5];
	bool		unflushed;
	int		n;

	set_pollfd(&p[0], l->parent);
	set_pollfd(&p[1], l->engine);
	set_pollfd(&p[2], l->report);
	p[3] = (struct pollfd){ store_fd(l->store), POLLIN, 0 };
	p[4] = (struct pollfd){ charge_batch_flush_fd(l->batch), POLLIN, 0 };
	if ((n = poll(p, 5, poll_timeout(l, idle))) == -1) {
		if (errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		return;
	}
	if (p[3].revents != 0 && store_ended(l->store))
		ledger_ended(l, l->used);
	if ((unflushed = charge_batch_unflushed(l->batch)))
		l->flushed = l->used;
	if ((n == 0 || p[4].revents != 0) &&
	    charge_batch_flush(l->batch, false) == STORE_LOST) {
		if (unflushed)
			ledger_lost(l);
		ledger_ended(l, l->flushed);
	}
	if ((p[1].revents & ~POLLOUT) != 0) {
		read_engine(l);
		if (l->batch->count > 0)
			l->used = clock_mono().ns;
	}
	if ((p[2].revents & ~POLLOUT) != 0 && l->report != NULL &&
	    read_channel(l, l->report, NULL) == -1)
		ledger_drop_report(l);
	if ((p[0].revents & ~POLLOUT) != 0 &&
	    read_channel(l, l->parent, on_parent) == -1)
		exit(errno == EBADMSG ? EXIT_FAILURE : 0);
}

/* Charges that the last batch left over have waited long enough. */
static bool
work_is_due(struct ledger *l)
{
	int	delay;

	if (l->busy)
		return clock_passed(l->retry, clock_mono());
	if (l->batch->count == 0 ||
	    (l->gathering && l->gathered.ns == 0) ||
	    (delay = charge_batch_delay(l->batch)) == 0)
		return true;
	if (!l->gathering) {
		l->gathering = true;
		l->gathered = clock_after(clock_mono(), delay);
	}
	return clock_passed(l->gathered, clock_mono());
}

static void
run_loop(struct ledger *l)
{
	struct mono	now;
	int		idle = 0;
	bool		serves;

	while (!l->stopping) {
		wait_for_events(l, idle);
		if (work_is_due(l)) {
			dispatch_decide(l);
			l->gathering = l->batch->count > 0;
			l->gathered.ns = 0;
		}
		upkeep_send_hits(l);
		flush_channels(l);
		now = clock_mono();
		upkeep_history(l, now);
		upkeep_clean(l);
		idle = -1;
		if (l->batch->count > 0 ||
		    charge_batch_unflushed(l->batch)) {
			flush_channels(l);
			continue;
		}
		upkeep_notices(l, now);
		/* Other ledgers only clean, report or scan. */
		serves = l->engine != NULL && !l->scans;
		if (serves && now.ns - l->remembered >= REMEMBER_NS) {
			l->remembered = now.ns;
			clean_remember(l->store, l->limits, clock_wall());
		}
		if (serves)
			idle = store_idle(l->store);
		inquiry_step(l);
		flush_channels(l);
	}
}

/* Charges received before the stop are answered. */
static void
stop_ledger(struct ledger *l)
{
	struct mono	deadline = clock_after(clock_mono(), GOODBYE_MS);

	read_engine(l);
	while (l->batch->count > 0 &&
	    !clock_passed(deadline, clock_mono())) {
		dispatch_decide(l);
		if (l->busy)
			(void)poll(NULL, 0, clock_left(l->retry, clock_mono()));
	}
	(void)charge_batch_flush(l->batch, true);
	while (!clock_passed(deadline, clock_mono()) && upkeep_keep(l))
		;
	if (l->engine != NULL)
		(void)channel_drain(l->engine, deadline);
	(void)channel_drain(l->parent, deadline);
	drop_engine(l);
	ledger_drop_report(l);
	clean_remember(l->store, l->limits, clock_wall());
	store_close(l->store);
}

/* Makes what uses the store. */
static void
make_parts(struct ledger *l)
{
	l->cache = cache_new((size_t)l->settings->memory_limit);
	l->limits = lookup_new(LOOKUP_LIMITS, l->settings);
	l->ids = lookup_new(LOOKUP_IDS, l->settings);
	l->batch = charge_batch_new(l->cache, l->store, l->limits, l->ids,
	    l->settings);
	l->batch->answers = dispatch_answers(l);
	l->batch->overrides->on_read = dispatch_on_overrides;
	l->batch->overrides->on_set = dispatch_on_override_set;
	l->batch->overrides->arg = l;
	l->hits = hits_new();
	l->notices = notices_new();
	l->history = history_new();
	TAILQ_INIT(&l->asked.list);
	if (l->settings->report_immediately)
		hits_load(l->hits, l->store);
}

int
main(void)
{
	struct ledger		*l = &ledger;
	struct sandbox_needs	 needs;
	struct store_opening	 opening = { 0 };
	bool			 connects, away;
	char			 reason[480];		/* several hosts' */

	role_begin(&l->start, ROLE_LEDGER, "ledger");
	l->parent = l->start.parent;
	l->engine = l->start.peer;
	l->settings = l->start.settings;
	l->start.settings = NULL;

	memset(&needs, 0, sizeof(needs));
	needs.role = store_sandbox;
	connects = needs.role == SANDBOX_LEDGER_SERVER;
	opening.settings = l->settings;
	opening.directory = l->start.directory;
	opening.replaces = l->start.identity.replaces;
	opening.serves = l->engine != NULL;
	if (opening.serves && store_optional.start_helper != NULL)
		store_optional.start_helper(&l->start, &opening);
	/* From here on the process reads data of others, be it in a file. */
	if (connects)
		role_connect(&l->start, &needs);
	else
		role_lock(&l->start, &needs);
	l->store = store_open(&opening, &away, reason, sizeof(reason));
	if (l->store == NULL)
		role_fault(&l->start, away ? ROLE_AWAY : ROLE_FAULT, "%s",
		    reason);
	settings_wipe_connections(l->settings);
	make_parts(l);
	if (connects)
		role_lock(&l->start, &needs);
	if (l->engine != NULL)
		ledger_note(l, charge_batch_start(l->batch, clock_wall()));
	role_ready(&l->start);
	if (l->engine != NULL)
		channel_signal(l->engine, MSG_SERVING, 0);

	l->used = l->flushed = clock_mono().ns;
	run_loop(l);
	stop_ledger(l);
	return 0;
}
