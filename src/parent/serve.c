#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "parent/background.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/messages.h"
#include "parent/notify.h"
#include "parent/tasks.h"
#include "parent/reload.h"
#include "parent/signals.h"
#include "role/role.h"
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
	(void)children_connect(p, SLOT_ENGINE, SLOT_LEDGER, MSG_PEER);
	child_signal(&p->child[SLOT_LEDGER], MSG_START);
	child_signal(&p->child[SLOT_ENGINE], MSG_START);
}

static void
say_started(const struct parent *p)
{
	const struct child	*ledger = &p->child[SLOT_LEDGER];
	struct str		 line;
	size_t			 i;

	str_init(&line);
	str_addf(&line, "policyd-rate-limit %s: %s%s, listening on", VERSION,
	    children_name(p, SLOT_LEDGER),
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
	struct sandbox_needs	needs = {
		.role = SANDBOX_PARENT,
		.directory_fd = -1
	};

	if (p->started || p->stopping ||
	    p->child[SLOT_ENGINE].state != CHILD_SERVING ||
	    (p->child[SLOT_LEDGER].state != CHILD_SERVING && !p->database_away))
		return;
	p->started = true;
	if (sandbox_enter(&needs) == -1)
		log_fatal("sandbox: %s", strerror(errno));
	parent_log(p, false);
	say_started(p);
	notify_ready(&p->notify, "Serving");
	background_end(STATUS_OK, parent_in_syslog(p));
	maintenance_schedule(p, clock_mono());
}

/* --- the end --- */

static void
go_on_stopping(struct parent *p)
{
	size_t	i;

	if (!p->closed) {
		p->closed = true;
		notify_stopping(&p->notify);
		if (p->status == STATUS_OK && !p->cleaning)
			log_notice("stopping");
		reload_abandon(p);
		/* So is the job under way. */
		p->job.step = JOB_IDLE;
		/*
		 * New clients cannot connect any more; requests that were read
		 * are answered.
		 */
		sockets_close(&p->listeners);
		for (i = 0; i < SLOT__MAX; i++) {
			p->restart[i].wanted = p->restart[i].due = false;
			if (i != SLOT_LEDGER)
				children_stop(p, (enum slot)i);
		}
	}
	/* The ledger must stay until the engine has sent its last answer. */
	if (p->child[SLOT_ENGINE].state == CHILD_DOWN)
		children_stop(p, SLOT_LEDGER);
}

/* --- the end of a child --- */

static void
log_end(const char *name, const struct child *child, int status)
{
	if (child->killed || child->faulted)
		log_debug("%s (process %ld) is gone", name, (long)child->pid);
	else if (WIFSIGNALED(status))
		log_error("%s (process %ld) died of signal %d: %s%s", name,
		    (long)child->pid, WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS ?
		    "a system call that its sandbox forbids" :
		    strsignal(WTERMSIG(status)),
		    WCOREDUMP(status) ? ", core dumped" : "");
	else if (WEXITSTATUS(status) != 0 &&
	    WEXITSTATUS(status) != ROLE_AWAY &&
	    WEXITSTATUS(status) != ROLE_IDLE)
		log_error("%s (process %ld) ended with status %d", name,
		    (long)child->pid, WEXITSTATUS(status));
	else
		log_debug("%s (process %ld) ended", name, (long)child->pid);
}

/* An engine or ledger has ended without being told to. */
static void
on_lost(struct parent *p, enum slot slot, const struct child *was, int status)
{
	int	code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	bool	idle = code == ROLE_IDLE, away = idle || code == ROLE_AWAY;

	reload_on_lost(p, slot, was, away);
	/*
	 * The daemon's start fails if the child has sent a fault, if the engine
	 * was not ready yet, or if it ends again and again; not because the
	 * database is away.
	 */
	if (!p->started && !(away && slot == SLOT_LEDGER) && (was->faulted ||
	    !p->served || p->restart[slot].quick >= CHILDREN_BACKOFF)) {
		log_error("%s did not start", children_name(p, slot));
		parent_stop(p, STATUS_FATAL);
		return;
	}
	if (away && !idle && !p->database_away)
		log_warning("the database is away; looking for it");
	if (slot == SLOT_LEDGER) {
		p->database_away = away && !idle;
		p->database_idle = idle;
	}
	children_schedule(p, slot, was->since, away);
}

/* A child has ended, whatever the reason; it may be started again. */
static void
on_end(struct parent *p, enum slot slot, int status)
{
	struct child	*child = &p->child[slot], was;

	/* Logs its last lines, and handles its last messages. */
	relay_rest(&child->relay);
	messages_take(p, slot);
	check_started(p);
	log_end(children_name(p, slot), child, status);
	was = *child;
	child_gone(child);
	if (p->stopping)
		return;
	if (p->restart[slot].wanted && was.stop_sent)
		children_schedule(p, slot, was.since, false);
	else if (p->restart[slot].wanted)
		on_lost(p, slot, &was, status);
	if (p->stopping)
		return;
	if (slot == SLOT_NEXT_LEDGER)
		reload_on_gone(p);
	if (slot == SLOT_SCANNER)
		tasks_on_scanner_gone(p);
	maintenance_on_gone(p, slot);
}

static void
reap(struct parent *p)
{
	pid_t	pid;
	int	status;
	size_t	i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < SLOT__MAX && p->child[i].pid != pid; i++)
			continue;
		if (i == SLOT__MAX)
			continue;
		/* It led a session: the checkpointer ends with it. */
		(void)kill(-pid, SIGKILL);
		on_end(p, (enum slot)i, status);
	}
}

/* --- the loop --- */

/* Sends what is queued, and kills a child that cannot be sent to. */
static void
flush(struct parent *p)
{
	struct child	*child;
	size_t		 i;

	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		if (child->channel == NULL || child->killed)
			continue;
		/*
		 * A closed channel is noticed as the end of file when it is
		 * read. Any other fault is ours: the child lacks a message and
		 * may wait for it for ever.
		 */
		if (channel_flush(child->channel) == -1 && errno != EPIPE &&
		    errno != ECONNRESET)
			log_error("channel to %s (process %ld): %s",
			    children_name(p, (enum slot)i), (long)child->pid,
			    strerror(errno));
		else if (channel_queued(child->channel) > QUEUED_MAX)
			log_error("%s (process %ld) does not read its channel",
			    children_name(p, (enum slot)i), (long)child->pid);
		else
			continue;
		child_kill(child);
	}
}

/*
 * Waits for a signal, messages, lines of the children, or the next thing that
 * is due. False if poll(2) failed.
 */
static bool
wait_for(const struct parent *p, struct pollfd *pfd)
{
	struct pollfd		*channels = pfd + 1;
	struct pollfd		*relays = channels + SLOT__MAX;
	const struct channel	*channel;
	struct mono		 now = clock_mono();
	size_t			 i;
	int			 left;

	left = clock_sooner(children_left(p, now),
	    notify_left(&p->notify, now));
	if (!p->stopping)
		left = clock_sooner(left, clock_sooner(
		    maintenance_left(p, now), reload_left(p, now)));
	pfd[0].fd = p->signals;
	pfd[0].events = POLLIN;
	for (i = 0; i < SLOT__MAX; i++) {
		channel = p->child[i].channel;
		channels[i].fd = channel == NULL ? -1 : channel_fd(channel);
		channels[i].events = POLLIN;
		if (channel != NULL && channel_queued(channel) > 0)
			channels[i].events |= POLLOUT;
		relays[i].fd = relay_poll(&p->child[i].relay, now, &left);
		relays[i].events = POLLIN;
	}
	if (poll(pfd, 1 + 2 * SLOT__MAX, left) != -1)
		return true;
	/* Lack of kernel memory may be temporary. */
	if (errno == EINVAL || errno == EFAULT)
		log_fatal("poll: %s", strerror(errno));
	return false;
}

static void
turn(struct parent *p)
{
	struct pollfd	pfd[1 + 2 * SLOT__MAX];
	struct mono	now;
	unsigned int	signals;
	size_t		i;

	if (!wait_for(p, pfd))
		return;
	now = clock_mono();
	for (i = 0; i < SLOT__MAX; i++) {
		if (pfd[i + 1 + SLOT__MAX].revents != 0)
			relay_take(&p->child[i].relay, now);
		if ((pfd[i + 1].revents & ~POLLOUT) != 0) {
			messages_take(p, (enum slot)i);
			check_started(p);
		}
	}
	/* Always, in case the pipe was full and a byte was lost. */
	signals = signals_take();
	reap(p);
	if ((signals & SIGNALS_STOP) != 0)
		parent_stop(p, p->cleaning ? STATUS_CLEAN : STATUS_OK);
	if ((signals & SIGNALS_RELOAD) != 0 && !p->cleaning)
		reload_request(p);
	if (p->started && log_lost())
		parent_log(p, false);
	now = clock_mono();
	children_timers(p, now);
	check_started(p);
	notify_watchdog(&p->notify, now);
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
