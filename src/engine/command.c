#include <stdlib.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/change.h"
#include "engine/change_habit.h"
#include "engine/client.h"
#include "engine/command.h"
#include "engine/events.h"
#include "engine/explain.h"
#include "engine/metrics.h"
#include "engine/pending.h"
#include "engine/replay.h"
#include "engine/reply.h"
#include "engine/stats.h"
#include "engine/try.h"
#include "engine/loop_clock.h"
#include "engine/why.h"
#include "ipc/message_refusal.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"

#define TOP_USUAL	10
#define AWAY		"the database is away"

static int64_t
seconds_since(int64_t ns)
{
	struct mono	then = { ns };

	return clock_between(then, loop_now()) / 1000000000;
}

/* --- status --- */

static void
status_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)word;
	(void)n;
	control_wish(c, WISH_STATE);
}

static void
status_clients(struct str *out)
{
	const struct stats	*s = stats_get();
	enum stats_counter	 i;

	reply_begin(out, "");
	reply_number(out, "clients", (int64_t)client_count());
	reply_number(out, "waiting", (int64_t)pending_count());
	reply_number(out, "to_record", (int64_t)replay_count());
	reply_end(out);
	for (i = 0; i < STATS__MAX; i++) {
		reply_begin(out, "counters");
		reply_text(out, "name", stats_name(i));
		reply_number(out, "value", (int64_t)s->count[i]);
		reply_end(out);
	}
}

/* The state of the database, as far as a process knows. */
static void
status_end(struct control *c, const char *state, const char *database,
    const char *fault)
{
	struct str	*out = control_answer(c);

	reply_begin(out, "");
	reply_text(out, "database", state);
	reply_text(out, "backend", database);
	reply_text(out, "fault", fault);
	reply_end(out);
	status_clients(out);
	control_end(c);
}

static void
status_state(struct control *c, const struct msg_state *m)
{
	const struct msg_state_process	*p;
	struct str			*out = control_answer(c);
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
status_told(struct control *c, const struct message *m)
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
status_late(struct control *c)
{
	status_end(c, "no answer", "", "");
}

/* --- show --- */

static void
show_end(struct control *c)
{
	reply_begin(control_answer(c), "");
	reply_bool(control_answer(c), "known", control_question(c)->known);
	reply_end(control_answer(c));
	control_end(c);
}

/* First the windows, then the refusals. */
static int
show_told(struct control *c, const struct message *m)
{
	const struct msg_charge	*shown;
	int			 ret;

	if (m->type != MSG_FOUND && m->type != MSG_SEARCHED &&
	    m->type != MSG_PROGRESS) {
		if ((ret = explain_show_told(c, m, &shown)) != 1)
			return ret;
		if (control_policy()->settings->history > 0 &&
		    why_show(c, shown))
			return 0;
		show_end(c);
		return 0;
	}
	if ((ret = why_show_told(c, m)) == 1)
		show_end(c);
	return ret == -1 ? -1 : 0;
}

/* The windows may be there already. */
static void
show_late(struct control *c)
{
	if (control_answer(c)->len > 0)
		show_end(c);
	else
		control_fail(c, "the database did not answer in time");
}

/* --- top --- */

/* The value behind `name` and "=", or NULL. */
static const char *
top_value(const struct control_word *word, const char *name)
{
	size_t	len = strlen(name);

	return strncmp(word->bytes, name, len) == 0 && word->bytes[len] == '=' ?
	    word->bytes + len + 1 : NULL;
}

static bool
top_has_rule(const char *name)
{
	const struct settings	*s = control_policy()->settings;
	size_t			 i;

	for (i = 0; i < s->nrules; i++)
		if (strcmp(s->rules[i].name, name) == 0)
			return true;
	return false;
}

static bool
top_order(const char *value, uint8_t *by)
{
	static const char *const	orders[TOP_ORDER__MAX] = {
		[TOP_BY_FILL] = "fill",
		[TOP_BY_USED] = "used",
		[TOP_BY_REFUSED] = "refused"
	};
	uint8_t				i;

	for (i = 0; i < TOP_ORDER__MAX; i++)
		if (strcmp(orders[i], value) == 0) {
			*by = i;
			return true;
		}
	return false;
}

/* False: the question has failed. */
static bool
top_word(struct control *c, struct msg_top *top,
    const struct control_word *word)
{
	const char	*value;
	int64_t		 n;

	if ((value = top_value(word, "by")) != NULL &&
	    top_order(value, &top->by)) {
		return true;
	} else if (value != NULL) {
		control_fail(c, "top: --by is fill, used or refused");
		return false;
	} else if ((value = top_value(word, "group")) != NULL &&
	    strcmp(value, "domain") == 0) {
		top->domain = true;
	} else if (value != NULL) {
		control_fail(c, "top: --group is domain");
		return false;
	} else if ((value = top_value(word, "rule")) != NULL &&
	    top_has_rule(value)) {
		top->rule = value;
		top->rulelen = strlen(value);
	} else if (value != NULL) {
		control_fail(c, "top: there is no rule %s", value);
		return false;
	} else if ((value = top_value(word, "window")) != NULL &&
	    num_parse(value, strlen(value), 1, INT64_MAX, &n) == 0) {
		top->seconds = n;
	} else if (value == NULL && num_parse(word->bytes, word->len, 1,
	    TOP_MAX, &n) == 0) {
		top->n = (uint32_t)n;
	} else {
		control_fail(c, "top: a number from 1 to %d is expected",
		    TOP_MAX);
		return false;
	}
	return true;
}

static void
top_run(struct control *c, const struct control_word *word, size_t n)
{
	struct msg_top	top = { .n = TOP_USUAL, .rule = "" };
	struct str	payload;
	size_t		i;

	for (i = 0; i < n; i++)
		if (!top_word(c, &top, &word[i]))
			return;
	if (top.by == TOP_BY_REFUSED && control_policy()->settings->history ==
	    0) {
		control_fail(c, "no refusals are kept: history is 0");
		return;
	}
	str_init(&payload);
	msg_top_put(&payload, &top);
	if (!control_ask(c, MSG_TOP, &payload))
		control_fail(c, AWAY);
	str_clear(&payload);
}

/*
 * Which blocks and locks hold for the login or address that the id stands for.
 */
static void
top_add_blocked(struct str *out, const struct settings *s,
    const struct msg_top_id *id, int64_t now)
{
	const struct override		*locks[OVERRIDE_LOCKS];
	const struct settings_rule	*rule = NULL;
	struct override_subject		 subject;
	size_t				 i, bare = 0;
	char				 text[64];

	for (i = 0; i < s->nrules && rule == NULL; i++) {
		bare = strlen(s->rules[i].name) + 1;
		if (id->idlen > bare && id->id[bare - 1] == ':' &&
		    memcmp(id->id, s->rules[i].name, bare - 1) == 0)
			rule = &s->rules[i];
	}
	if (s->nrules > 0 && (rule == NULL || rule->nkey != 1))
		return;
	bare = rule != NULL ? bare : 0;
	memset(&subject, 0, sizeof(subject));
	subject.login = subject.sender = "";
	if (rule != NULL ? rule->key[0] == KEY_SASL_USERNAME :
	    s->limit_by_sasl) {
		subject.login = id->id + bare;
		subject.loginlen = id->idlen - bare;
	}
	if ((rule != NULL ? rule->key[0] == KEY_CLIENT_ADDRESS :
	    s->limit_by_ip) && id->idlen - bare < sizeof(text)) {
		memcpy(text, id->id + bare, id->idlen - bare);
		text[id->idlen - bare] = '\0';
		(void)addr_parse(&subject.client, text, strlen(text));
	}
	reply_bool(out, "blocked", override_block(blocks_list(), &subject,
	    now) != NULL);
	reply_bool(out, "locked", override_locks(blocks_list(), &subject, now,
	    locks) > 0);
}

static int
top_told(struct control *c, const struct message *m)
{
	static struct msg_topped	 topped;
	const struct msg_top_id		*id;
	struct str			*out = control_answer(c);
	int64_t				 now = clock_wall();
	size_t				 i;

	if (m->type == MSG_PROGRESS)
		return why_progress(c, m);
	if (m->type == MSG_SEARCHED) {
		control_fail(c, "top: the refusals cannot be read; the log has "
		    "the reason");
		return 0;
	}
	if (m->type != MSG_TOPPED ||
	    msg_topped_get(&topped, m->payload, m->len) == -1)
		return -1;
	reply_begin(out, "");
	reply_number(out, "time", now);
	reply_number(out, "total", topped.total);
	reply_end(out);
	for (i = 0; i < topped.count; i++) {
		id = &topped.ids[i];
		reply_begin(out, "ids");
		reply_bytes(out, "id", id->id, id->idlen);
		reply_number(out, topped.by == TOP_BY_REFUSED ? "refused" :
		    "used", id->used);
		reply_number(out, "seconds", id->limit.seconds);
		if (topped.by != TOP_BY_REFUSED && !topped.domain) {
			reply_number(out, "limit", id->limit.mails);
			reply_retry_after(out, id->retry_after, &id->limit);
		}
		reply_bool(out, "shadow", id->shadow);
		top_add_blocked(out, control_policy()->settings, id, now);
		reply_end(out);
	}
	control_end(c);
	return 0;
}

/* --- requests --- */

static void
reload_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)word;
	(void)n;
	control_wish(c, WISH_RELOAD);
}

static void
clean_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)word;
	(void)n;
	control_wish(c, WISH_CLEAN);
}

static void
report_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)word;
	(void)n;
	control_wish(c, WISH_REPORT);
}

static void
log_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)n;
	if (strcmp(word[0].bytes, "debug") == 0)
		control_wish(c, WISH_LOG_DEBUG);
	else if (strcmp(word[0].bytes, "brief") == 0)
		control_wish(c, WISH_LOG_BRIEF);
	else
		control_fail(c, "log: debug or brief is expected");
}

/* --- events --- */

static void
events_run(struct control *c, const struct control_word *word, size_t n)
{
	(void)word;
	(void)n;
	if (events_full())
		control_fail(c, "events: too many followers: the daemon serves "
		    "at most %d", EVENTS_FOLLOWERS);
	else
		events_follow(control_detach(c));
}

/* --- the table --- */

static const struct control_command	commands[] = {
	{ .name = "status", .access = CONTROL_LOOK,
	    .run = status_run, .state = status_state,
	    .told = status_told, .late = status_late },
	{ .name = "show", .access = CONTROL_LOOK,
	    .min = 1, .max = 1, .run = explain_show,
	    .told = show_told, .late = show_late },
	{ .name = "top", .access = CONTROL_LOOK,
	    .max = 5, .run = top_run, .told = top_told },
	{ .name = "why", .access = CONTROL_OPERATE,
	    .min = 1, .max = REFUSAL_TEXT__MAX, .run = why_run,
	    .told = why_told },
	{ .name = "explain", .access = CONTROL_LOOK,
	    .min = 1, .max = CONTROL_WORDS_MAX,
	    .run = explain_run, .told = explain_told, .late = explain_late },
	{ .name = "reset", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_reset, .told = change_reset_told },
	{ .name = "charge", .access = CONTROL_OPERATE,
	    .min = 2, .max = 3, .changes = true,
	    .run = change_charge, .told = change_charge_told },
	{ .name = "grant", .access = CONTROL_OPERATE,
	    .min = 3, .max = 3, .changes = true,
	    .run = change_grant, .told = change_told },
	{ .name = "ungrant", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_ungrant, .told = change_told },
	{ .name = "trust", .access = CONTROL_OPERATE,
	    .min = 2, .max = 2, .changes = true,
	    .run = change_habit_trust, .told = change_told },
	{ .name = "forget", .access = CONTROL_OPERATE,
	    .min = 2, .max = 2, .changes = true,
	    .run = change_habit_forget, .told = change_told },
	{ .name = "list", .access = CONTROL_LOOK,
	    .run = change_list, .told = change_list_told,
	    .late = change_list_late },
	{ .name = "block", .access = CONTROL_OPERATE,
	    .min = 2, .max = 3, .changes = true,
	    .run = change_block, .told = change_told },
	{ .name = "unblock", .access = CONTROL_OPERATE,
	    .min = 1, .max = 1, .changes = true,
	    .run = change_unblock, .told = change_told },
	{ .name = "reload", .changes = true, .run = reload_run },
	{ .name = "report", .changes = true, .run = report_run },
	{ .name = "clean", .changes = true, .run = clean_run },
	{ .name = "log", .min = 1, .max = 1, .changes = true, .run = log_run },
	{ .name = "try", .access = CONTROL_OPERATE,
	    .max = 2, .run = try_run },
	{ .name = "events", .access = CONTROL_LOOK, .run = events_run },
	{ .name = "metrics", .access = CONTROL_LOOK,
	    .run = metrics_run, .state = metrics_state,
	    .told = metrics_told, .late = metrics_late },
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
