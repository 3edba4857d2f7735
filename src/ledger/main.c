#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "ledger/cache.h"
#include "ledger/charge.h"
#include "ledger/clean.h"
#include "ledger/hits.h"
#include "ledger/id.h"
#include "ledger/lookup.h"
#include "ledger/store.h"
#include "ledger/top.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "role/role.h"
#include "sandbox/privileges.h"

#define READS		64		/* of a channel, before deciding */
#define QUESTIONS_MOST	256		/* at once: policyctl's are few */
#define BUSY_MS		5		/* between tries at a locked file */
#define BUSY_LOG_NS	INT64_C(1000000000)
#define PROGRESS_NS	INT64_C(1000000000)
#define REMEMBER_NS	INT64_C(60000000000)
#define GOODBYE_MS	2000
#define FAREWELL_MS	100	/* for verdicts, when the database is lost */

static struct ledger {
	struct role_start	 start;
	struct channel		*parent;
	struct channel		*engine;	/* NULL: the next one comes */
	struct channel		*report;
	struct settings		*settings;
	struct store		*store;
	struct cache		*cache;
	struct lookup		*limits;
	struct charge_batch	*batch;
	struct hits		*hits;
	struct clean		 clean;
	unsigned int		 questions;	/* since the last decision */
	bool			 hits_wanted;	/* by the report to come */
	bool			 stopping;
	bool			 busy;		/* the database is locked */
	bool			 trouble;	/* and that was said */
	int64_t			 busy_since;	/* ns; 0: it is not */
	int64_t			 progress;	/* of cleaning, last told, ns */
	int64_t			 remembered;	/* limits from SQL, ns */
	uint64_t		 figure[FIGURE__MAX];
	struct str		 payload;
} ledger;

/* --- the database's state, said once when it changes --- */

static void
ledger_lost(struct ledger *l)
{
	log_error("%s: %s", store_description(l->store), store_error(l->store));
	/* Whose window was full is refused all the same. */
	if (l->engine != NULL)
		(void)channel_drain(l->engine, clock_after(clock_mono(),
		    FAREWELL_MS));
	exit(ROLE_AWAY);
}

static void
ledger_note(struct ledger *l, enum store_result result)
{
	int64_t	now;

	l->busy = result == STORE_BUSY;
	l->figure[FIGURE_BUSY] += l->busy;
	l->figure[FIGURE_ERRORS] += result == STORE_FAILED;
	if (result == STORE_LOST)
		ledger_lost(l);
	if (result == STORE_OK) {
		l->busy_since = 0;
		if (l->trouble)
			log_notice("%s works again",
			    store_description(l->store));
		l->trouble = false;
		return;
	}
	/* That another process holds it for a moment is nothing to tell. */
	now = clock_mono().ns;
	if (l->busy_since == 0)
		l->busy_since = now;
	if (l->trouble || (l->busy && now - l->busy_since < BUSY_LOG_NS))
		return;
	l->trouble = true;
	log_error("%s: %s", store_description(l->store), store_error(l->store));
}

/* --- charges --- */

static void
ledger_on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct ledger	*l = arg;

	l->figure[FIGURE_CHARGES]++;
	if (l->engine == NULL)
		return;
	l->payload.len = 0;
	msg_verdict_put(&l->payload, v);
	channel_send(l->engine, MSG_VERDICT, request, &l->payload, -1);
}

static void
ledger_on_weighed(void *arg, uint64_t request,
    const struct msg_weighed *weighed)
{
	struct ledger	*l = arg;

	if (l->engine == NULL)
		return;
	l->payload.len = 0;
	msg_weighed_put(&l->payload, weighed);
	channel_send(l->engine, MSG_WEIGHED, request, &l->payload, -1);
}

static void
ledger_on_hit(void *arg, const char *id, size_t idlen, int64_t seconds)
{
	struct ledger	*l = arg;

	l->figure[FIGURE_HITS]++;
	if (!l->settings->report_immediately)
		return;
	hits_refresh(l->hits, l->store, clock_mono());
	if (hits_first(l->hits, id, idlen, seconds))
		channel_signal(l->parent, MSG_HIT_NEW, 0);
}

static void
ledger_decide(struct ledger *l)
{
	const struct charge_answers	answers = {
		ledger_on_verdict, ledger_on_hit, l, ledger_on_weighed
	};
	size_t				count = charge_batch_count(l->batch);

	if (count == 0)
		return;
	l->figure[FIGURE_BATCHES]++;
	if (count > l->figure[FIGURE_LARGEST_BATCH])
		l->figure[FIGURE_LARGEST_BATCH] = count;
	ledger_note(l, charge_batch_run(l->batch, clock_wall(), clock_mono(),
	    &answers));
}

static void
ledger_drop_engine(struct ledger *l)
{
	channel_free(l->engine);
	l->engine = NULL;
	charge_batch_clear(l->batch);
}

/* What a channel has for us goes to `handle`. -1: the channel is at its end. */
static int
ledger_read(struct ledger *l, struct channel *c,
    int (*handle)(struct ledger *, const struct message *))
{
	struct message	m;
	int		n, reads;

	for (reads = 0; reads < READS; reads++) {
		if ((n = channel_read(c)) != 1)
			return n;
		while ((n = channel_next(c, &m)) == 1)
			if (handle(l, &m) == -1)
				return -1;
		if (n == -1)
			return -1;
	}
	return 0;
}

static int
ledger_on_charge(struct ledger *l, const struct message *m)
{
	return charge_batch_add(l->batch, m->request, m->payload, m->len);
}

static int
ledger_on_weigh(struct ledger *l, const struct message *m)
{
	return charge_batch_weigh(l->batch, m->request, m->payload, m->len);
}

static int
ledger_on_reset(struct ledger *l, const struct message *m)
{
	return charge_batch_reset(l->batch, m->request, m->payload, m->len);
}

static bool
ledger_override(struct ledger *l, const struct msg_override *m, int64_t now)
{
	char			hashed[ID_STORED_MAX + 1];
	struct store_override	o = { .kind = m->kind, .amount = m->amount,
				    .until = m->until };
	size_t			i;

	for (i = 0; i < m->nids; i++) {
		o.idlen = m->idlen[i];
		o.id = id_stored(m->id[i], &o.idlen, hashed);
		switch (store_set_override(l->store, &o, now)) {
		case STORE_OK:
			break;
		case STORE_LOST:
			ledger_lost(l);
			return false;
		default:
			log_warning("%s: %s", store_description(l->store),
			    store_error(l->store));
			return false;
		}
	}
	return true;
}

static int
ledger_on_override(struct ledger *l, const struct message *m)
{
	static struct msg_override	override;
	bool				good;

	if (msg_override_get(&override, m->payload, m->len) == -1)
		return -1;
	good = ledger_override(l, &override, clock_wall());
	override_stale(charge_batch_overrides(l->batch));
	l->payload.len = 0;
	msg_number_put(&l->payload, good);
	channel_send(l->engine, MSG_OVERRIDDEN, m->request, &l->payload, -1);
	return 0;
}

static int
ledger_on_top(struct ledger *l, const struct message *m)
{
	static struct msg_topped	told;
	uint64_t			n;

	if (msg_number_get(&n, m->payload, m->len) == -1)
		return -1;
	top_find(&told, n < TOP_MAX ? (size_t)n : TOP_MAX, l->cache, l->limits,
	    charge_batch_overrides(l->batch), l->settings, clock_wall());
	l->payload.len = 0;
	msg_topped_put(&l->payload, &told);
	channel_send(l->engine, MSG_TOPPED, m->request, &l->payload, -1);
	return 0;
}

static int
ledger_on_figures(struct ledger *l, const struct message *m)
{
	struct msg_figures	told;

	memcpy(told.figure, l->figure, sizeof(told.figure));
	told.figure[FIGURE_CACHE_IDS] = cache_ids(l->cache);
	told.figure[FIGURE_CACHE_BYTES] = cache_bytes(l->cache);
	(void)strlcpy(told.database, store_description(l->store),
	    sizeof(told.database));
	(void)strlcpy(told.fault, l->trouble ? store_error(l->store) : "",
	    sizeof(told.fault));
	l->payload.len = 0;
	msg_figures_put(&l->payload, &told);
	channel_send(l->engine, MSG_FIGURES, m->request, &l->payload, -1);
	return 0;
}

static const struct {
	int	(*handle)(struct ledger *, const struct message *);
	bool	 question;		/* of policyctl */
} from_engine[MSG__MAX] = {
	[MSG_CHARGE]		= { ledger_on_charge, false },
	[MSG_WEIGH]		= { ledger_on_weigh, true },
	[MSG_RESET]		= { ledger_on_reset, true },
	[MSG_OVERRIDE]		= { ledger_on_override, true },
	[MSG_TOP]		= { ledger_on_top, true },
	[MSG_FIGURES_WANTED]	= { ledger_on_figures, true }
};

/* Answers may be much longer than questions, and what is weighed takes room. */
static bool
ledger_may_ask(struct ledger *l)
{
	return ++l->questions <= QUESTIONS_MOST &&
	    channel_queued(l->engine) <= 16 * CHANNEL_HIGH;
}

static int
ledger_on_engine(struct ledger *l, const struct message *m)
{
	if (from_engine[m->type].handle != NULL &&
	    (!from_engine[m->type].question || ledger_may_ask(l)) &&
	    from_engine[m->type].handle(l, m) == 0)
		return 0;
	log_error("engine broke the rules of its channel: no charge");
	return -1;
}

static void
ledger_read_engine(struct ledger *l)
{
	l->questions = 0;
	if (l->engine != NULL &&
	    ledger_read(l, l->engine, ledger_on_engine) == -1)
		ledger_drop_engine(l);
}

/* --- cleaning --- */

static void
ledger_tell_cleaned(struct ledger *l)
{
	struct msg_cleaned	m;

	memset(&m, 0, sizeof(m));
	m.done = l->clean.state != CLEAN_RUNNING;
	m.failed = l->clean.state == CLEAN_FAILED;
	m.records = l->clean.records;
	l->payload.len = 0;
	msg_cleaned_put(&l->payload, &m);
	channel_send(l->parent, MSG_CLEANED, 0, &l->payload, -1);
}

static int
ledger_on_clean(struct ledger *l, const struct message *m)
{
	(void)m;
	if (l->clean.state == CLEAN_RUNNING)
		return 0;
	clean_begin(&l->clean, l->store, l->settings, l->limits, clock_wall());
	l->progress = clock_mono().ns;
	return 0;
}

static void
ledger_clean(struct ledger *l)
{
	int64_t	now;

	if (l->clean.state != CLEAN_RUNNING)
		return;
	if (clean_step(&l->clean, l->store, l->settings) == STORE_LOST)
		ledger_lost(l);
	now = clock_mono().ns;
	if (l->clean.state == CLEAN_RUNNING && now - l->progress < PROGRESS_NS)
		return;
	l->progress = now;
	if (l->clean.state == CLEAN_FAILED)
		log_error("cleaning: %s", store_error(l->store));
	ledger_tell_cleaned(l);
	if (l->clean.state != CLEAN_RUNNING)
		l->clean.state = CLEAN_NONE;
}

/* --- reporting --- */

static void
ledger_drop_report(struct ledger *l)
{
	channel_free(l->report);
	l->report = NULL;
}

/* To a report that gets no end of the list, the database gave none. */
static void
ledger_send_hits(struct ledger *l)
{
	if (!l->hits_wanted || l->report == NULL)
		return;
	l->hits_wanted = false;
	if (hits_send(l->hits, l->store, l->report, l->settings, l->limits) ==
	    STORE_OK)
		return;
	log_error("the hits for the report: %s", store_error(l->store));
	ledger_drop_report(l);
}

static int
ledger_on_hits_wanted(struct ledger *l, const struct message *m)
{
	(void)m;
	l->hits_wanted = true;
	return 0;
}

static int
ledger_on_hits_sent(struct ledger *l, const struct message *m)
{
	bool	good;

	(void)m;
	good = hits_forget(l->hits, l->store, clock_wall()) == STORE_OK;
	if (!good)
		log_error("the hits that were reported stay: %s",
		    store_error(l->store));
	l->payload.len = 0;
	msg_number_put(&l->payload, good);
	channel_send(l->parent, MSG_HITS_FORGOTTEN, 0, &l->payload, -1);
	return 0;
}

/* The report has nothing to say to the ledger: only its end is of interest. */
static int
ledger_on_report(struct ledger *l, const struct message *m)
{
	(void)l;
	(void)m;
	return -1;
}

/* --- the parent --- */

static int
ledger_on_peer(struct ledger *l, const struct message *m)
{
	uint64_t	role;

	if (m->fd == -1 || msg_number_get(&role, m->payload, m->len) == -1)
		return -1;
	if (role == ROLE_ENGINE) {
		ledger_drop_engine(l);
		l->engine = channel_new(m->fd, ROLE_LEDGER, ROLE_ENGINE);
		return 0;
	}
	if (role != ROLE_REPORT)
		return -1;
	ledger_drop_report(l);
	l->report = channel_new(m->fd, ROLE_LEDGER, ROLE_REPORT);
	return 0;
}

static int
ledger_on_stop(struct ledger *l, const struct message *m)
{
	(void)m;
	l->stopping = true;
	return 0;
}

static const struct {
	int	(*handle)(struct ledger *, const struct message *);
} from_parent[MSG__MAX] = {
	[MSG_PEER]		= { ledger_on_peer },
	[MSG_STOP]		= { ledger_on_stop },
	[MSG_CLEAN]		= { ledger_on_clean },
	[MSG_HITS_WANTED]	= { ledger_on_hits_wanted },
	[MSG_HITS_SENT]		= { ledger_on_hits_sent }
};

static void
ledger_reload(struct ledger *l, struct settings *fresh)
{
	charge_batch_settings(l->batch, fresh);
	lookup_settings(l->limits, fresh);
	cache_set_max(l->cache, (size_t)fresh->memory_limit);
	settings_free(l->settings);
	l->settings = fresh;
	settings_forget_connections(fresh);
	log_set_debug(fresh->debug);
}

static int
ledger_on_parent(struct ledger *l, const struct message *m)
{
	struct settings	*fresh = NULL;
	int		 handled;

	if ((handled = role_message(&l->start, m, &fresh)) == -1)
		return -1;
	if (fresh != NULL)
		ledger_reload(l, fresh);
	return handled == 1 || from_parent[m->type].handle == NULL ? 0 :
	    from_parent[m->type].handle(l, m);
}

/* --- the loop --- */

static void
ledger_flush(struct ledger *l)
{
	if (channel_flush(l->parent) == -1)
		exit(0);
	if (l->engine != NULL && channel_flush(l->engine) == -1)
		ledger_drop_engine(l);
	if (l->report != NULL && channel_flush(l->report) == -1)
		ledger_drop_report(l);
}

static void
ledger_poll_add(struct pollfd *p, const struct channel *c)
{
	p->fd = c == NULL ? -1 : channel_fd(c);
	p->events = 0;
	p->revents = 0;
	if (c == NULL)
		return;
	/* An engine that does not read is not asked for more either. */
	if (channel_queued(c) < CHANNEL_HIGH)
		p->events |= POLLIN;
	if (channel_queued(c) > 0)
		p->events |= POLLOUT;
}

/* `idle`: when the store wants to be called again, -1: not for now. */
static int
ledger_timeout(struct ledger *l, int idle)
{
	int	clean;

	if (charge_batch_count(l->batch) > 0)
		return l->busy ? BUSY_MS : 0;
	clean = clean_wait(&l->clean);
	if (clean == -1 || idle == -1)
		return clean == -1 ? idle : clean;
	return clean < idle ? clean : idle;
}

/* Waits for what comes next and reads it. */
static void
ledger_wait(struct ledger *l, int idle)
{
	struct pollfd	p[4];

	ledger_poll_add(&p[0], l->parent);
	ledger_poll_add(&p[1], l->engine);
	ledger_poll_add(&p[2], l->report);
	p[3] = (struct pollfd){ store_fd(l->store), POLLIN, 0 };
	if (poll(p, 4, ledger_timeout(l, idle)) == -1) {
		if (errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		return;
	}
	if (p[3].revents != 0 && store_ended(l->store))
		ledger_lost(l);
	if ((p[1].revents & ~POLLOUT) != 0)
		ledger_read_engine(l);
	if ((p[2].revents & ~POLLOUT) != 0 && l->report != NULL &&
	    ledger_read(l, l->report, ledger_on_report) == -1)
		ledger_drop_report(l);
	if ((p[0].revents & ~POLLOUT) != 0 &&
	    ledger_read(l, l->parent, ledger_on_parent) == -1)
		exit(errno == EBADMSG ? EXIT_FAILURE : 0);
}

/* A ledger that has no engine is there to clean and to report, and no more. */
static int
ledger_idle(struct ledger *l)
{
	int64_t	now = clock_mono().ns;

	if (l->engine == NULL)
		return -1;
	if (now - l->remembered >= REMEMBER_NS) {
		l->remembered = now;
		clean_remember(l->store, l->limits, clock_wall());
	}
	return store_idle(l->store);
}

static void
ledger_serve(struct ledger *l)
{
	int	idle = 0;

	while (!l->stopping) {
		ledger_wait(l, idle);
		ledger_decide(l);
		ledger_send_hits(l);
		ledger_flush(l);
		ledger_clean(l);
		idle = -1;
		if (charge_batch_count(l->batch) == 0)
			idle = ledger_idle(l);
		if (log_lost())
			channel_signal(l->parent, MSG_LOG_LOST, 0);
		ledger_flush(l);
	}
}

/* What was asked before the stop is answered after it. */
static void
ledger_stop(struct ledger *l)
{
	struct mono	deadline = clock_after(clock_mono(), GOODBYE_MS);

	ledger_read_engine(l);
	while (charge_batch_count(l->batch) > 0 &&
	    !clock_passed(deadline, clock_mono())) {
		ledger_decide(l);
		if (l->busy)
			(void)poll(NULL, 0, BUSY_MS);
	}
	if (l->engine != NULL)
		(void)channel_drain(l->engine, deadline);
	(void)channel_drain(l->parent, deadline);
	ledger_drop_engine(l);
	ledger_drop_report(l);
	clean_remember(l->store, l->limits, clock_wall());
	store_close(l->store);
}

static void
ledger_open(struct ledger *l)
{
	char	reason[256];
	bool	away;

	if (l->engine != NULL)
		store_start_helper(&l->start, l->settings);
	/* What is made here belongs to the user who serves later. */
	if (privileges_borrow(&l->start.identity) == -1)
		role_fault(&l->start, "ids of the user: %s", strerror(errno));
	l->store = store_open(l->settings, l->start.directory, &away, reason,
	    sizeof(reason));
	if (l->store != NULL)
		return;
	if (!away)
		role_fault(&l->start, "%s", reason);
	role_away(&l->start, "%s", reason);
}

int
main(void)
{
	struct ledger		*l = &ledger;
	struct sandbox_needs	 needs;

	role_begin(&l->start, ROLE_LEDGER, "ledger");
	l->parent = l->start.parent;
	l->engine = l->start.peer;
	l->settings = l->start.settings;
	l->start.settings = NULL;

	ledger_open(l);
	settings_forget_connections(l->settings);
	l->cache = cache_new((size_t)l->settings->memory_limit);
	l->limits = lookup_new(l->settings);
	l->batch = charge_batch_new(l->cache, l->store, l->limits, l->settings);
	l->hits = hits_new();
	if (l->settings->report_immediately)
		hits_load(l->hits, l->store);

	memset(&needs, 0, sizeof(needs));
	needs.role = store_sandbox();
	role_lock(&l->start, &needs);
	if (l->engine != NULL)
		ledger_note(l, charge_batch_start(l->batch, clock_wall()));
	role_ready(&l->start);

	ledger_serve(l);
	ledger_stop(l);
	return 0;
}
