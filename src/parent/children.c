#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings_message.h"
#include "lib/log.h"
#include "parent/children.h"
#include "parent/run_as.h"

#define READY_MS	(120 * 1000)	/* time to convert old tables */
#define LEAVE_MS	(5 * 1000)
#define CALM_MS		(60 * 1000)	/* a longer life ends the back-off */
#define ALIVE_MS	5000		/* between questions to the engine */
#define ALIVE_MOST	3		/* questions without an answer */
#define AWAY_MS		500		/* least between looks for a database */
#define DATABASE_MODE	0750

/* Milliseconds before the n-th start in quick succession. */
static const int	backoff[CHILDREN_BACKOFF] = {
	0, 100, 500, 1000, 2000, 5000
};

static const char *const	ledgers[BACKEND__MAX] = {
	[BACKEND_SQLITE]	= "ledger-sqlite",
	[BACKEND_MYSQL]		= "ledger-mysql",
	[BACKEND_PGSQL]		= "ledger-pgsql"
};

static const struct {
	enum role	 role;
	const char	*program;	/* NULL: the backend's ledger */
	const char	*name;		/* NULL: the program's name */
} slots[SLOT__MAX] = {
	[SLOT_ENGINE]		= { ROLE_ENGINE, "engine", NULL },
	[SLOT_LEDGER]		= { ROLE_LEDGER, NULL, NULL },
	[SLOT_NEXT_LEDGER]	= { ROLE_LEDGER, NULL, "next ledger" },
	[SLOT_OLD_LEDGER]	= { ROLE_LEDGER, NULL, "old ledger" },
	[SLOT_CLEANER]		= { ROLE_LEDGER, NULL, "cleaning ledger" },
	[SLOT_REPORT]		= { ROLE_REPORT, "report", NULL },
	[SLOT_SCANNER]	= { ROLE_LEDGER, NULL, "scanning ledger" }
};

const char *
children_name(const struct parent *p, enum slot slot)
{
	if (slots[slot].name != NULL)
		return slots[slot].name;
	return slots[slot].program != NULL ? slots[slot].program :
	    ledgers[p->settings->backend];
}

/* --- starting --- */

/*
 * Opens the directory of the SQLite file, in which the ledger is confined. The
 * ledger inherits it, since OpenBSD's pledge(2) does not let a process send or
 * receive a directory.
 */
static int
open_directory(struct place *place, const struct settings *settings,
    const struct msg_identity *identity, char *why)
{
	const struct directory_new	 new =
	    run_as_directory(identity, DATABASE_MODE);
	const struct value		*path;

	path = value_get(settings->sqlite_config, "database");
	if (path == NULL || path->type != VALUE_STR)
		return directories_fail(why, "sqlite_config names no database");
	return directories_place(place, path->bytes, &new, why);
}

void
children_settings(struct parent *p, enum slot slot,
    const struct settings *settings, uint64_t generation)
{
	struct child	*child = &p->child[slot];

	if (child->channel == NULL || child->stop_sent)
		return;
	child->offered = generation;
	settings_message_send(child->channel, settings, child->role,
	    generation);
}

int
children_start(struct parent *p, enum slot slot,
    const struct settings *settings,
    const struct msg_identity *identity, char *why)
{
	struct msg_identity	 sent = *identity;
	struct child		*child = &p->child[slot];
	struct place		 place = { .dir = -1 };
	const char		*program = slots[slot].program;
	struct str		 payload;
	int			 result;

	if (program == NULL)
		program = ledgers[settings->backend];
	if (slots[slot].role == ROLE_LEDGER &&
	    settings->backend == BACKEND_SQLITE &&
	    open_directory(&place, settings, identity, why) == -1)
		return -1;
	result = child_spawn(child, slots[slot].role, program, place.dir,
	    slot == SLOT_SCANNER, why);
	if (result == 0 && place.dir != -1)
		child_signal(child, MSG_DIRECTORY);
	directories_leave(&place);
	if (result == -1)
		return -1;
	child->deadline = clock_after(child->since, READY_MS);
	parent_log_message(p, child);
	sent.replaces = p->started && slot != SLOT_NEXT_LEDGER;
	str_init(&payload);
	msg_identity_put(&payload, &sent);
	child_send(child, MSG_IDENTITY, &payload, -1);
	str_clear(&payload);
	children_settings(p, slot, settings, p->generation);
	if (slot == SLOT_ENGINE)
		sockets_send(&p->listeners, child);
	log_debug("%s started as process %ld", program, (long)child->pid);
	return 0;
}

int
children_connect(struct parent *p, enum slot a, enum slot b,
    enum message_type type)
{
	int	fd[2];

	if (p->child[a].channel == NULL || p->child[b].channel == NULL)
		return 0;
	if (channel_pair(fd) == -1) {
		/* They are useless without each other. */
		log_error("channel between %s and %s: %s", children_name(p, a),
		    children_name(p, b), strerror(errno));
		child_kill(&p->child[b]);
		return -1;
	}
	child_number(&p->child[a], type, p->child[b].role, fd[0]);
	child_number(&p->child[b], type, p->child[a].role, fd[1]);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

void
children_keep(struct parent *p, enum slot slot, bool wanted)
{
	struct restart	*restart = &p->restart[slot];

	memset(restart, 0, sizeof(*restart));
	restart->wanted = wanted;
}

void
children_stop(struct parent *p, enum slot slot)
{
	struct child	*child = &p->child[slot];

	if (child->state == CHILD_DOWN || child->stop_sent)
		return;
	child->stop_sent = true;
	child->state = CHILD_LEAVING;
	child->deadline = clock_after(clock_mono(), LEAVE_MS);
	child_signal(child, MSG_STOP);
}

void
children_on_ready(struct parent *p, enum slot slot)
{
	if (slot == SLOT_ENGINE)
		p->served = true;
	if (slot == SLOT_LEDGER && p->database_away) {
		p->database_away = false;
		log_notice("the database is back");
	} else if (p->started && !(slot == SLOT_LEDGER && p->database_idle))
		log_notice("%s serves again", children_name(p, slot));
}

void
children_schedule(struct parent *p, enum slot slot, struct mono since,
    bool away)
{
	struct restart	*restart = &p->restart[slot];
	struct mono	 now = clock_mono();
	int		 wait;

	if (clock_passed(clock_after(since, CALM_MS), now))
		restart->quick = 0;
	restart->due = true;
	/* After a broken connection the database may be back at once. */
	restart->at = clock_after(since, AWAY_MS);
	if (away)
		return;
	wait = backoff[restart->quick < CHILDREN_BACKOFF ?
	    restart->quick : CHILDREN_BACKOFF - 1];
	restart->at = clock_after(now, wait);
	/* Warns until the longest pause is reached. */
	if (wait > 0 && restart->quick < CHILDREN_BACKOFF)
		log_warning("%s keeps ending; starting it again in %d.%d s",
		    children_name(p, slot), wait / 1000, wait % 1000 / 100);
	restart->quick++;
}

bool
children_any(const struct parent *p)
{
	size_t	i;

	for (i = 0; i < SLOT__MAX; i++) {
		if (p->child[i].state != CHILD_DOWN)
			return true;
	}
	return false;
}

/* --- time --- */

static void
start_again(struct parent *p, enum slot slot)
{
	enum slot	other = slot == SLOT_ENGINE ? SLOT_LEDGER : SLOT_ENGINE;
	char		why[WHY_MAX];
	struct mono	now = clock_mono();

	p->restart[slot].due = false;
	if (children_start(p, slot, p->settings, &p->identity, why) == -1) {
		log_error("%s", why);
		/* A process that was killed is reaped first. */
		if (p->child[slot].state == CHILD_DOWN)
			children_schedule(p, slot, now, false);
		return;
	}
	(void)children_connect(p, slot, other, MSG_PEER);
	child_signal(&p->child[slot], MSG_START);
}

/*
 * An engine that hangs delays all mail, so it is asked whether it is alive. The
 * parent counts unanswered questions and not time, since the parent itself may
 * have been suspended.
 */
static void
ask_alive(struct parent *p, enum slot slot, struct mono now)
{
	struct child	*child = &p->child[slot];

	child->ask = clock_after(now, ALIVE_MS);
	if (child->unanswered++ < ALIVE_MOST) {
		child_signal(child, MSG_ALIVE_WANTED);
		return;
	}
	log_error("%s (process %ld) hangs and is killed",
	    children_name(p, slot), (long)child->pid);
	child_kill(child);
}

/* When the slot has something to do next; false: never. */
static bool
is_planned(const struct parent *p, size_t slot, struct mono *at)
{
	const struct child	*child = &p->child[slot];

	if (child->killed)
		return false;
	switch (child->state) {
	case CHILD_DOWN:
		*at = p->restart[slot].at;
		return p->restart[slot].due && !p->stopping;
	case CHILD_SERVING:
		*at = child->ask;
		return child->role == ROLE_ENGINE;
	default:
		*at = child->deadline;
		return true;
	}
}

void
children_timers(struct parent *p, struct mono now)
{
	struct child	*child;
	struct mono	 at;
	size_t		 i;

	for (i = 0; i < SLOT__MAX; i++) {
		child = &p->child[i];
		if (!is_planned(p, i, &at) || !clock_passed(at, now))
			continue;
		if (child->state == CHILD_DOWN)
			start_again(p, (enum slot)i);
		else if (child->state == CHILD_SERVING)
			ask_alive(p, (enum slot)i, now);
		else {
			log_error("%s (process %ld) %s in time and is killed",
			    children_name(p, (enum slot)i), (long)child->pid,
			    child->state == CHILD_STARTING ? "was not ready" :
			    "did not end");
			child_kill(child);
		}
	}
}

int
children_left(const struct parent *p, struct mono now)
{
	struct mono	at;
	int		left = -1;
	size_t		i;

	for (i = 0; i < SLOT__MAX; i++)
		if (is_planned(p, i, &at))
			left = clock_sooner(left, clock_left(at, now));
	return left;
}
