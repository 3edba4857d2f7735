#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/client.h"
#include "engine/control/metrics.h"
#include "engine/pending.h"
#include "engine/replay.h"
#include "engine/reply.h"
#include "engine/stats.h"
#include "lib/clock.h"

#define PREFIX	"policyd_rate_limit_"

static void
put_family(struct str *out, const char *name, const char *type,
    const char *unit, const char *help)
{
	reply_begin(out, "metrics");
	str_addf(out, "\tname=" PREFIX "%s", name);
	reply_text(out, "type", type);
	reply_text(out, "unit", unit);
	reply_text(out, "help", help);
	reply_end(out);
}

static void
put_sample(struct str *out, const char *name, const char *suffix,
    const char *label, const char *label_value, uint64_t value)
{
	reply_begin(out, "samples");
	str_addf(out, "\tname=" PREFIX "%s%s", name, suffix);
	if (label != NULL) {
		reply_text(out, "label", label);
		reply_text(out, "label_value", label_value);
	}
	reply_number(out, "value", (int64_t)(value & INT64_MAX));
	reply_end(out);
}

static void
put_seconds(struct str *out, const char *name, const char *suffix, uint64_t ns)
{
	reply_begin(out, "samples");
	str_addf(out, "\tname=" PREFIX "%s%s\tvalue#%" PRIu64 ".%09" PRIu64,
	    name, suffix, ns / 1000000000, ns % 1000000000);
	reply_end(out);
}

/* --- what the engine counted --- */

/* Samples of one family are adjacent; the first has its help. */
static const struct {
	enum stats_counter	 counter;
	const char		*name;
	const char		*label;
	const char		*label_value;
	const char		*help;
} counters[] = {
	{ STATS_REQUESTS, "requests", NULL, NULL,
	    "Whole requests that were read." },
	{ STATS_MALFORMED, "malformed_requests", NULL, NULL,
	    "Malformed requests; their connections were closed." },
	{ STATS_PASSED, "answers", "verdict", "passed",
	    "Answers by verdict." },
	{ STATS_ACCEPTED, "answers", "verdict", "accepted", NULL },
	{ STATS_REFUSED, "answers", "verdict", "refused", NULL },
	{ STATS_UNAVAILABLE, "answers", "verdict", "unavailable", NULL },
	{ STATS_BLOCKED, "answers", "verdict", "blocked", NULL },
	{ STATS_EXEMPT, "exempt_requests", NULL, NULL,
	    "Requests that no limit applies to, by the setting exempt." },
	{ STATS_MEMORY_REFUSED, "memory_refusals", NULL, NULL,
	    "Requests refused from memory, without the database." },
	{ STATS_OVER, "over_limit", NULL, NULL,
	    "Requests over a limit whose action lets Postfix take the mail." },
	{ STATS_SHADOWED, "shadow_refusals", NULL, NULL,
	    "Requests that a rule in shadow would have refused." },
	{ STATS_WARNED, "warnings", NULL, NULL,
	    "Requests that passed warn_at of a rule." },
	{ STATS_LOCKS, "locks", NULL, NULL,
	    "Locks that rules set." },
	{ STATS_LOCK_PASSED, "lock_passes", NULL, NULL,
	    "Requests that passed a lock, by except_recipients." },
	{ STATS_LATE, "late_verdicts", NULL, NULL,
	    "Verdicts that came after the answer." },
	{ STATS_REPLAYED, "replayed", NULL, NULL,
	    "Requests accepted without the database and recorded later." },
	{ STATS_REPLAY_LOST, "replay_lost", NULL, NULL,
	    "Requests accepted without the database and never recorded." },
	{ STATS_CONNECTED, "connections", NULL, NULL,
	    "Clients that connected." },
	{ STATS_FORBIDDEN, "forbidden_connections", NULL, NULL,
	    "Clients that are not among allowed_clients." },
	{ STATS_CLOSED_IDLE, "closed_connections", "reason", "idle",
	    "Clients that were closed by the daemon." },
	{ STATS_CLOSED_SLOW, "closed_connections", "reason", "slow", NULL },
};

static void
put_rules(struct str *out)
{
	static const struct {
		const char	*name;
		const char	*help;
	} families[STATS_RULE__MAX] = {
		[STATS_RULE_CHARGED] = { "rule_requests",
		    "Requests that a rule applied to." },
		[STATS_RULE_REFUSED] = { "rule_refusals",
		    "Requests that a rule refused." },
		[STATS_RULE_OVER] = { "rule_over_limit",
		    "Requests over a rule's limit that Postfix accepted." },
		[STATS_RULE_SHADOWED] = { "rule_shadow_refusals",
		    "Requests that a rule in shadow would have refused." },
		[STATS_RULE_WARNED] = { "rule_warnings",
		    "Requests that passed warn_at of a rule." },
		[STATS_RULE_LOCKED] = { "rule_locks",
		    "Locks that a rule set." },
	};
	const struct stats_rule	*rules = stats_get_rules();
	size_t			 i, j;

	for (i = 0; i < STATS_RULE__MAX; i++) {
		put_family(out, families[i].name, "counter", "",
		    families[i].help);
		for (j = 0; j < STATS_RULES_MAX && rules[j].name != NULL; j++)
			put_sample(out, families[i].name, "_total", "rule",
			    rules[j].name[0] != '\0' ? rules[j].name :
			    "default", rules[j].count[i]);
	}
}

static void
put_latencies(struct str *out)
{
	static const char	*const name = "answer_seconds";
	const struct stats	*s = stats_get();
	char			 bound[32];
	uint64_t		 sum = 0, us;
	size_t			 i;

	put_family(out, name, "histogram", "seconds",
	    "From a request to its answer.");
	for (i = 0; i < STATS_BUCKETS; i++) {
		sum += s->latency[i];
		us = UINT64_C(1) << i;
		if (i < STATS_BUCKETS - 1)
			snprintf(bound, sizeof(bound), "%" PRIu64 ".%06" PRIu64,
			    us / 1000000, us % 1000000);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		put_sample(out, name, "_bucket", "le", bound, sum);
	}
	put_sample(out, name, "_count", NULL, NULL, sum);
	put_seconds(out, name, "_sum", s->latency_ns);
}

static void
put_gauge(struct str *out, const char *name, uint64_t value,
    const char *unit, const char *help)
{
	put_family(out, name, "gauge", unit, help);
	put_sample(out, name, "", NULL, NULL, value);
}

static void
put_engine(struct control *c)
{
	const struct stats	*s = stats_get();
	struct str		*out = &c->answer;
	size_t			 i;

	/* No "info": node_exporter knows only the types of the older format. */
	put_family(out, "build_info", "gauge", "", "The version that runs.");
	put_sample(out, "build_info", "", "version", VERSION, 1);
	put_gauge(out, "clients", client_count(c->engine->clients), "",
	    "Clients that are connected.");
	put_gauge(out, "waiting_requests",
	    pending_count(c->engine->pending), "",
	    "Requests that wait for the database.");
	put_family(out, "oldest_waiting_seconds", "gauge", "seconds",
	    "How long the oldest waiting request has waited.");
	put_seconds(out, "oldest_waiting_seconds", "",
	    (uint64_t)pending_oldest(c->engine->pending));
	put_gauge(out, "to_record", replay_count(c->engine->replay), "",
	    "Requests accepted without the database and not yet recorded.");
	put_gauge(out, "locks_in_force",
	    blocks_count_locks(c->engine->blocks, clock_wall()), "",
	    "Logins and addresses that rules have locked.");
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		if (counters[i].help != NULL)
			put_family(out, counters[i].name, "counter", "",
			    counters[i].help);
		put_sample(out, counters[i].name, "_total", counters[i].label,
		    counters[i].label_value, s->count[counters[i].counter]);
	}
	put_rules(out);
	put_latencies(out);
}

/* --- what the ledger counted --- */

static const struct {
	const char	*name;
	bool		 gauge;
	const char	*unit;
	const char	*help;
} figures[FIGURE__MAX] = {
	[FIGURE_CHARGES] = { "ledger_charges", false, "",
	    "Verdicts since the ledger was started." },
	[FIGURE_BATCHES] = { "ledger_batches", false, "",
	    "Transactions that decided requests." },
	[FIGURE_LARGEST_BATCH] = { "ledger_largest_batch", true, "",
	    "Most requests in one transaction." },
	[FIGURE_BUSY] = { "ledger_busy", false, "",
	    "Transactions that found the database locked." },
	[FIGURE_ERRORS] = { "ledger_errors", false, "",
	    "Transactions that failed in the database." },
	[FIGURE_HITS] = { "ledger_hits", false, "",
	    "Hits of limits that are to be reported." },
	[FIGURE_LEARNED] = { "ledger_learned", false, "",
	    "Networks and recipients that rules learned for new_recipients." },
	[FIGURE_CACHE_IDS] = { "ledger_cache_ids", true, "",
	    "Ids in the cache of the ledger." },
	[FIGURE_CACHE_BYTES] = { "ledger_cache_bytes", true, "bytes",
	    "Memory of the ids in the cache of the ledger." },
};

/*
 * The current state is 1, the others 0. The reason is given where something is
 * wrong.
 */
static void
put_database(struct control *c, bool up, const char *state, const char *fault)
{
	static const char	*const states[] = {
		"well", "in trouble", "away", "no answer"
	};
	struct str		*out = &c->answer;
	size_t			 i;

	put_gauge(out, "ledger_up", up, "",
	    "Whether a ledger runs and answers.");
	put_gauge(out, "database_up", strcmp(state, "well") == 0, "",
	    "Whether the database works.");
	put_family(out, "database_state", "gauge", "",
	    "The state of the database, as policyctl status names it.");
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		put_sample(out, "database_state", "", "state", states[i],
		    strcmp(state, states[i]) == 0);
	put_family(out, "database_fault", "gauge", "",
	    "1 and the reason while the database fails.");
	put_sample(out, "database_fault", "", "reason", fault,
	    fault[0] != '\0');
}

void
metrics_on_state(struct control *c, const struct msg_state *m)
{
	struct str	*out = &c->answer;

	put_engine(c);
	put_gauge(out, "generation", m->generation, "",
	    "Rises with each configuration that is put in force.");
	put_gauge(out, "reload_successful", !m->reload_failed, "",
	    "Whether the last reload put the new configuration in force.");
	put_gauge(out, "reload_success_timestamp_seconds", (uint64_t)m->read,
	    "seconds", "When the running configuration was put in force.");
	if (control_ask(c, MSG_FIGURES_WANTED, NULL))
		return;
	put_database(c, false, "away", m->fault);
	control_end(c);
}

int
metrics_on_answer(struct control *c, const struct message *m)
{
	struct str		*out = &c->answer;
	struct msg_figures	 answer;
	size_t			 i;

	if (m->type != MSG_FIGURES ||
	    msg_figures_get(&answer, m->payload, m->len) == -1)
		return -1;
	put_database(c, true, answer.fault[0] == '\0' ? "well" :
	    "in trouble", answer.fault);
	for (i = 0; i < FIGURE__MAX; i++) {
		put_family(out, figures[i].name, figures[i].gauge ?
		    "gauge" : "counter", figures[i].unit, figures[i].help);
		put_sample(out, figures[i].name, figures[i].gauge ? "" :
		    "_total", NULL, NULL, answer.figure[i]);
	}
	control_end(c);
	return 0;
}

void
metrics_on_timeout(struct control *c)
{
	/* Not even the parent has answered. */
	if (c->answer.len == 0)
		put_engine(c);
	put_database(c, false, "no answer", "");
	control_end(c);
}
