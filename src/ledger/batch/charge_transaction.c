#include "ledger/batch/charge_batch.h"
#include "lib/num.h"

#define READ_BUDGET	20000	/* rows of first readings in one batch */

static void
charge_on_first(void *arg, size_t i, const struct store_row *row)
{
	struct charge_batch	*b = arg;

	cache_first(b->cache, b->id[i], row, b->context.now);
}

static void
charge_on_news(void *arg, const struct store_row *row)
{
	struct charge_batch	*b = arg;

	cache_news(b->cache, row, b->context.now);
}

static void
charge_on_again(void *arg, size_t i)
{
	struct charge_batch	*b = arg;

	cache_drop(b->cache, b->id[i]);
}

static void
charge_on_changed(void *arg)
{
	struct charge_batch	*b = arg;

	cache_drop_all(b->cache);
}

static size_t
charge_on_counts(void *arg, size_t i, const struct pack_count **counts)
{
	struct charge_batch	*b = arg;

	return cache_counts(b->cache, b->id[i], counts);
}

enum store_result
charge_begin(struct charge_batch *b)
{
	const struct store_reader	reader = {
		charge_on_first, charge_on_news, charge_on_again,
		charge_on_changed, charge_on_counts, b
	};
	struct store_batch		batch;
	struct mono			before;
	enum store_result		result;

	batch.touch = b->touch;
	batch.ntouch = b->ntouch;
	batch.value = b->value;
	batch.nvalue = b->nvalue;
	batch.pair = b->pair;
	batch.npair = b->npair;
	batch.budget = READ_BUDGET;
	batch.recent = num_add_clamp(b->context.now, -INSTANCE_SECONDS);
	batch.forgotten = cache_forgot(b->cache, b->context.now);
	if (store_optional.shared == NULL)
		return store_begin(b->store, &batch, &reader);
	before = clock_mono();
	result = store_begin(b->store, &batch, &reader);
	batch_delay_note(&b->delay, before, b->count,
	    clock_between(before, clock_mono()));
	return result;
}

enum store_result
charge_begin_empty(struct charge_batch *b, int64_t now)
{
	b->context.now = now;
	b->ntouch = b->nvalue = b->npair = 0;
	cache_batch(b->cache);
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
	override_table_settle(b->overrides, result == STORE_OK);
	return result;
}
