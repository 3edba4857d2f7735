#include <stdio.h>
#include <string.h>

#include "conf/load.h"
#include "lib/log.h"
#include "parent/children.h"
#include "parent/maintenance.h"
#include "parent/notify.h"
#include "parent/reload.h"
#include "parent/run_as.h"

#define TAKE_MS		5000	/* for a busy child to accept */
#define EVERY_MS	200	/* many signals in it are one */

void
reload_log_faults(const struct faults *faults, struct str *keep)
{
	char	text[2048];
	size_t	i;

	for (i = 0; i < faults->count; i++) {
		fault_print(faults, i, text, sizeof(text));
		if (faults->list[i].kind != FAULT_ERROR)
			log_warning("%s", text);
		else
			log_error("%s", text);
		if (keep != NULL)
			str_addf(keep, "%s\n", text);
	}
}

struct settings *
reload_read(const struct parent *p, struct faults *faults)
{
	struct settings	*settings;

	settings = load_settings(p->file, faults);
	/* Cleaning opens no socket. */
	if (settings != NULL && !p->cleaning)
		run_as_check_groups(settings, true, faults);
	fault_sort(faults);
	if (faults->errors == 0)
		return settings;
	settings_free(settings);
	return NULL;
}

void
reload_request(struct parent *p)
{
	p->reload.wanted = true;
}

/* Ends the reload, whatever its result. */
static void
end(struct parent *p, bool failed)
{
	struct reload	*reload = &p->reload;

	reload->failed = failed;
	if (!failed)
		reload->done = clock_wall();
	str_clear(&reload->faults);
	reload->active = false;
	reload->offered = false;
	reload->not_before = clock_after(clock_mono(), EVERY_MS);
	notify_ready(&p->notify, failed ? "Serving; the last reload failed" :
	    "Serving");
}

static void
refuse(struct parent *p, const char *why)
{
	struct reload	*reload = &p->reload;

	if (why != NULL) {
		log_error("%s", why);
		str_addf(&reload->faults, "%s\n", why);
	}
	str_adds(&reload->faults, "the new configuration is not used; the "
	    "running one stays");
	parent_task_done(p, TASK_RELOAD, false, reload->faults.data);
	log_error("the new configuration is not used; the running one stays");
	sockets_abandon(&reload->listeners);
	settings_free(reload->settings);
	reload->settings = NULL;
	end(p, true);
}

/* --- putting it in force --- */

static bool
needs_ledger(const struct parent *p)
{
	const struct settings	*old = p->settings, *new = p->reload.settings;

	if (old->backend != new->backend ||
	    !run_as_equal(&p->identity, &p->reload.identity))
		return true;
	switch (new->backend) {
	case BACKEND_MYSQL:
		return !value_equal(old->mysql_config, new->mysql_config);
	case BACKEND_PGSQL:
		return !value_equal(old->pgsql_config, new->pgsql_config);
	default:
		/* The ids in its runs are folded by these settings. */
		return !value_equal(old->sqlite_config, new->sqlite_config) ||
		    old->fold_case != new->fold_case ||
		    (old->nrules == 0) != (new->nrules == 0);
	}
}

/*
 * The children get the settings before anything else changes. The parent has
 * checked the settings with the same code, so no child should refuse them. If a
 * child refuses them or dies, the running settings stay.
 */
static void
offer(struct parent *p)
{
	struct reload	*reload = &p->reload;
	uint64_t	 next = p->generation + 1;

	reload->offered = true;
	reload->deadline = clock_after(clock_mono(), TAKE_MS);
	/*
	 * A child that is starting may wait for its database, and gets them
	 * later.
	 */
	if (p->child[SLOT_ENGINE].state == CHILD_SERVING)
		children_settings(p, SLOT_ENGINE, reload->settings, next);
	if (!reload->active && p->child[SLOT_LEDGER].state == CHILD_SERVING)
		children_settings(p, SLOT_LEDGER, reload->settings, next);
}

/* Whether a child was sent this generation and has not accepted it yet. */
static bool
awaited(const struct parent *p, const struct child *child)
{
	return child->offered == p->generation + 1 &&
	    child->taken != child->offered;
}

static void
take_back(struct parent *p, enum slot culprit)
{
	char	why[128];

	/* The next number that no child was offered. */
	p->generation += 2;
	if (p->child[SLOT_ENGINE].offered == p->generation - 1)
		children_settings(p, SLOT_ENGINE, p->settings, p->generation);
	if (p->child[SLOT_LEDGER].offered == p->generation - 1)
		children_settings(p, SLOT_LEDGER, p->settings, p->generation);
	if (p->reload.active)
		children_stop(p, SLOT_NEXT_LEDGER);
	snprintf(why, sizeof(why), "the %s did not take the new configuration",
	    children_name(p, culprit));
	refuse(p, why);
}

static void
commit(struct parent *p)
{
	struct reload	*reload = &p->reload;
	struct child	*child = p->child;
	const char	*before = p->settings->pidfile;
	const char	*after = reload->settings->pidfile;
	bool		 new_ledger = reload->active;
	bool		 new_user = !run_as_equal(&p->identity,
			    &reload->identity);

	if (before != after && (before == NULL || after == NULL ||
	    strcmp(before, after) != 0))
		log_warning("pidfile: takes effect at the next start");
	settings_free(p->settings);
	p->settings = reload->settings;
	reload->settings = NULL;
	p->identity = reload->identity;
	p->generation++;
	p->tasks.log = false;
	parent_log_again(p);
	sockets_adopt(&p->listeners, &reload->listeners, &child[SLOT_ENGINE]);
	if (new_ledger) {
		child[SLOT_OLD_LEDGER] = child[SLOT_LEDGER];
		child[SLOT_LEDGER] = child[SLOT_NEXT_LEDGER];
		child_init(&child[SLOT_NEXT_LEDGER]);
		maintenance_on_gone(p, SLOT_LEDGER);
		children_keep(p, SLOT_LEDGER, true);
		p->database_away = false;
		(void)children_connect(p, SLOT_ENGINE, SLOT_LEDGER, MSG_PEER);
		children_stop(p, SLOT_OLD_LEDGER);
	} else if (child[SLOT_LEDGER].offered != p->generation)
		/* It was started in between and has the old settings. */
		children_settings(p, SLOT_LEDGER, p->settings, p->generation);
	if (child[SLOT_ENGINE].offered != p->generation)
		children_settings(p, SLOT_ENGINE, p->settings, p->generation);
	maintenance_schedule(p, clock_mono());
	log_notice("the new configuration is in force");
	str_adds(&reload->faults, "the new configuration is in force");
	parent_task_done(p, TASK_RELOAD, true, reload->faults.data);
	/*
	 * An engine of another user must be a new process. The old one still
	 * answers the policyctl that asked for the reload.
	 */
	if (new_user)
		children_stop(p, SLOT_ENGINE);
	end(p, false);
}

/* --- reading it --- */

static void
begin(struct parent *p)
{
	struct reload	*reload = &p->reload;
	struct faults	 faults;
	char		 why[WHY_MAX];

	reload->wanted = false;
	notify_reloading(&p->notify);
	log_notice("reading the configuration again");
	fault_init(&faults, NULL);
	reload->settings = reload_read(p, &faults);
	str_clear(&reload->faults);
	reload_log_faults(&faults, &reload->faults);
	fault_clear(&faults);
	if (reload->settings == NULL) {
		refuse(p, NULL);
		return;
	}
	if (run_as_find(&reload->identity, reload->settings, why) == -1 ||
	    run_as_jail(&reload->identity, why) == -1 ||
	    sockets_open(&reload->listeners, &p->listeners, &p->activation,
	    reload->settings, &reload->identity, why) == -1) {
		refuse(p, why);
		return;
	}
	if (!needs_ledger(p)) {
		offer(p);
		return;
	}
	if (children_start(p, SLOT_NEXT_LEDGER, reload->settings,
	    &reload->identity, why) == -1) {
		refuse(p, why);
		return;
	}
	reload->active = true;
	child_signal(&p->child[SLOT_NEXT_LEDGER], MSG_START);
}

void
reload_on_ready(struct parent *p)
{
	if (p->reload.active && !p->reload.offered)
		offer(p);
}

void
reload_on_lost(struct parent *p, enum slot slot, const struct child *was,
    bool away)
{
	if (p->reload.offered && !away && awaited(p, was))
		take_back(p, slot);
}

void
reload_on_gone(struct parent *p)
{
	if (p->reload.offered)
		take_back(p, SLOT_NEXT_LEDGER);
	else if (p->reload.active)
		refuse(p, "the ledger of the new configuration did not start");
}

/* Waits until the ledgers of the last reload are gone. */
static bool
may_begin(const struct parent *p)
{
	return p->reload.wanted && !p->reload.active && !p->reload.offered &&
	    p->started &&
	    p->child[SLOT_NEXT_LEDGER].state == CHILD_DOWN &&
	    p->child[SLOT_OLD_LEDGER].state == CHILD_DOWN;
}

void
reload_timers(struct parent *p, struct mono now)
{
	if (p->reload.offered) {
		/* A child that is busy at the deadline has not refused. */
		if ((!awaited(p, &p->child[SLOT_ENGINE]) &&
		    !awaited(p, &p->child[SLOT_LEDGER])) ||
		    clock_passed(p->reload.deadline, now))
			commit(p);
	} else if (may_begin(p) && clock_passed(p->reload.not_before, now))
		begin(p);
}

int
reload_left(const struct parent *p, struct mono now)
{
	if (p->reload.offered)
		return clock_left(p->reload.deadline, now);
	return may_begin(p) ? clock_left(p->reload.not_before, now) : -1;
}

void
reload_abandon(struct parent *p)
{
	struct reload	*reload = &p->reload;

	if (reload->settings == NULL)
		return;
	sockets_abandon(&reload->listeners);
	settings_free(reload->settings);
	reload->settings = NULL;
	reload->active = false;
	reload->offered = false;
}
