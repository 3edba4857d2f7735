#include <string.h>

#include "ledger/clean.h"
#include "lib/clock.h"
#include "lib/num.h"

#define ROWS_FIRST	100
#define ROWS_MAX	10000
#define REST_NS		INT64_C(20000000)	/* where a step failed */
#define MS_NS		INT64_C(1000000)

/* The longest window that came from SQL, and when it did. */
#define LONGEST		"sql_longest"
#define LONGEST_AT	"sql_longest_at"

void
clean_remember(struct store *store, const struct lookup *limits, int64_t now)
{
	int64_t	longest = lookup_longest(limits), known, at;

	if (longest == 0 || store_number(store, LONGEST, &known) != STORE_OK ||
	    store_number(store, LONGEST_AT, &at) != STORE_OK)
		return;
	if (known > longest &&
	    num_add_clamp(at, num_add_clamp(known, known)) > now)
		return;
	if (known == longest && now - at < known)
		return;
	if (store_set_number(store, LONGEST, longest) == STORE_OK)
		(void)store_set_number(store, LONGEST_AT, now);
}

/*
 * A window that SQL gave an id counts for as long as rows can lie in twice of
 * it, also when the process that asked is gone.
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
	return longest;
}

void
clean_begin(struct clean *c, struct store *store,
    const struct settings *settings, const struct lookup *limits, int64_t now)
{
	int64_t	longest;

	longest = clean_longest(store, settings, limits, now);
	memset(c, 0, sizeof(*c));
	c->state = CLEAN_RUNNING;
	c->rows = ROWS_FIRST;
	c->before = num_add_clamp(now, -num_add_clamp(longest, longest));
}

static enum store_result
clean_delete(struct clean *c, struct store *store)
{
	enum store_result	result;
	int64_t			deleted;

	result = store_clean(store, c->before, c->rows, &c->position, &deleted);
	if (result != STORE_OK)
		return result;
	c->records += deleted;
	if (c->position == -1)
		c->reclaiming = true;
	return STORE_OK;
}

static enum store_result
clean_reclaim(struct clean *c, struct store *store)
{
	enum store_result	result;
	bool			done;

	if ((result = store_reclaim(store, &done)) == STORE_OK && done)
		c->state = CLEAN_DONE;
	return result;
}

enum store_result
clean_step(struct clean *c, struct store *store,
    const struct settings *settings)
{
	enum store_result	result;
	int64_t			now, took;

	now = clock_mono().ns;
	if (c->state != CLEAN_RUNNING || now < c->next)
		return STORE_OK;
	result = c->reclaiming ? clean_reclaim(c, store) :
	    clean_delete(c, store);
	if (result == STORE_OK) {
		took = clock_mono().ns - now;
		c->began = 0;
		c->next = now + took * (store_pace.rest + 1);
		if (took > store_pace.step && c->rows > ROWS_FIRST)
			c->rows /= 2;
		else if (took < store_pace.step / 2 && c->rows < ROWS_MAX)
			c->rows *= 2;
		return STORE_OK;
	}
	/*
	 * A lock goes away, a full disk gets room; but whoever waits wants an
	 * end.
	 */
	if (c->began == 0)
		c->began = now;
	c->next = now + REST_NS;
	if (now - c->began > settings->db_timeout * MS_NS)
		c->state = CLEAN_FAILED;
	return result == STORE_LOST ? STORE_LOST : STORE_OK;
}

int
clean_wait(const struct clean *c)
{
	struct mono	next = { c->next };

	return c->state == CLEAN_RUNNING ? clock_left(next, clock_mono()) : -1;
}
