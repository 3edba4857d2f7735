#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/background.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/messages.h"
#include "parent/notify.h"
#include "parent/reload.h"
#include "parent/run_as.h"
#include "parent/scanner.h"
#include "parent/signals.h"
#include "sandbox/sandbox.h"

#define QUEUED_MAX	(2 * CHANNEL_PARENT_MAX)

/* --- the start --- */

static void
begin(struct parent *p)
{
	const struct msg_identity	*identity = &p->identity;
	char				 why[WHY_MAX];

	if (children_start(p, SLOT_LEDGER, p->settings, identity, why) == -1 ||
	    children_start(p, SLOT_ENGINE, p->settings, identity, why) == -1) {
		log_error("%s", why);
		parent_stop(p, STATUS_FATAL);
		return;
	}
	children_keep(p, SLOT_LEDGER, true);
	children_keep(p, SLOT_ENGINE, true);
	children_connect(p, SLOT_ENGINE, SLOT_LEDGER);
	children_begin(p, SLOT_LEDGER);
	children_begin(p, SLOT_ENGINE);
}

static void
lock_in(void)
{
	struct sandbox_needs	needs = {
		.role = SANDBOX_PARENT,
		.directory_fd = -1
	};

	if (sandbox_enter(&needs) == -1)
		log_fatal("sandbox: %s", strerror(errno));
}

static void
say_started(const struct parent *p)
{
	const struct child	*ledger = &p->child[SLOT_LEDGER];
	struct str		 line;
	size_t			 i;

	str_init(&line);
	str_addf(&line, "policyd-rate-limit %s: %s%s, listening on", VERSION,
	    children_ledger(p->settings),
	    ledger->state == CHILD_SERVING ? "" : " (database away)");
	for (i = 0; i < p->listeners.count; i++)
		str_addf(&line, "%s %s", i > 0 ? "," : "",
		    p->listeners.list[i].name);
	str_addf(&line, "; engine: %s", p->child[SLOT_ENGINE].sandbox);
	if (ledger->state == CHILD_SERVING)
		str_addf(&line, "; ledger: %s", ledger->sandbox);
	str_addf(&line, "; parent: %s", sandbox_description());
	log_notice("%s", line.data);
	str_clear(&line);
}

/*
 * The daemon has started once the engine is ready and the ledger is ready or
 * its database is known to be away. The waiting process and the service manager
 * are told.
 */
static void
check_started(struct parent *p)
{
	if (p->started || p->stopping ||
	    p->child[SLOT_ENGINE].state != CHILD_SERVING ||
	    (p->child[SLOT_LEDGER].state != CHILD_SERVING && !p->database_away))
		return;
	p->started = true;
	lock_in();
	parent_log(p, false);
	say_started(p);
	notify_ready("Serving");
	background_end(STATUS_OK, parent_in_syslog(p));
	maintenance_schedule(p, clock_mono());
}

/* --- the end --- */

/* New clients cannot connect any more; requests that were read are answered. */
static void
begin_stopping(struct parent *p)
{
	size_t	i;

	p->closed = true;
	notify_stopping();
	if (p->status == STATUS_OK && !p->cleaning)
		log_notice("stopping");
	reload_abandon(p);
	maintenance_abandon(p);
	sockets_close(&p->listeners);
	for (i = 0; i < SLOT__MAX; i++) {
		p->restart[i].wanted = p->restart[i].due = false;
		if (i != SLOT_LEDGER)
			children_stop(p, (enum slot)i);
	}
}

static void
go_on_stopping(struct parent *p)
{
	if (!p->closed)
		begin_stopping(p);
	/* The ledger must stay until the engine has sent its last answer. */
	if (p->child[SLOT_ENGINE].state == CHILD_DOWN)
		children_stop(p, SLOT_LEDGER);
}

/* --- what becomes of the children --- */

static void
take(struct parent *p, enum slot slot)
{
	messages_take(p, slot);
	check_started(p);
}

static void
on_gone(struct parent *p, enum slot slot)
{
	if (slot == SLOT_NEXT_LEDGER)
		reload_on_gone(p);
	if (slot == SLOT_SCANNER)
		scanner_on_gone(p);
	maintenance_on_gone(p, slot);
}

static const struct child_events	events = {
	.last_words = take, .lost = reload_on_lost, .gone = on_gone
};

/* --- the loop --- */

static int
time_left(const struct parent *p, struct mono now)
{
	int	left = clock_sooner(children_left(p, now), notify_left(now));
	size_t	i;

	for (i = 0; i < SLOT__MAX; i++)
		left = clock_sooner(left, relay_left(&p->child[i].relay, now));
	if (!p->stopping)
		left = clock_sooner(left, clock_sooner(
		    maintenance_left(p, now), reload_left(p, now)));
	return left;
}

static void
take_signals(struct parent *p)
{
	unsigned int	bits = signals_take();

	if ((bits & SIGNALS_CHILD) != 0)
		children_reap(p);
	if ((bits & SIGNALS_STOP) != 0)
		parent_stop(p, p->cleaning ? STATUS_CLEAN : STATUS_OK);
	if ((bits & SIGNALS_RELOAD) != 0 && !p->cleaning)
		reload_request(p);
}

/*
 * A closed channel is noticed as the end of file when it is read. Any other
 * fault is ours: the child lacks a message and may wait for it for ever.
 */
static bool
is_broken(struct child *child)
{
	return channel_flush(child->channel) == -1 && errno != EPIPE &&
	    errno != ECONNRESET;
}

static void
flush(struct parent *p)
{
	struct child	*child;
	size_t		 i;

	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		if (child->channel == NULL || child->killed)
			continue;
		if (is_broken(child)) {
			log_error("channel to %s (process %ld): %s",
			    children_name(p, (enum slot)i), (long)child->pid,
			    strerror(errno));
			child_kill(child);
		}
		if (channel_queued(child->channel) > QUEUED_MAX &&
		    !child->killed) {
			log_error("%s (process %ld) does not read its channel",
			    children_name(p, (enum slot)i), (long)child->pid);
			child_kill(child);
		}
	}
}

static void
turn(struct parent *p)
{
	struct pollfd	 pfd[1 + 2 * SLOT__MAX];
	struct channel	*channel;
	struct mono	 now = clock_mono();
	size_t		 i;

	pfd[0].fd = p->signals;
	pfd[0].events = POLLIN;
	for (i = 0; i < SLOT__MAX; i++) {
		channel = p->child[i].channel;
		pfd[i + 1].fd = channel == NULL ? -1 : channel_fd(channel);
		pfd[i + 1].events = POLLIN;
		if (channel != NULL && channel_queued(channel) > 0)
			pfd[i + 1].events |= POLLOUT;
		pfd[i + 1 + SLOT__MAX].fd =
		    relay_poll(&p->child[i].relay, now);
		pfd[i + 1 + SLOT__MAX].events = POLLIN;
	}
	if (poll(pfd, 1 + 2 * SLOT__MAX, time_left(p, now)) == -1) {
		/* Lack of kernel memory may be temporary. */
		if (errno == EINVAL || errno == EFAULT)
			log_fatal("poll: %s", strerror(errno));
		return;
	}
	now = clock_mono();
	for (i = 0; i < SLOT__MAX; i++) {
		if (pfd[i + 1 + SLOT__MAX].revents != 0)
			child_relay(&p->child[i], now);
		if ((pfd[i + 1].revents & ~POLLOUT) != 0)
			take(p, (enum slot)i);
	}
	/* Always, in case the pipe was full and a byte was lost. */
	take_signals(p);
	if (p->started && log_lost())
		parent_log(p, false);
	now = clock_mono();
	children_timers(p, now);
	check_started(p);
	notify_watchdog(now);
	if (p->stopping)
		go_on_stopping(p);
	else {
		maintenance_timers(p, now);
		reload_timers(p, now);
	}
	flush(p);
}

int
serve(struct parent *p)
{
	p->since = clock_mono();
	p->reload.done = clock_wall();
	p->events = &events;
	if (p->cleaning)
		maintenance_begin(p);
	else
		begin(p);
	if (p->stopping)
		go_on_stopping(p);
	flush(p);
	while (!p->stopping || children_any(p))
		turn(p);
	return p->status;
}
