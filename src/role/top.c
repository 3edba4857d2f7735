#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/stored_id.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "role/tally.h"
#include "role/top.h"

struct top {
	struct msg_topped	*answer;
	const struct msg_top	*wanted;
	size_t			 most;
	const struct top_source	*source;
	const struct settings	*settings;
	int64_t			 now;
	struct tally		*tally;		/* with `domain` */
	int64_t			 longest;	/* of what was summed */
};

/* A limit of 0 is full as soon as anything is used. */
static double
rank_of(const struct top *t, const struct msg_top_id *id)
{
	if (t->wanted->by == TOP_BY_USED || id->limit.mails == 0)
		return (double)id->used;
	return (double)id->used / (double)id->limit.mails;
}

/* The list is sorted and short: inserts by moving the entries behind. */
static void
keep(struct top *t, const struct msg_top_id *id)
{
	struct msg_topped	*answer = t->answer;
	double			 rank = rank_of(t, id);
	size_t			 low = 0, high = answer->count, middle;

	if (answer->count == t->most &&
	    (t->most == 0 || rank <= rank_of(t,
	    &answer->ids[answer->count - 1])))
		return;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (rank_of(t, &answer->ids[middle]) >= rank)
			low = middle + 1;
		else
			high = middle;
	}
	if (answer->count < t->most)
		answer->count++;
	memmove(&answer->ids[low + 1], &answer->ids[low],
	    (answer->count - 1 - low) * sizeof(answer->ids[0]));
	answer->ids[low] = *id;
}

/* Sums one window: the one that is wanted, or the longest. */
static void
sum_window(struct top *t, const struct settings_rule *rule,
    const struct limits *limits, const char *id, size_t idlen,
    const struct window *window)
{
	int64_t	seconds = t->wanted->seconds, used;

	if (seconds == 0)
		seconds = window_longest(limits, 0);
	if (seconds == 0 || (used = window_used(window, seconds, t->now)) <= 0)
		return;
	if (seconds > t->longest)
		t->longest = seconds;
	tally_add(t->tally, id, idlen, rule != NULL ? stored_id_bare(id,
	    idlen) : 0, true, used, rule != NULL && rule->shadow);
}

static void
look(struct top *t, const struct settings_rule *rule, const char *id,
    size_t idlen, const struct window *window)
{
	struct msg_top_id	 best, this;
	const struct msg_top	*wanted = t->wanted;
	const struct limits	*limits;
	struct limits		 one = { 1, NULL };
	int64_t			 granted;
	size_t			 i;

	/*
	 * With rules, an id of none was counted by earlier settings, or counts
	 * mails that passed a lock.
	 */
	if (rule == NULL && (t->settings->nrules > 0 || wanted->rulelen > 0))
		return;
	if (wanted->rulelen > 0 && (strlen(rule->name) != wanted->rulelen ||
	    memcmp(rule->name, wanted->rule, wanted->rulelen) != 0))
		return;
	granted = t->source->granted(t->source->arg, id, idlen);
	limits = t->source->sql == NULL ? NULL :
	    t->source->sql(t->source->arg, rule, id, idlen);
	limits = stored_id_limits(t->settings, limits, rule, id, idlen);
	if (t->tally != NULL) {
		sum_window(t, rule, limits, id, idlen, window);
		return;
	}
	memset(&best, 0, sizeof(best));
	this.id = id;
	this.idlen = idlen;
	this.retry_after = 0;
	this.shadow = rule != NULL && rule->shadow;
	for (i = 0; i < limits->count; i++) {
		this.limit = limits->list[i];
		if (wanted->seconds != 0 &&
		    wanted->seconds != this.limit.seconds)
			continue;
		this.limit.mails = num_add_clamp(this.limit.mails, granted);
		this.used = window_used(window, this.limit.seconds, t->now);
		if (this.used > 0 && (best.id == NULL ||
		    rank_of(t, &this) > rank_of(t, &best)))
			best = this;
	}
	if (best.id == NULL)
		return;
	t->answer->total++;
	one.list = &best.limit;
	best.retry_after = window_retry_after(window, &one, 1, t->now);
	keep(t, &best);
}

/* The counts of an id under another name of its rule. */
static const struct window *
counts_named(const struct top *t, const char *name, const char *id,
    size_t idlen)
{
	char	other[2 * CHARGE_ID_MAX];
	size_t	bare = stored_id_bare(id, idlen);
	int	n;

	n = snprintf(other, sizeof(other), "%s:%.*s", name,
	    (int)(idlen - bare), id + bare);
	return (size_t)n >= sizeof(other) ? NULL :
	    t->source->counts(t->source->arg, other, (size_t)n);
}

static void
add_second(void *arg, int64_t when, int64_t amount)
{
	window_add(arg, when, amount);
}

void
top_on_id(void *arg, const char *id, size_t idlen, const struct window *window)
{
	struct top		*t = arg;
	const struct settings_rule *rule = stored_id_rule(t->settings, id,
	    idlen);
	const struct window	*other;
	struct window		 sum;
	size_t			 i;

	if (rule == NULL || rule->nwas == 0) {
		look(t, rule, id, idlen, window);
		return;
	}
	if (stored_id_was(rule, id, idlen) &&
	    counts_named(t, rule->name, id, idlen) != NULL)
		return;
	window_init(&sum);
	window_each(window, add_second, &sum);
	for (i = 0; i < rule->nwas && !stored_id_was(rule, id, idlen); i++)
		if ((other = counts_named(t, rule->was[i], id, idlen)) != NULL)
			window_each(other, add_second, &sum);
	look(t, rule, id, idlen, &sum);
	window_clear(&sum);
}

struct top *
top_new(struct msg_topped *answer, const struct msg_top *wanted,
    const struct top_source *source, const struct settings *settings,
    int64_t now)
{
	struct top	*t = alloc_zero(1, sizeof(*t));

	t->answer = answer;
	t->wanted = wanted;
	t->most = wanted->n < TOP_MAX ? wanted->n : TOP_MAX;
	t->source = source;
	t->settings = settings;
	t->now = now;
	t->tally = wanted->domain ? tally_new() : NULL;
	t->longest = 1;
	answer->by = wanted->by;
	answer->domain = wanted->domain;
	answer->count = 0;
	answer->total = 0;
	return t;
}

void
top_end(struct top *t)
{
	if (t->tally != NULL)
		tally_top(t->tally, t->answer, t->most, t->longest);
}

void
top_free(struct top *t)
{
	if (t == NULL)
		return;
	tally_free(t->tally);
	free(t);
}
