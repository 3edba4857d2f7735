#include <string.h>

#include "conf/stored_id.h"
#include "ledger/ledger.h"
#include "ledger/top_rows.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/num.h"

#define IDS_STEP	500	/* ids, and so queries of limits, in a step */

struct top_rows {
	struct inquiry		  inquiry;	/* first */
	struct msg_top		  wanted;	/* points to the payload */
	int64_t			  since;	/* older rows count nowhere */
	int64_t			  now;
	struct cache_id		**list;		/* none is evicted */
	size_t			  count;
	size_t			  size;
	size_t			  at;		/* listed so far */
	struct top_source	  source;
	struct top		 *top;		/* NULL: not begun */
	struct msg_topped	  topped;
};

static const struct window *
window_of(void *arg, const char *id, size_t idlen)
{
	const struct ledger	*l = arg;

	return cache_peek(l->cache, id, idlen);
}

static const struct limits *
sql_limits(void *arg, const struct settings_rule *rule, const char *id,
    size_t idlen)
{
	const struct ledger	*l = arg;

	return lookup_limits(l->limits, rule, id, idlen);
}

static int64_t
grant_of(void *arg, const char *id, size_t idlen)
{
	const struct ledger	*l = arg;

	return override_granted(l->batch->overrides->list, id,
	    idlen, clock_wall());
}

struct top_source
top_rows_source(struct ledger *l)
{
	const struct top_source	source = { window_of, sql_limits,
				    grant_of, l };

	return source;
}

static void
add_row(void *arg, const char *id, size_t idlen, int64_t date, int64_t amount)
{
	struct top_rows			*t = arg;
	struct ledger			*l = t->inquiry.ledger;
	const struct settings_rule	*rule;
	struct store_row		 row = { .date = date,
					    .amount = amount, .instance = "",
					    .state = "" };
	struct cache_id			*known;
	char				 folded[ID_STORED_MAX];
	size_t				 bare = 0;
	bool				 first;

	t->inquiry.rows++;
	if (t->inquiry.why != NULL || date < t->since ||
	    date > num_add_clamp(t->now, WINDOW_SKEW) || idlen > sizeof(folded))
		return;
	rule = stored_id_rule(l->settings, id, idlen);
	/* Earlier settings counted it, or it passed a lock. */
	if (rule == NULL && l->settings->nrules > 0)
		return;
	if (rule != NULL)
		bare = stored_id_bare(id, idlen);
	memcpy(folded, id, idlen);
	/* Other programs insert ids as they are. */
	if (l->settings->fold_case)
		str_fold(folded + bare, idlen - bare);
	known = cache_touch(l->cache, map_hash(folded, idlen), folded, idlen,
	    &first);
	if (!cache_loaded(known)) {
		cache_complete(known);
		t->list = alloc_room(t->list, t->count, &t->size,
		    sizeof(t->list[0]));
		t->list[t->count++] = known;
	}
	cache_first(l->cache, known, &row);
	if (cache_bytes(l->cache) > (size_t)l->settings->memory_limit)
		t->inquiry.why = "the counts of all ids take more memory than "
		    "memory_limit";
}

/* Reads rows; after the last one lists the next ids, with limits by SQL. */
static enum store_result
step(struct inquiry *q)
{
	struct top_rows			*t = (struct top_rows *)q;
	struct ledger			*l = q->ledger;
	const struct settings		*s = l->settings;
	const struct settings_rule	*rule;
	const struct cache_id		*id;
	size_t				 end, i;

	if (q->position != -1)
		return inquiry_rows(q, add_row);
	if (t->top == NULL) {
		/* Grants belong to the limits. */
		if (override_table_refresh(l->batch->overrides,
		    l->store, clock_wall(), clock_mono()) == STORE_LOST)
			return STORE_LOST;
		t->source = top_rows_source(l);
		t->top = top_new(&t->topped, &t->wanted, &t->source, s,
		    clock_wall());
	}
	end = t->count - t->at > IDS_STEP ? t->at + IDS_STEP : t->count;
	lookup_batch(l->limits, clock_mono());
	for (i = t->at; i < end && lookup_used(l->limits); i++) {
		id = t->list[i];
		rule = stored_id_rule(s, id->id, id->idlen);
		if (rule == NULL || !stored_id_was(rule, id->id, id->idlen))
			(void)lookup_get(l->limits, rule == NULL ? 0 :
			    (uint16_t)(rule - s->rules), id->id, id->idlen);
	}
	if (lookup_ask(l->limits, l->store) == STORE_LOST)
		return STORE_LOST;
	for (; t->at < end; t->at++) {
		id = t->list[t->at];
		top_on_id(t->top, id->id, id->idlen, &id->window);
	}
	if (t->at == t->count) {
		top_end(t->top);
		msg_topped_put(ledger_payload(l), &t->topped);
		ledger_answer(l, MSG_TOPPED, q->request);
		q->answered = true;
	}
	return STORE_OK;
}

int
top_rows_on_top(struct ledger *l, const struct message *m)
{
	struct inquiry	*q = inquiry_new(l, m, sizeof(struct top_rows),
			    step);
	struct top_rows	*t = (struct top_rows *)q;
	int64_t		 longest = settings_longest_window(l->settings);

	if (q == NULL || msg_top_get(&t->wanted, q->payload, q->len) == -1 ||
	    t->wanted.by == TOP_BY_REFUSED)
		return -1;
	t->now = clock_wall();
	(void)cache_batch(l->cache, t->now);
	if (longest < t->wanted.seconds)
		longest = t->wanted.seconds;
	/* Which windows SQL returns is not known before it is asked. */
	t->since = lookup_used(l->limits) ? 0 : num_sub_clamp(t->now, longest);
	return 0;
}
