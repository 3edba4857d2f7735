#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ids.h"
#include "conf/stored_id.h"
#include "conf/syntax/literal.h"
#include "conf/table.h"
#include "decision/simulate.h"
#include "ipc/message_simulate.h"
#include "ledger/ledger.h"
#include "ledger/try_rows.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/num.h"
#include "lib/window.h"

#define ROWS_STEP	2000	/* rows, and ids, that are decided on at once */
#define ROWS_MAX	20000000

/* An id and its rows. */
struct try_id {
	struct map_node		 node;
	struct simulate_row	*row;
	uint32_t		 n;
	uint32_t		 size;
	size_t			 rule;
	struct simulate_result	 result;
	size_t			 len;
	char			 id[];		/* as it is stored */
};

/* A rule in force, and what was found for it. */
struct try_rule {
	size_t		 would;		/* the one to try */
	const char	*skipped;	/* NULL, or why it is not tried */
	size_t		 ids;
	int64_t		*peak;		/* for each window, `ids` numbers */
	size_t		 npeak;		/* so far, of each */
};

struct try_rows {
	struct inquiry		 inquiry;	/* first */
	const struct settings	*now;		/* in force */
	struct settings		*tried;		/* NULL: the running ones */
	uint32_t		 k;
	struct try_rule		 rule[RULES_MAX];
	size_t			 nrules;	/* 1 without rules */
	struct map		*map;
	struct try_id		**list;
	size_t			 count;
	size_t			 size;
	size_t			 at;		/* decided so far */
	int64_t			 first;
	int64_t			 last;
	int64_t			 newest;	/* later ones are not counted */
	char			 why[512];	/* settings cannot be tried */
};

static int
same_id(const struct map_node *node, const void *key, size_t len)
{
	const struct try_id	*id = (const void *)node;

	return id->len == len && memcmp(id->id, key, len) == 0;
}

/* --- answers --- */

static void
reply(struct try_rows *t, const struct msg_simulated *m)
{
	struct ledger	*l = t->inquiry.ledger;

	msg_simulated_put(ledger_payload(l), m);
	ledger_answer(l, MSG_SIMULATED, t->inquiry.request);
}

static void
reply_text(struct try_rows *t, enum simulated_kind kind, const char *rule,
    const char *text)
{
	const struct msg_simulated	m = {
		.kind = (uint8_t)kind, .rule = rule, .rulelen = strlen(rule),
		.text = text, .textlen = strlen(text)
	};

	reply(t, &m);
}

static void
fail_with(struct inquiry *q, const char *why)
{
	reply_text((struct try_rows *)q, SIMULATED_FAILED, "", why);
}

static const char *
rule_name(const struct settings *s, size_t i)
{
	return s->nrules > 0 ? s->rules[i].name : "";
}

/* --- what to try --- */

static bool
match_networks(const struct settings_networks *a,
    const struct settings_networks *b)
{
	size_t	i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (a->list[i].prefix != b->list[i].prefix ||
		    a->list[i].addr.bits != b->list[i].addr.bits ||
		    memcmp(a->list[i].addr.byte, b->list[i].addr.byte,
		    a->list[i].addr.bits / 8) != 0)
			return false;
	return true;
}

static bool
match_lists(const struct settings_match *a, const struct settings_match *b)
{
	size_t	i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (a->list[i].attr != b->list[i].attr ||
		    !ids_equal(a->list[i].ids, b->list[i].ids))
			return false;
	return true;
}

static const char *
match_rule(const struct settings_rule *is, const struct settings_rule *would)
{
	size_t	i;

	if (is->nkey != would->nkey)
		return "it has another key";
	for (i = 0; i < is->nkey; i++)
		if (is->key[i] != would->key[i])
			return "it has another key";
	if ((is->id_sql == NULL) != (would->id_sql == NULL))
		return "its ids are mapped in another way";
	if (is->count != would->count)
		return "it counts something else";
	if (is->count != RULE_RECIPIENTS && is->count != RULE_MESSAGES &&
	    is->count != RULE_BYTES)
		return "only recipients, messages and bytes can be tried";
	if (is->ipv4_prefix != would->ipv4_prefix ||
	    is->ipv6_prefix != would->ipv6_prefix)
		return "it counts networks of another length";
	if (is->unless != would->unless ||
	    !match_networks(&is->networks, &would->networks) ||
	    !match_lists(&is->only, &would->only) ||
	    !match_lists(&is->except, &would->except))
		return "it applies to other requests";
	return NULL;
}

/*
 * Why rows that were recorded by rule `is` of `now` do not say what rule
 * `would` of `tried` had done, or NULL: only limits may differ, not what is
 * counted. Without rules both indexes are 0.
 */
static const char *
match(const struct settings *now, size_t is,
    const struct settings *tried, size_t would)
{
	if (now->fold_case != tried->fold_case ||
	    strcmp(now->recipient_delimiter, tried->recipient_delimiter) != 0 ||
	    strcmp(now->default_domain, tried->default_domain) != 0)
		return "ids are folded in another way";
	if (now->count_mode != tried->count_mode)
		return "count_mode is another";
	if (now->nrules > 0)
		return match_rule(&now->rules[is], &tried->rules[would]);
	if (now->limit_by_sasl != tried->limit_by_sasl ||
	    now->limit_by_sender != tried->limit_by_sender ||
	    now->limit_by_ip != tried->limit_by_ip ||
	    !match_networks(&now->limited_networks, &tried->limited_networks))
		return "it counts by other identities";
	if (now->ipv4_prefix != tried->ipv4_prefix ||
	    now->ipv6_prefix != tried->ipv6_prefix)
		return "it counts networks of another length";
	return NULL;
}

/*
 * Reads statements of those settings that say what counts and what is limited;
 * NULL with a printable reason: others, or malformed ones.
 */
static struct settings *
tried_settings(const char *text, size_t len, char *why, size_t size)
{
	struct settings	*s = NULL;
	struct faults	 faults;
	struct value	*dict;
	size_t		 i, row;

	fault_init(&faults, "the settings");
	dict = literal_file(text, len, &faults);
	for (i = 0; i < dict->count; i += 2) {
		row = dict->items[i]->type != VALUE_STR ? SIZE_MAX :
		    table_find(dict->items[i]->bytes);
		if (row == SIZE_MAX ||
		    (table_row(row)->flags & TABLE_TRIED) == 0)
			fault_error(&faults, 0, 0, "a setting is not tried");
	}
	if (faults.errors == 0)
		s = settings_adopt(dict, &faults);
	else
		value_free(dict);
	if (faults.errors > 0) {
		settings_free(s);
		s = NULL;
		fault_sort(&faults);
		fault_print(&faults, 0, why, size);
	}
	fault_clear(&faults);
	return s;
}

/* Matches the rules in force with those to try, and tells what is skipped. */
static void
match_rules(struct try_rows *t)
{
	const struct settings		*now = t->now, *tried = t->tried;
	const struct settings_rule	*would;
	struct try_rule			*r;
	char				 id[256];
	bool				 matched[RULES_MAX] = { false };
	size_t				 i;
	int				 len;

	t->nrules = now->nrules > 0 ? now->nrules : 1;
	for (i = 0; i < t->nrules; i++) {
		r = &t->rule[i];
		if (tried == NULL) {
			r->would = i;
			continue;
		}
		/* The rule that has this name, or had it earlier. */
		len = snprintf(id, sizeof(id), "%s:", rule_name(now, i));
		would = stored_id_rule(tried, id, (size_t)len);
		if ((now->nrules == 0) != (tried->nrules == 0))
			r->skipped = "one configuration has rules and the "
			    "other none";
		else if (now->nrules > 0 && would == NULL)
			r->skipped = "the other configuration has no such "
			    "rule";
		else {
			r->would = would == NULL ? 0 :
			    (size_t)(would - tried->rules);
			r->skipped = match(now, i, tried, r->would);
			matched[r->would] = true;
		}
		if (r->skipped != NULL)
			reply_text(t, SIMULATED_SKIPPED, rule_name(now, i),
			    r->skipped);
	}
	for (i = 0; tried != NULL && i < tried->nrules; i++)
		if (now->nrules > 0 && !matched[i])
			reply_text(t, SIMULATED_SKIPPED, tried->rules[i].name,
			    "no rule in force has this name, so there are no "
			    "rows");
}

/* --- the rows --- */

static struct try_id *
new_id(struct try_rows *t, const char *id, size_t len, size_t rule)
{
	struct try_id	*new = alloc_zero(1, sizeof(*new) + len + 1);

	new->rule = rule;
	new->len = len;
	memcpy(new->id, id, len);
	new->node.hash = map_hash(id, len);
	map_insert(t->map, &new->node);
	t->list = alloc_room(t->list, t->count, &t->size, sizeof(t->list[0]));
	t->list[t->count++] = new;
	t->rule[rule].ids++;
	return new;
}

static void
add_row(void *arg, const char *id, size_t len, int64_t date, int64_t amount)
{
	struct try_rows			*t = arg;
	const struct settings		*now = t->now;
	const struct settings_rule	*of = stored_id_rule(now, id, len);
	struct try_id			*known;
	const char			*name;
	char				 folded[CHARGE_ID_MAX];
	size_t				 rule = 0, was = 0, n;

	if (++t->inquiry.rows > ROWS_MAX) {
		t->inquiry.why = "more than 20000000 rows are kept, which are "
		    "too many to try";
		return;
	}
	if (of != NULL) {
		rule = (size_t)(of - now->rules);
		was = stored_id_bare(id, len);
	}
	if (date < 0 || date > t->newest || (of == NULL && now->nrules > 0) ||
	    t->rule[rule].skipped != NULL)
		return;
	/* Under the name that the rule has now. */
	name = rule_name(now, rule);
	n = strlen(name) + (was > 0);
	if (n + len - was > sizeof(folded))
		return;
	if (n > 0)
		(void)snprintf(folded, sizeof(folded), "%s:", name);
	memcpy(folded + n, id + was, len - was);
	len = n + len - was;
	/* Other programs insert ids as they are. */
	if (now->fold_case)
		str_fold(folded + n, len - n);
	if (t->first == 0 || date < t->first)
		t->first = date;
	if (date > t->last)
		t->last = date;
	known = (void *)map_find(t->map, map_hash(folded, len), folded, len);
	if (known == NULL)
		known = new_id(t, folded, len, rule);
	if (known->n == known->size) {
		known->size = known->size > 0 ? 2 * known->size : 4;
		known->row = alloc_resize(known->row, known->size,
		    sizeof(known->row[0]));
	}
	known->row[known->n].date = (uint32_t)date;
	known->row[known->n++].amount = (int32_t)(amount > INT32_MAX ?
	    INT32_MAX : amount < -INT32_MAX ? -INT32_MAX : amount);
}

/* --- deciding --- */

static const struct settings *
tried(const struct try_rows *t)
{
	return t->tried != NULL ? t->tried : t->now;
}

static const struct limits *
rule_limits(const struct try_rows *t, size_t rule)
{
	const struct settings	*s = tried(t);

	return s->nrules == 0 ? &s->limits :
	    &s->rules[t->rule[rule].would].limits;
}

static void
decide_limits(const struct try_rows *t, struct try_id *id)
{
	static const struct limits	 none;
	const struct settings		*s = tried(t);
	const struct settings_rule	*r = s->rules;
	const struct limits		*limits;
	const char			*value = id->id;
	size_t				 len;
	bool				 exempt;

	if (s->nrules > 0) {
		value += strlen(rule_name(t->now, id->rule)) + 1;
		r += t->rule[id->rule].would;
	}
	len = id->len - (size_t)(value - id->id);
	limits = settings_id_limits(s->nrules > 0 ? r->limits_by_id :
	    s->limits_by_id, value, len);
	if (limits == NULL)
		limits = rule_limits(t, id->rule);
	/* Whether the other configuration exempts this login or address. */
	exempt = s->nrules == 0 ? !s->limit_by_sender : r->nkey == 1 &&
	    (r->key[0] == KEY_SASL_USERNAME ||
	    r->key[0] == KEY_CLIENT_ADDRESS);
	if (exempt && ids_find(s->exempt, value, len))
		limits = &none;
	simulate_limits(id->row, id->n, limits, &id->result);
}

/* --- the result --- */

static int
by_number(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Orders by rule, and then by refused mails, most first. */
static int
by_refused(const void *a, const void *b)
{
	const struct try_id	*const *x = a, *const *y = b;

	if ((*x)->rule != (*y)->rule)
		return (*x)->rule < (*y)->rule ? -1 : 1;
	if ((*x)->result.refused != (*y)->result.refused)
		return (*x)->result.refused > (*y)->result.refused ? -1 : 1;
	return strcmp((*x)->id, (*y)->id);
}

/* Sends the results of a rule, whose ids begin at `from` in the list. */
static void
reply_rule(struct try_rows *t, size_t rule, size_t from)
{
	const char		*name = rule_name(t->now, rule);
	const struct try_id	*id;
	struct msg_simulated	 m = { .kind = SIMULATED_RULE, .rule = name,
				    .text = "" };
	size_t			 i, end = from + t->rule[rule].ids;

	m.rulelen = strlen(name);
	m.number[0] = (int64_t)t->rule[rule].ids;
	for (i = from; i < end; i++) {
		id = t->list[i];
		if (id->result.refusals == 0)
			break;
		m.number[1]++;
		m.number[2] = num_add_clamp(m.number[2], id->result.refused);
		if (m.number[3] == 0 || id->result.first < m.number[3])
			m.number[3] = id->result.first;
	}
	reply(t, &m);
	for (i = from; i < end && i < from + t->k; i++) {
		id = t->list[i];
		if (id->result.refusals == 0)
			continue;
		m.kind = SIMULATED_ID;
		m.text = id->id;
		m.textlen = id->len;
		m.number[0] = id->result.refused;
		m.number[1] = id->result.total;
		m.number[2] = id->result.first;
		m.number[3] = id->result.limit.mails;
		m.number[4] = id->result.limit.seconds;
		reply(t, &m);
	}
}

static void
reply_window(struct try_rows *t, size_t rule, const struct limit *limit,
    int64_t *peak)
{
	struct try_rule		*r = &t->rule[rule];
	const char		*name = rule_name(t->now, rule);
	struct msg_simulated	 m = { .kind = SIMULATED_WINDOW, .rule = name,
				    .text = "" };
	size_t			 k = t->k, i;

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
	reply(t, &m);
}

static void
reply_results(struct try_rows *t)
{
	const struct limits	*limits;
	struct msg_simulated	 m = { .kind = SIMULATED_SPAN, .rule = "",
				    .text = "" };
	size_t			 i, j, from = 0;

	m.number[0] = t->inquiry.rows;
	m.number[1] = (int64_t)t->count;
	m.number[2] = t->first;
	m.number[3] = t->last;
	reply(t, &m);
	if (t->tried != NULL && t->count > 0)
		qsort(t->list, t->count, sizeof(t->list[0]), by_refused);
	for (i = 0; i < t->nrules; i++) {
		if (t->rule[i].skipped != NULL)
			continue;
		limits = rule_limits(t, i);
		if (t->tried != NULL)
			reply_rule(t, i, from);
		for (j = 0; t->tried == NULL && j < limits->count; j++)
			reply_window(t, i, &limits->list[j],
			    t->rule[i].peak + j * t->rule[i].ids);
		from += t->rule[i].ids;
	}
	reply_text(t, SIMULATED_DONE, "", "");
}

/* Reads rows; after the last one decides on the next ids. */
static enum store_result
step(struct inquiry *q)
{
	struct try_rows		*t = (struct try_rows *)q;
	const struct limits	*limits;
	struct try_rule		*r;
	struct try_id		*id;
	size_t			 rows = 0, i;

	if (q->why != NULL)
		return STORE_FAILED;
	if (q->position != -1)
		return inquiry_rows(q, add_row);
	for (i = 0; i < t->nrules && t->tried == NULL && t->at == 0; i++) {
		r = &t->rule[i];
		r->peak = alloc_zero(r->ids * rule_limits(t, i)->count + 1,
		    sizeof(int64_t));
	}
	while (t->at < t->count && rows < ROWS_STEP) {
		id = t->list[t->at++];
		rows += id->n + 1;
		simulate_sort(id->row, id->n);
		if (t->tried != NULL)
			decide_limits(t, id);
		else {
			r = &t->rule[id->rule];
			limits = rule_limits(t, id->rule);
			for (i = 0; i < limits->count; i++)
				r->peak[i * r->ids + r->npeak] = simulate_peak(
				    id->row, id->n, limits->list[i].seconds);
			r->npeak++;
		}
		free(id->row);
		id->row = NULL;
	}
	if (t->at == t->count) {
		reply_results(t);
		q->answered = true;
	}
	return STORE_OK;
}

int
try_rows_on_simulate(struct ledger *l, const struct message *m)
{
	struct inquiry		*q = inquiry_new(l, m, sizeof(struct try_rows),
				    step);
	struct try_rows		*t = (struct try_rows *)q;
	struct msg_simulate	 wanted;

	if (q == NULL || msg_simulate_get(&wanted, q->payload, q->len) == -1)
		return -1;
	q->fail = fail_with;
	t->now = l->settings;
	t->map = map_new(same_id);
	t->k = wanted.most_ids;
	t->newest = clock_wall() + WINDOW_SKEW;
	if (wanted.textlen == 0 || (t->tried = tried_settings(wanted.text,
	    wanted.textlen, t->why, sizeof(t->why))) != NULL)
		match_rules(t);
	else
		q->why = t->why;
	return 0;
}
