#include <string.h>

#include "engine/control/change.h"
#include "engine/client.h"
#include "engine/control/command.h"
#include "engine/control/command_top.h"
#include "engine/events.h"
#include "engine/control/explain.h"
#include "engine/control/metrics.h"
#include "engine/pending.h"
#include "engine/replay.h"
#include "engine/reply.h"
#include "engine/stats.h"
#include "engine/control/try.h"
#include "engine/loop_clock.h"
#include "engine/control/why.h"
#include "ipc/message_refusal.h"
#include "lib/clock.h"

/* --- status --- */

/*
 * The end of the answer: the state of the database, as far as a process knows,
 * and the engine's counters.
 */
static void
status_end(struct control *c, const char *state, const char *database,
    const char *fault)
{
	const struct stats	*s = stats_get();
	struct str		*out = &c->answer;
	enum stats_counter	 i;

	reply_begin(out, "");
	reply_text(out, "database", state);
	reply_text(out, "backend", database);
	reply_text(out, "fault", fault);
	reply_number(out, "clients", (int64_t)client_count(c->engine->clients));
	reply_number(out, "waiting",
	    (int64_t)pending_count(c->engine->pending));
	reply_number(out, "to_record",
	    (int64_t)replay_count(c->engine->replay));
	reply_end(out);
	for (i = 0; i < STATS__MAX; i++) {
		reply_begin(out, "counters");
		reply_text(out, "name", stats_name(i));
		reply_number(out, "value", (int64_t)s->count[i]);
		reply_end(out);
	}
	control_end(c);
}

static int64_t
seconds_since(int64_t ns)
{
	struct mono	then = { ns };

	return clock_between(then, loop_now()) / 1000000000;
}

static void
status_on_state(struct control *c, const struct msg_state *m)
{
	const struct msg_state_process	*p;
	struct str			*out = &c->answer;
	size_t				 i;

	reply_begin(out, "");
	reply_text(out, "version", VERSION);
	reply_number(out, "uptime", seconds_since(m->since));
	reply_text(out, "configuration", m->file);
	reply_number(out, "generation", (int64_t)m->generation);
	reply_number(out, "read", m->read);
	reply_bool(out, "reload_failed", m->reload_failed);
	reply_end(out);
	for (i = 0; i < m->nprocesses; i++) {
		p = &m->process[i];
		reply_begin(out, "processes");
		reply_text(out, "name", p->name);
		reply_number(out, "pid", p->pid);
		reply_number(out, "uptime", seconds_since(p->since));
		reply_bool(out, "serving", p->serving);
		reply_text(out, "sandbox", p->sandbox);
		reply_end(out);
	}
	if (!control_ask(c, MSG_FIGURES_WANTED, NULL))
		status_end(c, "away", "", m->fault);
}

static int
status_on_answer(struct control *c, const struct message *m)
{
	struct msg_figures	figures;

	if (m->type != MSG_FIGURES ||
	    msg_figures_get(&figures, m->payload, m->len) == -1)
		return -1;
	status_end(c, figures.fault[0] == '\0' ? "well" : "in trouble",
	    figures.database, figures.fault);
	return 0;
}

static void
status_on_timeout(struct control *c)
{
	status_end(c, "no answer", "", "");
}

/* --- others --- */

static void
log_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)n;
	if (strcmp(word[0].bytes, "debug") == 0)
		control_task(c, TASK_LOG_DEBUG);
	else if (strcmp(word[0].bytes, "brief") == 0)
		control_task(c, TASK_LOG_BRIEF);
	else
		control_fail(c, "log: debug or brief is expected");
}

static void
events_run(struct control *c, const struct control_word *word, size_t n)
{
	struct followers	*followers = c->engine->followers;

	(void)word;
	(void)n;
	if (events_full(followers))
		control_fail(c, "events: too many followers: the daemon serves "
		    "at most %d", EVENTS_FOLLOWERS);
	else
		events_follow(followers, control_detach(c));
}

/* --- the table --- */

static const struct control_command	commands[] = {
	{ .name = "status", .access = CONTROL_LOOK, .task = TASK_STATE,
	    .on_state = status_on_state, .on_answer = status_on_answer,
	    .on_timeout = status_on_timeout },
	{ .name = "show", .access = CONTROL_LOOK,
	    .min = 1, .max = 1, .run = explain_show,
	    .on_answer = explain_show_on_answer,
	    .on_timeout = explain_show_on_timeout },
	{ .name = "top", .access = CONTROL_LOOK,
	    .max = 5, .run = command_top_run,
	    .on_answer = command_top_on_answer,
	    .on_timeout = command_top_on_timeout },
	{ .name = "why", .access = CONTROL_OPERATE,
	    .max = REFUSAL_TEXT__MAX, .run = why_run,
	    .on_answer = why_on_answer },
	{ .name = "explain", .access = CONTROL_LOOK,
	    .min = 1, .max = CONTROL_WORDS_MAX,
	    .run = explain_run, .on_answer = explain_on_answer,
	    .on_timeout = explain_on_timeout },
	{ .name = "reset", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_reset, .on_answer = change_reset_on_answer },
	{ .name = "charge", .access = CONTROL_OPERATE,
	    .min = 2, .max = 3, .changes = true,
	    .run = change_charge, .on_answer = change_charge_on_answer },
	{ .name = "grant", .access = CONTROL_OPERATE,
	    .min = 3, .max = 3, .changes = true,
	    .run = change_grant, .on_answer = change_on_answer },
	{ .name = "ungrant", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_grant, .on_answer = change_on_answer },
	{ .name = "trust", .access = CONTROL_OPERATE,
	    .min = 2, .max = 2, .changes = true,
	    .run = change_habit_trust, .on_answer = change_on_answer },
	{ .name = "forget", .access = CONTROL_OPERATE,
	    .min = 2, .max = 2, .changes = true,
	    .run = change_habit_forget, .on_answer = change_on_answer },
	{ .name = "list", .access = CONTROL_LOOK,
	    .max = 1, .run = change_list, .on_state = change_list_on_state,
	    .on_answer = change_list_on_answer,
	    .on_timeout = change_list_on_timeout },
	{ .name = "block", .access = CONTROL_OPERATE,
	    .min = 2, .max = 3, .changes = true,
	    .run = change_block, .on_answer = change_on_answer },
	{ .name = "unblock", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_block, .on_answer = change_on_answer },
	{ .name = "reload", .changes = true, .task = TASK_RELOAD },
	{ .name = "report", .changes = true, .task = TASK_REPORT },
	{ .name = "clean", .changes = true, .task = TASK_CLEAN },
	{ .name = "log", .min = 1, .max = 1, .changes = true, .run = log_run },
	{ .name = "try", .access = CONTROL_OPERATE,
	    .max = 2, .run = try_run, .on_timeout = try_on_timeout },
	{ .name = "events", .access = CONTROL_LOOK, .run = events_run },
	{ .name = "metrics", .access = CONTROL_LOOK, .task = TASK_STATE,
	    .on_state = metrics_on_state, .on_answer = metrics_on_answer,
	    .on_timeout = metrics_on_timeout },
};

const struct control_command *
command_find(const struct control_word *name)
{
	size_t	i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name->bytes) == 0)
			return &commands[i];
	return NULL;
}
