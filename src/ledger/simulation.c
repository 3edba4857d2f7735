#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "decision/simulate.h"
#include "ipc/message_simulate.h"
#include "ledger/simulation.h"
#include "ledger/simulation_match.h"
#include "ledger/top_rows.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/num.h"
#include "lib/window.h"

#define ROWS_STEP	2000		/* rows in a step */
#define REST_NS		INT64_C(1000000)	/* least, between two steps */
#define PROGRESS_NS	INT64_C(500000000)
#define DAY		86400	/* seconds */

enum simulation_state {
	SIMULATION_IDLE,
	SIMULATION_READING,
	SIMULATION_DECIDING,
	SIMULATION_LISTING		/* for `policyctl top` */
};

/* An id and its rows. */
struct simulation_id {
	struct map_node		 node;
	struct simulate_row	*row;
	uint32_t		 n;
	uint32_t		 size;
	size_t			 rule;
	struct simulate_result	 result;
	size_t			 len;
	char			 id[];		/* as it is stored */
};

/* What is known of a rule, of `now`. */
struct simulation_rule {
	size_t		 would;		/* the one to try */
	const char	*skipped;	/* NULL, or why it is not tried */
	size_t		 ids;
	int64_t		*peak;		/* for each window, `ids` numbers */
	size_t		 npeak;		/* so far, of each */
};

struct simulation {
	struct channel		*engine;
	enum simulation_state	 state;
	struct top_rows		*top;		/* NULL: `policyctl try` */
	uint32_t		 k;
	struct settings		*tried;		/* NULL: the running ones */
	struct simulation_rule	 rule[RULES_MAX];
	size_t			 nrules;	/* 1 without rules */
	struct map		*map;
	struct simulation_id	**list;
	size_t			 count;
	size_t			 size;
	size_t			 at;		/* decided so far */
	int64_t			 position;	/* of store_rows */
	int64_t			 rows;
	int64_t			 first;
	int64_t			 last;
	int64_t			 newest;	/* later ones are not counted */
	int64_t			 next;		/* step, monotonic ns */
	int64_t			 told;		/* progress, the same */
	int64_t			 failing;	/* since when; 0: it works */
};

/* --- answers --- */

/* Sends what was put into ledger_payload(). */
static void
answer(struct ledger *l, enum message_type type)
{
	channel_send(l->simulation->engine, type, 0, &l->payload, -1);
}

static void
tell(struct ledger *l, const struct msg_simulated *m)
{
	msg_simulated_put(ledger_payload(l), m);
	answer(l, MSG_SIMULATED);
}

static void
tell_text(struct ledger *l, enum simulated_kind kind, const char *rule,
    const char *text)
{
	const struct msg_simulated	m = {
		.kind = (uint8_t)kind, .rule = rule, .rulelen = strlen(rule),
		.text = text, .textlen = strlen(text)
	};

	tell(l, &m);
}

static void
fail(struct ledger *l, const char *why)
{
	struct msg_searched	m = { .failed = true };

	l->simulation->state = SIMULATION_IDLE;
	if (l->simulation->top == NULL) {
		tell_text(l, SIMULATED_FAILED, "", why);
		return;
	}
	(void)strlcpy(m.reason, why, sizeof(m.reason));
	msg_searched_put(ledger_payload(l), &m);
	answer(l, MSG_SEARCHED);
}

static const char *
rule_name(const struct settings *s, size_t i)
{
	return s->nrules > 0 ? s->rules[i].name : "";
}

/* --- what to try --- */

/* False: it has been told why. */
static bool
read_settings(struct ledger *l, const struct msg_simulate *m)
{
	char	why[512];

	l->simulation->tried = simulation_settings(m->text, m->textlen, why,
	    sizeof(why));
	if (l->simulation->tried == NULL)
		fail(l, why);
	return l->simulation->tried != NULL;
}

static void
match_rule(struct simulation *sim, const struct settings *now, size_t i)
{
	struct simulation_rule	*r = &sim->rule[i];

	if (sim->tried == NULL)
		r->would = i;
	else if ((now->nrules == 0) != (sim->tried->nrules == 0))
		r->skipped = "one configuration has rules and the other none";
	else if (now->nrules > 0 && (r->would = simulation_rule_of(sim->tried,
	    now->rules[i].name)) == SIZE_MAX)
		r->skipped = "the other configuration has no such rule";
	else
		r->skipped = simulation_match(now, i, sim->tried, r->would);
}

/* Whether a rule in force has the rows of rule `would`. */
static bool
is_matched(const struct simulation *sim, size_t would)
{
	size_t	i;

	for (i = 0; i < sim->nrules; i++)
		if (sim->rule[i].would == would)
			return true;
	return false;
}

static void
match_rules(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	const struct settings	*tried = sim->tried;
	size_t			 i;

	sim->nrules = l->settings->nrules > 0 ? l->settings->nrules : 1;
	for (i = 0; i < sim->nrules; i++) {
		match_rule(sim, l->settings, i);
		if (sim->rule[i].skipped != NULL)
			tell_text(l, SIMULATED_SKIPPED, rule_name(l->settings,
			    i), sim->rule[i].skipped);
	}
	for (i = 0; tried != NULL && i < tried->nrules; i++)
		if (l->settings->nrules > 0 && !is_matched(sim, i))
			tell_text(l, SIMULATED_SKIPPED, tried->rules[i].name,
			    "no rule in force has this name, so there are no "
			    "rows");
}

/* --- reading --- */

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct simulation_id	*id = (const void *)node;

	return id->len == len && memcmp(id->id, key, len) == 0;
}

static struct simulation_id *
new_id(struct simulation *sim, const char *id, size_t len, size_t rule)
{
	struct simulation_id	*new = alloc_zero(1, sizeof(*new) + len + 1);

	new->rule = rule;
	new->len = len;
	memcpy(new->id, id, len);
	new->node.hash = map_hash(id, len);
	map_insert(sim->map, &new->node);
	if (sim->count == sim->size) {
		sim->size = sim->size > 0 ? 2 * sim->size : 1024;
		sim->list = alloc_resize(sim->list, sim->size,
		    sizeof(sim->list[0]));
	}
	sim->list[sim->count++] = new;
	sim->rule[rule].ids++;
	return new;
}

static void
add_row(struct simulation_id *id, int64_t date, int64_t amount)
{
	struct simulate_row	*row;

	if (id->n == id->size) {
		id->size = id->size > 0 ? 2 * id->size : 4;
		id->row = alloc_resize(id->row, id->size, sizeof(*row));
	}
	row = &id->row[id->n++];
	row->date = (uint32_t)date;
	row->amount = (int32_t)(amount > INT32_MAX ? INT32_MAX :
	    amount < -INT32_MAX ? -INT32_MAX : amount);
}

static void
on_row(void *arg, const char *id, size_t len, int64_t date, int64_t amount)
{
	struct ledger		*l = arg;
	struct simulation	*sim = l->simulation;
	struct simulation_id	*known;
	const char		*name;
	char			 folded[CHARGE_ID_MAX];
	size_t			 rule, was, n;

	sim->rows++;
	if (date < 0 || date > sim->newest ||
	    (rule = simulation_row_rule(l->settings, id, len, &was)) ==
	    SIZE_MAX ||
	    sim->rule[rule].skipped != NULL)
		return;
	/* Under the name that the rule has now. */
	name = rule_name(l->settings, rule);
	n = strlen(name) + (was > 0);
	if (n + len - was > sizeof(folded))
		return;
	if (n > 0)
		(void)snprintf(folded, sizeof(folded), "%s:", name);
	memcpy(folded + n, id + was, len - was);
	len = n + len - was;
	/* Other programs insert ids as they are. */
	if (l->settings->fold_case)
		str_fold(folded + n, len - n);
	if (sim->first == 0 || date < sim->first)
		sim->first = date;
	if (date > sim->last)
		sim->last = date;
	known = (void *)map_find(sim->map, map_hash(folded, len), folded, len);
	if (known == NULL)
		known = new_id(sim, folded, len, rule);
	add_row(known, date, amount);
}

static void
on_top_row(void *arg, const char *id, size_t len, int64_t date, int64_t amount)
{
	struct ledger		*l = arg;
	struct simulation	*sim = l->simulation;

	sim->rows++;
	if (sim->state == SIMULATION_READING &&
	    !top_rows_add(sim->top, id, len, date, amount))
		fail(l, "the counts of all ids take more memory than "
		    "memory_limit");
}

static void
progress(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	int64_t			 now = clock_mono().ns;

	if (sim->state == SIMULATION_IDLE || now - sim->told < PROGRESS_NS)
		return;
	sim->told = now;
	msg_number_put(ledger_payload(l), (uint64_t)sim->rows);
	answer(l, MSG_PROGRESS);
}

static void	begin_deciding(struct ledger *);

static void
read_rows(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	enum store_result	 result;
	int64_t			 now = clock_mono().ns;

	result = store_rows(l->store, ROWS_STEP, &sim->position,
	    sim->top != NULL ? on_top_row : on_row, l);
	if (sim->state != SIMULATION_READING)
		return;
	if (result == STORE_OK) {
		sim->failing = 0;
		if (sim->top != NULL) {
			if (sim->position == -1)
				sim->state = SIMULATION_LISTING;
		} else if (sim->rows > SIMULATION_ROWS_MAX)
			fail(l, "more than 20000000 rows are kept, which are "
			    "too many to try");
		else if (sim->position == -1)
			begin_deciding(l);
		return;
	}
	/* A cursor is lost with its transaction. */
	if (sim->failing == 0)
		sim->failing = now;
	if (result != STORE_BUSY || now - sim->failing >
	    l->settings->db_timeout * 1000000)
		fail(l, store_error(l->store));
}

/* --- deciding --- */

static const struct settings *
tried(const struct ledger *l)
{
	return l->simulation->tried != NULL ? l->simulation->tried :
	    l->settings;
}

static const struct limits *
rule_limits(const struct ledger *l, size_t rule)
{
	const struct settings	*s = tried(l);

	return s->nrules == 0 ? &s->limits :
	    &s->rules[l->simulation->rule[rule].would].limits;
}

/* Whether `exempt` of the other configuration has this login or address. */
static bool
is_exempt(const struct settings *s, size_t would, const char *id, size_t len)
{
	const struct settings_rule	*r;

	if (s->nrules == 0)
		return !s->limit_by_sender && ids_find(s->exempt, id, len);
	r = &s->rules[would];
	return r->nkey == 1 && (r->key[0] == KEY_SASL_USERNAME ||
	    r->key[0] == KEY_CLIENT_ADDRESS) && ids_find(s->exempt, id, len);
}

static void
decide_limits(const struct ledger *l, struct simulation_id *id)
{
	static const struct limits	 none;
	const struct settings		*s = tried(l);
	const struct limits		*limits;
	size_t				 would, bare = 0;

	would = l->simulation->rule[id->rule].would;
	if (s->nrules > 0)
		bare = strlen(rule_name(l->settings, id->rule)) + 1;
	limits = settings_id_limits(s->nrules > 0 ?
	    s->rules[would].limits_by_id : s->limits_by_id, id->id + bare,
	    id->len - bare);
	if (limits == NULL)
		limits = rule_limits(l, id->rule);
	if (is_exempt(s, would, id->id + bare, id->len - bare))
		limits = &none;
	simulate_limits(id->row, id->n, limits, &id->result);
}

static void
decide_peaks(const struct ledger *l, const struct simulation_id *id)
{
	struct simulation_rule	*r = &l->simulation->rule[id->rule];
	const struct limits	*limits = rule_limits(l, id->rule);
	size_t			 i;

	for (i = 0; i < limits->count; i++)
		r->peak[i * r->ids + r->npeak] = simulate_peak(id->row, id->n,
		    limits->list[i].seconds);
	r->npeak++;
}

static void
begin_deciding(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	size_t			 i, windows;

	sim->state = SIMULATION_DECIDING;
	for (i = 0; i < sim->nrules && sim->tried == NULL; i++) {
		windows = rule_limits(l, i)->count;
		sim->rule[i].peak = alloc_zero(sim->rule[i].ids * windows + 1,
		    sizeof(int64_t));
	}
}

/* --- the result --- */

static int
by_number(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* By rule, and the ids with most refused mails first. */
static int
by_refused(const void *a, const void *b)
{
	const struct simulation_id	*const *x = a, *const *y = b;

	if ((*x)->rule != (*y)->rule)
		return (*x)->rule < (*y)->rule ? -1 : 1;
	if ((*x)->result.refused != (*y)->result.refused)
		return (*x)->result.refused > (*y)->result.refused ? -1 : 1;
	return strcmp((*x)->id, (*y)->id);
}

static void
tell_id(struct ledger *l, const char *rule, const struct simulation_id *id)
{
	struct msg_simulated	m = { .kind = SIMULATED_ID, .rule = rule,
				    .text = id->id, .textlen = id->len };

	m.rulelen = strlen(rule);
	m.number[0] = id->result.refused;
	m.number[1] = id->result.total;
	m.number[2] = id->result.first;
	m.number[3] = id->result.limit.mails;
	m.number[4] = id->result.limit.seconds;
	tell(l, &m);
}

/* `from`: its ids in the list. */
static void
tell_rule(struct ledger *l, size_t rule, size_t from)
{
	struct simulation	*sim = l->simulation;
	const char		*name = rule_name(l->settings, rule);
	const struct simulation_id *id;
	struct msg_simulated	 m = { .kind = SIMULATED_RULE, .rule = name,
				    .text = "" };
	size_t			 i, end = from + sim->rule[rule].ids;

	m.rulelen = strlen(name);
	m.number[0] = (int64_t)sim->rule[rule].ids;
	for (i = from; i < end; i++) {
		id = sim->list[i];
		if (id->result.refusals == 0)
			break;
		m.number[1]++;
		m.number[2] = num_add_clamp(m.number[2], id->result.refused);
		if (m.number[3] == 0 || id->result.first < m.number[3])
			m.number[3] = id->result.first;
	}
	tell(l, &m);
	for (i = from; i < end && i < from + sim->k; i++)
		if (sim->list[i]->result.refusals > 0)
			tell_id(l, name, sim->list[i]);
}

static void
tell_window(struct ledger *l, size_t rule, const struct limit *limit,
    int64_t *peak)
{
	struct simulation_rule	*r = &l->simulation->rule[rule];
	const char		*name = rule_name(l->settings, rule);
	struct msg_simulated	 m = { .kind = SIMULATED_WINDOW, .rule = name,
				    .text = "" };
	size_t			 k = l->simulation->k, i;

	if (r->ids == 0)
		return;
	qsort(peak, r->ids, sizeof(*peak), by_number);
	m.rulelen = strlen(name);
	m.number[0] = limit->seconds;
	m.number[1] = limit->mails;
	m.number[2] = simulate_quantile(peak, r->ids, 50, 100);
	m.number[3] = simulate_quantile(peak, r->ids, 99, 100);
	m.number[4] = peak[r->ids - 1];
	/* The least limit that no more than k ids exceed. */
	m.number[5] = k < r->ids ? peak[r->ids - 1 - k] : 0;
	for (i = r->ids; i > 0 && peak[i - 1] > m.number[5]; i--)
		m.number[6]++;
	m.number[7] = (int64_t)r->ids;
	tell(l, &m);
}

static void
tell_results(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	const struct limits	*limits;
	struct msg_simulated	 m = { .kind = SIMULATED_SPAN, .rule = "",
				    .text = "" };
	size_t			 i, j, from = 0;

	m.number[0] = sim->rows;
	m.number[1] = (int64_t)sim->count;
	m.number[2] = sim->first;
	m.number[3] = sim->last;
	tell(l, &m);
	if (sim->tried != NULL && sim->count > 0)
		qsort(sim->list, sim->count, sizeof(sim->list[0]), by_refused);
	for (i = 0; i < sim->nrules; i++) {
		if (sim->rule[i].skipped != NULL)
			continue;
		limits = rule_limits(l, i);
		if (sim->tried != NULL)
			tell_rule(l, i, from);
		for (j = 0; sim->tried == NULL && j < limits->count; j++)
			tell_window(l, i, &limits->list[j],
			    sim->rule[i].peak + j * sim->rule[i].ids);
		from += sim->rule[i].ids;
	}
	tell_text(l, SIMULATED_DONE, "", "");
	sim->state = SIMULATION_IDLE;
}

/* Decides on some ids. */
static void
decide_some(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	struct simulation_id	*id;
	size_t			 rows = 0;

	while (sim->at < sim->count && rows < ROWS_STEP) {
		id = sim->list[sim->at++];
		rows += id->n + 1;
		simulate_sort(id->row, id->n);
		if (sim->tried != NULL)
			decide_limits(l, id);
		else
			decide_peaks(l, id);
		free(id->row);
		id->row = NULL;
	}
	if (sim->at == sim->count)
		tell_results(l);
}

/* Lists some ids. */
static void
list_some(struct ledger *l)
{
	const struct msg_topped	*told;

	if (top_rows_list(l->simulation->top, &told) == STORE_LOST) {
		fail(l, store_error(l->store));
		return;
	}
	if (told == NULL)
		return;
	msg_topped_put(ledger_payload(l), told);
	answer(l, MSG_TOPPED);
	l->simulation->state = SIMULATION_IDLE;
}

/* --- the loop --- */

struct channel *
simulation_channel(const struct simulation *sim)
{
	return sim == NULL ? NULL : sim->engine;
}

int
simulation_begin(struct ledger *l, const struct message *m)
{
	if (m->fd == -1 || l->simulation != NULL || l->engine != NULL)
		return -1;
	l->simulation = alloc_zero(1, sizeof(*l->simulation));
	l->simulation->engine = channel_new(m->fd, ROLE_LEDGER, ROLE_ENGINE);
	return 0;
}

static int
begin_try(struct ledger *l, const struct message *m)
{
	struct simulation	*sim = l->simulation;
	struct msg_simulate	 wanted;

	if (msg_simulate_get(&wanted, m->payload, m->len) == -1)
		return -1;
	sim->map = map_new(same_id);
	sim->k = wanted.k;
	sim->newest = clock_wall() + WINDOW_AHEAD;
	if (wanted.textlen > 0 && !read_settings(l, &wanted))
		return 0;
	match_rules(l);
	sim->state = SIMULATION_READING;
	return 0;
}

static int
begin_top(struct ledger *l, const struct message *m)
{
	l->simulation->top = top_rows_new(l, m->payload, m->len);
	if (l->simulation->top == NULL)
		return -1;
	l->simulation->state = SIMULATION_READING;
	return 0;
}

int
simulation_on_engine(struct ledger *l, const struct message *m)
{
	struct simulation	*sim = l->simulation;

	if (sim->map != NULL || sim->top != NULL)
		return -1;
	sim->told = clock_mono().ns;
	if (m->type == MSG_SIMULATE)
		return begin_try(l, m);
	return m->type == MSG_TOP ? begin_top(l, m) : -1;
}

void
simulation_step(struct ledger *l)
{
	struct simulation	*sim = l->simulation;
	int64_t			 now = clock_mono().ns, took;

	if (sim == NULL || sim->state == SIMULATION_IDLE || now < sim->next)
		return;
	if (sim->state == SIMULATION_READING)
		read_rows(l);
	else if (sim->state == SIMULATION_LISTING)
		list_some(l);
	else
		decide_some(l);
	progress(l);
	took = clock_mono().ns - now;
	sim->next = now + took + (took > REST_NS ? took : REST_NS);
}

int
simulation_wait(const struct simulation *sim)
{
	struct mono	next;

	if (sim == NULL || sim->state == SIMULATION_IDLE)
		return -1;
	next.ns = sim->next;
	return clock_left(next, clock_mono());
}
