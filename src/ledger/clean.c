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
 * A window that SQL returned counts for twice its length, also after the
 * process that asked has ended.
 */
static int64_t
clean_longest(struct store *store, const struct settings *settings,
    const struct lookup *limits, int64_t now)
{
	int64_t	longest, known, at;

	longest = settings_longest_window(settings);
	if (lookup_longest(limits) > longest)
		longest = lookup_longest(limits);
	if (store_number(store, LONGEST, &known) == STORE_OK &&
	    known > longest &&
	    store_number(store, LONGEST_AT, &at) == STORE_OK &&
	    num_add_clamp(at, num_add_clamp(known, known)) > now)
		longest = known;
	/* Without any limit, rows are kept for limits that may be set later. */
	return longest > 0 ? longest : DAY;
}

static struct store_kept
clean_kept(const struct clean *c, int64_t now)
{
	struct store_kept	kept;

	kept.first = num_add_clamp(now,
	    -num_add_clamp(c->longest, c->longest));
	kept.last = num_add_clamp(now, WINDOW_AHEAD);
	return kept;
}

/*
 * The longest that a rule remembers networks and recipients. They are kept for
 * a while also if there is no such rule, which may only be switched off.
 */
static int64_t
clean_learn(const struct settings *settings)
{
	int64_t	learn = LEARN_LEAST;
	size_t	i;

	for (i = 0; i < settings->nrules; i++)
		if (settings->rules[i].count == RULE_NEW_RECIPIENTS &&
		    settings->rules[i].learn > learn)
			learn = settings->rules[i].learn;
	return learn;
}

/* Dates of pairs are exact to the day. */
static struct store_kept
clean_kept_pairs(const struct clean *c, int64_t now)
{
	struct store_kept	kept;

	kept.first = num_sub_clamp(now, num_add_clamp(c->learn, DAY));
	kept.last = num_add_clamp(now, WINDOW_AHEAD);
	return kept;
}

/* Keeps what is needed by the clock as it is now and as it was. */
static void
clean_widen(struct store_kept *kept, const struct store_kept *also)
{
	if (also->first < kept->first)
		kept->first = also->first;
	if (also->last > kept->last)
		kept->last = also->last;
}

void
clean_begin(struct clean *c, struct store *store,
    const struct settings *settings, const struct lookup *limits, int64_t now)
{
	memset(c, 0, sizeof(*c));
	c->longest = clean_longest(store, settings, limits, now);
	c->state = CLEAN_RUNNING;
	c->rows = ROWS_FIRST;
	c->kept = clean_kept(c, now);
	c->learn = clean_learn(settings);
	c->pairs = clean_kept_pairs(c, now);
	c->who = INT64_MIN;
}

static enum store_result
clean_delete(struct clean *c, struct store *store, int64_t now)
{
	const struct store_kept	kept = clean_kept(c, now);
	enum store_result	result;
	int64_t			deleted;

	clean_widen(&c->kept, &kept);
	result = store_clean(store, &c->kept, c->rows, &c->position, &deleted);
	if (result != STORE_OK)
		return result;
	c->records += deleted;
	if (c->position == -1)
		c->stage = CLEAN_HABITS;
	return STORE_OK;
}

static enum store_result
clean_habits(struct clean *c, struct store *store, int64_t now)
{
	const struct store_kept	kept = clean_kept_pairs(c, now);
	enum store_result	result;
	int64_t			deleted;

	clean_widen(&c->pairs, &kept);
	result = store_clean_pairs(store, &c->pairs, c->rows, &c->who,
	    &deleted);
	if (result == STORE_OK && c->who == INT64_MAX)
		c->stage = CLEAN_OVERRIDES;
	return result;
}

/*
 * Deletes what ended a day ago, in one step: what has just ended would hold
 * again if the clock were set back. A lock's record ends only when no later hit
 * needs it.
 */
static enum store_result
clean_overrides(struct clean *c, struct store *store, int64_t now)
{
	enum store_result	result;

	result = store_clean_overrides(store,
	    num_sub_clamp(now, WINDOW_AHEAD));
	if (result == STORE_OK)
		c->stage = CLEAN_REFUSALS;
	return result;
}

static enum store_result
clean_refusals(struct clean *c, struct store *store,
    const struct settings *settings, int64_t now)
{
	struct store_kept	kept;
	enum store_result	result;
	int64_t			deleted;

	kept.last = num_add_clamp(now, WINDOW_AHEAD);
	kept.first = settings->history == 0 ? INT64_MAX :
	    num_sub_clamp(now, settings->history * DAY);
	result = store_clean_refusals(store, &kept, c->rows, &deleted);
	if (result == STORE_OK && deleted == 0)
		c->stage = CLEAN_SPACE;
	return result;
}

static enum store_result
clean_reclaim(struct clean *c, struct store *store)
{
	enum store_result	result = STORE_OK;
	bool			done = true;

	if (store_optional.reclaim != NULL)
		result = store_optional.reclaim(store, &done);
	if (result == STORE_OK && done)
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
	result = c->stage == CLEAN_ROWS ? clean_delete(c, store, now) :
	    c->stage == CLEAN_HABITS ? clean_habits(c, store, now) :
	    c->stage == CLEAN_OVERRIDES ? clean_overrides(c, store, now) :
	    c->stage == CLEAN_REFUSALS ?
	    clean_refusals(c, store, settings, now) : clean_reclaim(c, store);
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
