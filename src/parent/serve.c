#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/background.h"
#include "parent/children.h"
#include "parent/clean.h"
#include "parent/identity.h"
#include "parent/messages.h"
#include "parent/notify.h"
#include "parent/reload.h"
#include "parent/signals.h"
#include "sandbox/sandbox.h"

#define QUEUED_MAX	(2 * CHANNEL_PARENT_MAX)

/* --- the log --- */

static enum log_target
target(const struct parent *p)
{
	if (p->debug || p->settings->log == LOG_WHERE_STDERR)
		return LOG_TO_STDERR;
	if (p->settings->log == LOG_WHERE_SYSLOG || p->background)
		return LOG_TO_SYSLOG;
	return p->settings->debug || p->no_syslog ?
	    LOG_TO_STDERR : LOG_TO_SYSLOG;
}

/* A container has no syslogd; elsewhere it may be there again after a while. */
static bool
no_syslog(void)
{
	int	fd;

	if ((fd = log_connect()) == -1)
		return true;
	close(fd);
	return false;
}

static bool
in_detail(const struct parent *p)
{
	if (p->wishes.log)
		return p->wishes.debug;
	return p->debug || p->settings->debug;
}

void
serve_log(struct parent *p, bool starting)
{
	if (starting)
		p->no_syslog = no_syslog();
	/* Whoever starts it by hand reads there why it did not start. */
	if (starting || target(p) == LOG_TO_STDERR)
		log_open("parent", LOG_TO_STDERR, -1, in_detail(p));
	else
		log_open("parent", LOG_TO_SYSLOG, log_connect(), in_detail(p));
}

void
serve_log_message(const struct parent *p, struct child *child)
{
	const struct msg_log	log = { .debug = in_detail(p) };
	struct str		payload;

	str_init(&payload);
	msg_log_put(&payload, &log);
	child_send(child, MSG_LOG, &payload, -1);
	str_clear(&payload);
}

void
serve_log_again(struct parent *p)
{
	size_t	i;

	p->no_syslog = no_syslog();
	serve_log(p, false);
	for (i = 0; i < SLOT__MAX; i++)
		serve_log_message(p, &p->child[i]);
}

/* --- the start --- */

static void
begin(struct parent *p)
{
	const struct msg_identity	*identity = &p->identity;
	char				 why[WHY_MAX];

	if (children_start(p, SLOT_LEDGER, p->settings, identity, why) == -1 ||
	    children_start(p, SLOT_ENGINE, p->settings, identity, why) == -1) {
		log_error("%s", why);
		serve_stop(p, STATUS_FATAL);
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

void
serve_check_started(struct parent *p)
{
	if (p->started || p->stopping ||
	    p->child[SLOT_ENGINE].state != CHILD_SERVING ||
	    (p->child[SLOT_LEDGER].state != CHILD_SERVING && !p->database_away))
		return;
	p->started = true;
	lock_in();
	serve_log(p, false);
	say_started(p);
	notify_ready("Serving");
	background_end(STATUS_OK, target(p) == LOG_TO_SYSLOG);
	clean_schedule(p, clock_mono());
}

void
serve_on_ready(struct parent *p, enum slot slot)
{
	if (slot == SLOT_ENGINE)
		p->served = true;
	if (slot == SLOT_LEDGER && p->database_away) {
		p->database_away = false;
		log_notice("the database is back");
	} else if (p->started)
		log_notice("%s serves again", children_name(p, slot));
	p->restart[slot].fault[0] = '\0';
	serve_check_started(p);
}

/* --- the end --- */

/* The ledger is needed until the engine has given its last answer. */
static void
go_on_stopping(struct parent *p)
{
	if (p->child[SLOT_ENGINE].state == CHILD_DOWN)
		children_stop(p, SLOT_LEDGER);
}

void
serve_stop(struct parent *p, int status)
{
	size_t	i;

	if (p->stopping)
		return;
	p->stopping = true;
	p->status = status;
	notify_stopping();
	if (status == STATUS_OK && !p->cleaning)
		log_notice("stopping");
	reload_abandon(p);
	clean_abandon(p);
	/* Nobody new comes; who is served already gets an answer. */
	sockets_close(&p->listeners);
	for (i = 0; i < SLOT__MAX; i++) {
		p->restart[i].wanted = p->restart[i].due = false;
		if (i != SLOT_LEDGER)
			children_stop(p, (enum slot)i);
	}
	go_on_stopping(p);
}

/* --- the loop --- */

static int
sooner(int a, int b)
{
	return a == -1 || (b != -1 && b < a) ? b : a;
}

static int
time_left(const struct parent *p, struct mono now)
{
	int	left = sooner(children_left(p, now), notify_left(now));
	size_t	i;

	for (i = 0; i < SLOT__MAX; i++)
		left = sooner(left, relay_left(&p->child[i].relay, now));
	if (!p->stopping)
		left = sooner(left,
		    sooner(clean_left(p, now), reload_left(p, now)));
	return left;
}

static void
take_signals(struct parent *p)
{
	unsigned int	bits = signals_take();

	if ((bits & SIGNALS_CHILD) != 0)
		children_reap(p);
	if ((bits & SIGNALS_STOP) != 0)
		serve_stop(p, p->cleaning ? STATUS_CLEAN : STATUS_OK);
	if ((bits & SIGNALS_RELOAD) != 0 && !p->cleaning)
		reload_want(p);
}

/*
 * Its end is seen again as the end of file when it is read. Any other fault is
 * ours: something that it was to get is missing, for which it may wait for
 * ever.
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
		/* A kernel without memory now has some the next time. */
		if (errno == EINVAL || errno == EFAULT)
			log_fatal("poll: %s", strerror(errno));
		return;
	}
	now = clock_mono();
	for (i = 0; i < SLOT__MAX; i++) {
		if (pfd[i + 1 + SLOT__MAX].revents != 0)
			child_relay(&p->child[i], now);
		if ((pfd[i + 1].revents & ~POLLOUT) != 0)
			messages_take(p, (enum slot)i);
	}
	/* One whose byte in the pipe was lost comes with whatever is next. */
	take_signals(p);
	if (p->started && log_lost())
		serve_log(p, false);
	now = clock_mono();
	children_timers(p, now);
	notify_watchdog(now);
	if (p->stopping)
		go_on_stopping(p);
	else {
		clean_timers(p, now);
		reload_timers(p, now);
	}
	flush(p);
}

int
serve(struct parent *p)
{
	p->since = clock_mono();
	p->reload.done = clock_wall();
	if (p->cleaning)
		clean_begin(p);
	else
		begin(p);
	flush(p);
	while (!p->stopping || children_any(p))
		turn(p);
	return p->status;
}
