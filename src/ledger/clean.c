#include <string.h>

#include "ledger/clean.h"
#include "lib/clock.h"
#include "lib/num.h"

#define ROWS_FIRST	100
#define ROWS_MAX	10000
#define REST_NS		INT64_C(20000000)	/* after a failure */
#define MS_NS		INT64_C(1000000)
#define DAY		86400	/* seconds */
#define LEARN_LEAST	(INT64_C(90) * DAY)

/* Numbers in mail_state: the longest window that SQL returned, and when. */
#define LONGEST		"sql_longest"
#define LONGEST_AT	"sql_longest_at"

bool
clean_remember(struct store *store, const struct lookup *limits, int64_t now)
{
	int64_t	longest = lookup_longest(limits), known, at;

	if (longest == 0)
		return true;
	if (store_number(store, LONGEST, &known) != STORE_OK ||
	    store_number(store, LONGEST_AT, &at) != STORE_OK)
		return false;
	if (known > longest &&
	    num_add_clamp(at, num_add_clamp(known, known)) > now)
		return true;
	/* A time in the future is from a clock that was wrong. */
	if (known == longest && at <= now && now - at < known)
		return true;
	return store_set_number(store, LONGEST_AT, now) == STORE_OK &&
	    store_set_number(store, LONGEST, longest) == STORE_OK;
}

/*
 * Keeps the dates from `age` seconds ago to WINDOW_SKEW from now, and what was
 * kept by the clock as it was earlier.
 */
static void
extend_kept(struct store_kept *kept, int64_t age, int64_t now)
{
	int64_t	first = num_sub_clamp(now, age);
	int64_t	last = num_add_clamp(now, WINDOW_SKEW);

	if (first < kept->first)
		kept->first = first;
	if (last > kept->last)
		kept->last = last;
}

void
clean_begin(struct clean *c, struct store *store,
    const struct settings *settings, const struct lookup *limits, int64_t now)
{
	const struct settings_rule	*rule;
	const struct store_kept		 none = { INT64_MAX, INT64_MIN };
	int64_t				 known, at;
	size_t				 i;

	memset(c, 0, sizeof(*c));
	c->longest = settings_longest_window(settings);
	if (lookup_longest(limits) > c->longest)
		c->longest = lookup_longest(limits);
	/*
	 * A window that SQL returned counts for twice its length, also after
	 * the process that asked has ended.
	 */
	if (store_number(store, LONGEST, &known) == STORE_OK &&
	    known > c->longest &&
	    store_number(store, LONGEST_AT, &at) == STORE_OK &&
	    num_add_clamp(at, num_add_clamp(known, known)) > now)
		c->longest = known;
	/* Without any limit, rows are kept for limits that may be set later. */
	if (c->longest == 0)
		c->longest = DAY;
	c->state = CLEAN_RUNNING;
	c->rows = ROWS_FIRST;
	/*
	 * Networks and recipients are kept for a while also if there is no rule
	 * that remembers them: it may only be switched off.
	 */
	c->learn = LEARN_LEAST;
	for (i = 0; i < settings->nrules; i++) {
		rule = &settings->rules[i];
		if (rule->count == RULE_NEW_RECIPIENTS &&
		    rule->learn > c->learn)
			c->learn = rule->learn;
	}
	c->kept = c->pairs = none;
	extend_kept(&c->kept, num_add_clamp(c->longest, c->longest), now);
	/* Dates of pairs are exact to the day. */
	extend_kept(&c->pairs, num_add_clamp(c->learn, DAY), now);
	c->who = INT64_MIN;
}

/* A step of the present stage; goes on to the next stage when it is done. */
static enum store_result
run_step(struct clean *c, struct store *store,
    const struct settings *settings, int64_t now)
{
	struct store_kept	kept;
	enum store_result	result = STORE_OK;
	int64_t			deleted = 0;
	bool			done = true;

	switch (c->stage) {
	case CLEAN_ROWS:
		extend_kept(&c->kept, num_add_clamp(c->longest, c->longest),
		    now);
		result = store_clean(store, &c->kept, c->rows, &c->position,
		    &deleted);
		if (result == STORE_OK)
			c->records += deleted;
		done = c->position == -1;
		break;
	case CLEAN_HABITS:
		extend_kept(&c->pairs, num_add_clamp(c->learn, DAY), now);
		result = store_clean_pairs(store, &c->pairs, c->rows, &c->who,
		    &deleted);
		done = c->who == INT64_MAX;
		break;
	case CLEAN_OVERRIDES:
		/*
		 * Those that ended a day ago: what has just ended would hold
		 * again if the clock were set back. A lock's record ends only
		 * when no later hit needs it.
		 */
		result = store_clean_overrides(store,
		    num_sub_clamp(now, WINDOW_SKEW));
		break;
	case CLEAN_REFUSALS:
		kept.last = num_add_clamp(now, WINDOW_SKEW);
		kept.first = settings->history == 0 ? INT64_MAX :
		    num_sub_clamp(now, settings->history * DAY);
		result = store_clean_refusals(store, &kept, c->rows, &deleted);
		done = deleted == 0;
		break;
	case CLEAN_SPACE:
		if (store_optional.reclaim != NULL)
			result = store_optional.reclaim(store, &done);
		break;
	case CLEAN_ALL:
		break;
	}
	if (result == STORE_OK && done && ++c->stage == CLEAN_ALL)
		c->state = CLEAN_DONE;
	return result;
}

enum store_result
clean_step(struct clean *c, struct store *store,
    const struct settings *settings, int64_t now)
{
	enum store_result	result;
	int64_t			mono, took;

	mono = clock_mono().ns;
	if (c->state != CLEAN_RUNNING || mono < c->next)
		return STORE_OK;
	result = run_step(c, store, settings, now);
	if (result == STORE_OK) {
		took = clock_mono().ns - mono;
		c->began = 0;
		c->next = mono + took * (store_pace.rest + 1);
		if (took > store_pace.step && c->rows > ROWS_FIRST)
			c->rows /= 2;
		else if (took < store_pace.step / 2 && c->rows < ROWS_MAX)
			c->rows *= 2;
		return STORE_OK;
	}
	/*
	 * A lock may be released and a full disk may get space, so retry; but
	 * --clean must end.
	 */
	if (c->began == 0)
		c->began = mono;
	c->next = mono + REST_NS;
	if (mono - c->began > settings->db_timeout * MS_NS)
		c->state = CLEAN_FAILED;
	return result == STORE_LOST ? STORE_LOST : STORE_OK;
}

int
clean_wait(const struct clean *c)
{
	struct mono	next = { c->next };

	return c->state == CLEAN_RUNNING ? clock_left(next, clock_mono()) : -1;
}
