#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ledger/cache.h"
#include "decision/instance.h"
#include "random.h"

#define NOW	INT64_C(1700000000)
#define LARGE	((size_t)1 << 30)

struct store_cursor {
	bool	loaded;
	int	position;
};

static struct store_row
row(const char *id, int64_t date, int64_t amount, const char *instance,
    int64_t tag)
{
	struct store_row	r;

	memset(&r, 0, sizeof(r));
	r.id = id;
	r.idlen = strlen(id);
	r.date = date;
	r.amount = amount;
	r.instance = instance;
	r.instancelen = strlen(instance);
	r.tag = tag;
	r.state = "";
	return r;
}

static struct cache *
new_cache(void)
{
	struct cache	*c = cache_new(LARGE);

	(void)cache_batch(c, NOW);
	return c;
}

static struct cache_id *
touch(struct cache *c, const char *id)
{
	bool	first;

	return cache_touch(c, map_hash(id, strlen(id)), id, strlen(id),
	    &first);
}

static const struct instance_keys *
keys(const char *id, const char *instance, int64_t tag)
{
	static struct instance_keys	of;

	instance_keys_of(&of, map_hash(id, strlen(id)), instance,
	    strlen(instance), tag);
	return &of;
}

static void
record(struct cache *c, const char *id, const struct store_row *r)
{
	cache_record(c, touch(c, id), keys(id, r->instance, r->tag), r);
}

static void
load(struct cache *c, const char *id)
{
	struct cache_id	*e = touch(c, id);

	(void)cache_need(c, e, NOW - 86400);
	cache_cursor(e)->loaded = true;
}

static int64_t
used(struct cache *c, const char *id)
{
	return window_used(&touch(c, id)->window, 86400, NOW);
}

static void
rows_are_counted_by_id(void **state)
{
	struct cache		*c = new_cache();
	struct store_row	 r;

	(void)state;
	load(c, "bob");
	r = row("bob", NOW, 3, "", 0);
	record(c, "bob", &r);
	r = row("bob", NOW - 5, 4, "", 0);
	cache_news(c, &r);
	assert_int_equal(used(c, "bob"), 7);
	/* Rows of an id that is not in the cache are ignored. */
	r = row("eve", NOW, 4, "", 0);
	cache_news(c, &r);
	assert_int_equal(cache_ids(c), 1);
	assert_int_equal(used(c, "eve"), 0);
	cache_free(c);
}

/* While an id is being read, a new row makes it begin anew. */
static void
news_restart_an_unfinished_reading(void **state)
{
	struct cache		*c = new_cache();
	struct cache_id		*e = touch(c, "bob");
	struct store_row	 r = row("bob", NOW, 1, "", 0);

	(void)state;
	(void)cache_need(c, e, NOW - 60);
	cache_first(c, e, &r);
	cache_cursor(e)->position = 5;
	cache_news(c, &r);
	assert_int_equal(cache_cursor(e)->position, 0);
	assert_int_equal(used(c, "bob"), 0);
	cache_free(c);
}

static void
an_earlier_date_restarts_the_reading(void **state)
{
	struct cache		*c = new_cache();
	struct cache_id		*e = touch(c, "bob");
	struct store_row	 r = row("bob", NOW - 50, 1, "", 0);

	(void)state;
	assert_int_equal(cache_need(c, e, NOW - 60), NOW - 60);
	cache_first(c, e, &r);
	cache_cursor(e)->loaded = true;
	/* Less: what is older is forgotten. */
	assert_int_equal(cache_need(c, e, NOW - 40), NOW - 40);
	assert_int_equal(used(c, "bob"), 0);
	assert_true(cache_cursor(e)->loaded);
	/* More: it is to be read again. */
	assert_int_equal(cache_need(c, e, NOW - 60), NOW - 60);
	assert_false(cache_cursor(e)->loaded);
	/* Half read: goes on, or begins again for older counts. */
	cache_cursor(e)->position = 1;
	assert_int_equal(cache_need(c, e, NOW - 50), NOW - 60);
	assert_int_equal(cache_cursor(e)->position, 1);
	assert_int_equal(cache_need(c, e, NOW - 70), NOW - 70);
	assert_int_equal(cache_cursor(e)->position, 0);
	cache_free(c);
}

static void
an_id_is_found_once_in_a_batch(void **state)
{
	struct cache	*c = new_cache();
	bool		 first;

	(void)state;
	(void)cache_batch(c, NOW);
	(void)cache_touch(c, map_hash("bob", 3), "bob", 3, &first);
	assert_true(first);
	(void)cache_touch(c, map_hash("bob", 3), "bob", 3, &first);
	assert_false(first);
	(void)cache_touch(c, map_hash("bo", 2), "bo", 2, &first);
	assert_true(first);
	(void)cache_batch(c, NOW);
	(void)cache_touch(c, map_hash("bob", 3), "bob", 3, &first);
	assert_true(first);
	cache_free(c);
}

static void
least_recently_used_goes_first(void **state)
{
	struct cache	*c = new_cache();
	struct cache_id	*kept;
	char		 id[20];
	size_t		 base;
	int		 i;

	(void)state;
	base = cache_bytes(c);
	for (i = 0; i < 1000; i++) {
		(void)cache_batch(c, NOW);
		snprintf(id, sizeof(id), "user%d", i);
		load(c, id);
	}
	/* The bound of an id in memory. */
	assert_true((cache_bytes(c) - base) / 1000 < 250);
	(void)cache_batch(c, NOW);
	load(c, "user0");
	cache_set_max(c, base + (cache_bytes(c) - base) / 2);
	cache_trim(c);
	assert_true(cache_ids(c) > 400 && cache_ids(c) <= 500);
	assert_true(cache_cursor(touch(c, "user0"))->loaded);
	assert_true(cache_cursor(touch(c, "user999"))->loaded);
	assert_false(cache_cursor(touch(c, "user1"))->loaded);
	/* What the running batch touches stays, whatever the bound. */
	(void)cache_batch(c, NOW);
	kept = touch(c, "user0");
	cache_set_max(c, 0);
	cache_trim(c);
	assert_int_equal(cache_ids(c), 1);
	assert_ptr_equal(touch(c, "user0"), kept);
	cache_free(c);
}

static void
failed_batch_is_undone(void **state)
{
	struct cache		*c = new_cache();
	struct store_row	 r = row("bob", NOW, 3, "i", 7);

	(void)state;
	load(c, "bob");
	load(c, "eve");
	record(c, "bob", &r);
	cache_end(c, STORE_OK);
	(void)cache_batch(c, NOW);
	r = row("bob", NOW, 2, "i", 8);
	record(c, "bob", &r);
	assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 5);
	cache_end(c, STORE_FAILED);
	assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 3);
	assert_true(cache_has_tag(c, keys("bob", "i", 7)));
	assert_false(cache_has_tag(c, keys("bob", "i", 8)));
	assert_false(cache_cursor(touch(c, "bob"))->loaded);
	assert_true(cache_cursor(touch(c, "eve"))->loaded);
	cache_free(c);
}

static void
a_change_by_others_drops_all(void **state)
{
	struct cache		*c = new_cache();
	struct store_row	 r = row("bob", NOW, 3, "i", 7);

	(void)state;
	load(c, "old");
	(void)cache_batch(c, NOW);
	load(c, "bob");
	record(c, "bob", &r);
	cache_drop_all(c);
	assert_false(cache_cursor(touch(c, "bob"))->loaded);
	assert_false(cache_cursor(touch(c, "old"))->loaded);
	assert_int_equal(used(c, "bob"), 0);
	assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 0);
	assert_false(cache_has_tag(c, keys("bob", "i", 7)));
	cache_free(c);
}

static void
instances_are_remembered(void **state)
{
	struct cache		*c = new_cache();
	struct store_row	 r;
	int64_t			 date, amount;

	(void)state;
	r = row("bob", NOW - 5, 1, "i", 1);
	record(c, "bob", &r);
	r = row("bob", NOW - 3, 1, "i", 2);
	record(c, "bob", &r);
	r = row("bob", NOW, 4, "j", 0);
	record(c, "bob", &r);
	assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 2);
	assert_int_equal(cache_charged(c, keys("bob", "j", 0)), 4);
	assert_int_equal(cache_charged(c, keys("eve", "i", 0)), 0);
	assert_int_equal(cache_charged(c, keys("bob", "", 0)), 0);
	assert_true(cache_has_tag(c, keys("bob", "i", 2)));
	assert_false(cache_has_tag(c, keys("bob", "j", 2)));
	assert_false(cache_has_tag(c, keys("bob", "i", 0)));
	/* Taken back second by second. */
	while (cache_charged_at(c, keys("bob", "i", 0), &date, &amount)) {
		r = row("bob", date, -amount, "i", 0);
		record(c, "bob", &r);
	}
	assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 0);
	/* Too old to be asked for again. */
	r = row("bob", NOW - INSTANCE_SECONDS - 1, 4, "k", 0);
	cache_news(c, &r);
	assert_int_equal(cache_charged(c, keys("bob", "k", 0)), 0);
	cache_free(c);
}

/* An id that was dropped and is read again counts its instances once. */
static void
instances_are_read_back(void **state)
{
	struct cache		*c = new_cache();
	struct cache_id		*e = touch(c, "bob");
	struct store_row	 r = row("bob", NOW, 2, "i", 9);
	int			 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		cache_drop(c, e);
		cache_first(c, e, &r);
		cache_first(c, e, &r);
		assert_int_equal(cache_charged(c, keys("bob", "i", 0)), 4);
		assert_true(cache_has_tag(c, keys("bob", "i", 9)));
	}
	cache_free(c);
}

/* --- the table of instances, against one that holds everything --- */

#define KEYS	50

static void
instances_are_bounded(void **state)
{
	struct instances	*t = instance_new(100);
	size_t			 bytes;
	uint64_t		 i;

	(void)state;
	for (i = 0; i < 1000; i++)
		instance_read(t, i, NOW, 1, 0, 0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(instance_total(t, i), i >= 900);
	bytes = instance_bytes(t);
	/* The old ones make room before they must. */
	instance_read(t, 5000, NOW + 10, 1, NOW + 5, 0);
	assert_int_equal(instance_total(t, 999), 0);
	assert_int_equal(instance_total(t, 5000), 1);
	assert_true(instance_bytes(t) < bytes);
	instance_free(t);
}

static void
instances_as_the_model(void **state)
{
	static int64_t		 model[KEYS], before[KEYS];
	struct random		 random = { 3 };
	struct instances	*t = instance_new(100000);
	int64_t			 amount;
	uint64_t		 key;
	int			 i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		key = random_below(&random, KEYS);
		amount = random_from(&random, -2, 5);
		/* Keys that share a chain. */
		instance_add(t, key * 65536,
		    NOW + (int64_t)random_below(&random, 9), amount, NOW);
		model[key] += amount;
		if (i % 10 == 0)
			assert_int_equal(instance_total(t, key * 65536),
			    model[key]);
		if (random_below(&random, 50) == 0) {
			if (random_below(&random, 2) == 0) {
				instance_undo(t);
				memcpy(model, before, sizeof(model));
			} else
				instance_settle(t);
			memcpy(before, model, sizeof(model));
		}
	}
	for (key = 0; key < KEYS; key++)
		assert_int_equal(instance_total(t, key * 65536), model[key]);
	instance_free(t);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(rows_are_counted_by_id),
		cmocka_unit_test(news_restart_an_unfinished_reading),
		cmocka_unit_test(an_earlier_date_restarts_the_reading),
		cmocka_unit_test(an_id_is_found_once_in_a_batch),
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(failed_batch_is_undone),
		cmocka_unit_test(a_change_by_others_drops_all),
		cmocka_unit_test(instances_are_remembered),
		cmocka_unit_test(instances_are_read_back),
		cmocka_unit_test(instances_are_bounded),
		cmocka_unit_test(instances_as_the_model)
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
