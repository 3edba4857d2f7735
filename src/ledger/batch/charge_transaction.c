#include "ledger/batch/charge_batch.h"
#include "ledger/clean.h"
#include "lib/num.h"

#define READ_BUDGET	20000	/* rows of first readings in one batch */

static void
on_first(void *arg, size_t i, const struct store_row *row)
{
	struct charge_batch	*b = arg;

	cache_first(b->cache, b->gathered.touch[i].cached, row);
}

static void
on_news(void *arg, const struct store_row *row)
{
	struct charge_batch	*b = arg;

	cache_news(b->cache, row);
}

static void
on_again(void *arg, size_t i)
{
	struct charge_batch	*b = arg;

	cache_drop(b->cache, b->gathered.touch[i].cached);
}

static void
on_changed(void *arg)
{
	struct charge_batch	*b = arg;

	cache_drop_all(b->cache);
}

static size_t
on_counts(void *arg, size_t i, const struct pack_count **counts)
{
	struct charge_batch	*b = arg;

	return cache_counts(b->cache, b->gathered.touch[i].cached, counts);
}

enum store_result
charge_begin(struct charge_batch *b)
{
	const struct store_reader	reader = {
		on_first, on_news, on_again,
		on_changed, on_counts, b
	};
	struct mono			before;
	enum store_result		result;
	int64_t				longest = lookup_longest(b->limits);

	/*
	 * Saves a longer window that SQL returned before a row is recorded for
	 * it, so that no cleaning deletes the row too early.
	 */
	if (longest > b->longest && clean_remember(b->store, b->limits, b->now))
		b->longest = longest;
	b->gathered.budget = READ_BUDGET;
	b->gathered.recent = num_add_clamp(b->now, -INSTANCE_SECONDS);
	if (store_optional.shared == NULL)
		return store_begin(b->store, &b->gathered, &reader);
	before = clock_mono();
	result = store_begin(b->store, &b->gathered, &reader);
	batch_delay_note(&b->delay, before, b->count,
	    clock_between(before, clock_mono()));
	return result;
}

enum store_result
charge_begin_empty(struct charge_batch *b, int64_t now)
{
	b->now = now;
	b->gathered.ntouch = b->gathered.nvalue = b->gathered.npair = 0;
	b->gathered.forgotten = cache_batch(b->cache, now);
	return charge_begin(b);
}

enum store_result
charge_end(struct charge_batch *b, enum store_result decided, bool *later)
{
	enum store_result	result = decided;

	if (decided == STORE_OK)
		result = store_commit(b->store, later);
	else if (decided != STORE_LOST)
		store_rollback(b->store);
	cache_end(b->cache, result);
	override_table_settle(b->overrides, result == STORE_OK);
	return result;
}
