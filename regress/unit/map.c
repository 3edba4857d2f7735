#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/map.h"
#include "random.h"

struct item {
	struct map_node	node;
	uint32_t	key;
	bool		in;
	unsigned int	seen;
};

static int
same(const struct map_node *node, const void *key, size_t len)
{
	const struct item	*item = (const struct item *)node;

	assert_int_equal(len, sizeof(item->key));
	return memcmp(&item->key, key, len) == 0;
}

static struct item *
find(struct map *map, uint32_t key)
{
	return (struct item *)map_find(map, map_hash(&key, sizeof(key)), &key,
	    sizeof(key));
}

static void
insert(struct map *map, struct item *item, uint32_t key)
{
	item->key = key;
	item->in = true;
	item->node.hash = map_hash(&key, sizeof(key));
	map_insert(map, &item->node);
}

/*
 * The paper's appendix A, and what its reference vectors say for 0 and 8 bytes.
 */
static void
siphash(void **state)
{
	static const uint64_t	key[2] = {
		UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)
	};
	unsigned char		in[15];
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	assert_true(map_siphash(key, in, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(map_siphash(key, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(map_siphash(key, in, 8) == UINT64_C(0x93f5f5799a932462));
}

static void
hash_is_of_the_bytes(void **state)
{
	uint64_t	seen[600];
	unsigned char	in[600];
	size_t		i, j;

	(void)state;
	memset(in, 0, sizeof(in));
	/* Zeros of any length all differ, and so does one bit anywhere. */
	for (i = 0; i < 300; i++)
		seen[i] = map_hash(in, i);
	for (i = 0; i < 300; i++) {
		in[i / 8] ^= (unsigned char)(1 << i % 8);
		seen[300 + i] = map_hash(in, 40);
		in[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (i = 0; i < 600; i++)
		for (j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	assert_true(map_hash(in, 40) == seen[40]);
}

static void
count_one(struct map_node *node, void *arg)
{
	size_t	*n = arg;

	((struct item *)node)->seen++;
	(*n)++;
}

static void
drop_odd(struct map_node *node, void *arg)
{
	struct item	*item = (struct item *)node;

	if (item->key % 2 == 1) {
		map_remove(arg, node);
		item->in = false;
	}
}

#define MANY	100000

/* At every size, in the middle of growing too, each is found and seen once. */
static void
grows(void **state)
{
	struct map	*map;
	struct item	*items;
	size_t		 seen;
	uint32_t	 i;

	(void)state;
	items = calloc(MANY, sizeof(*items));
	assert_non_null(items);
	map = map_new(same);
	assert_null(find(map, 0));
	for (i = 0; i < MANY; i++) {
		insert(map, &items[i], i);
		assert_int_equal(map_count(map), i + 1);
		assert_ptr_equal(find(map, i / 2), &items[i / 2]);
		assert_ptr_equal(find(map, i), &items[i]);
		assert_null(find(map, i + 1));
		if (i < 200 || i % 9973 == 0) {
			seen = 0;
			map_each(map, count_one, &seen);
			assert_int_equal(seen, i + 1);
		}
	}
	for (i = 0; i < MANY; i++)
		items[i].seen = 0;
	seen = 0;
	map_each(map, count_one, &seen);
	assert_int_equal(seen, MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(items[i].seen, 1);
	map_each(map, drop_odd, map);
	assert_int_equal(map_count(map), MANY / 2);
	for (i = 0; i < MANY; i++)
		assert_ptr_equal(find(map, i), i % 2 == 0 ? &items[i] : NULL);
	map_free(map);
	map_free(NULL);
	free(items);
}

/* Insertions and removals at random, with the table small and growing. */
static void
comes_and_goes(void **state)
{
	struct random	 r = { 12 };
	struct item	*items;
	struct map	*map;
	size_t		 count = 0;
	uint32_t	 range = 8, i;
	int		 step;

	(void)state;
	items = calloc(8192, sizeof(*items));
	assert_non_null(items);
	map = map_new(same);
	for (step = 0; step < 200000; step++) {
		if (step % 10000 == 9999 && range < 8192)
			range *= 2;
		i = (uint32_t)random_below(&r, range);
		assert_ptr_equal(find(map, i), items[i].in ? &items[i] : NULL);
		if (items[i].in) {
			map_remove(map, &items[i].node);
			items[i].in = false;
			count--;
		} else if (random_below(&r, 4) != 0) {
			insert(map, &items[i], i);
			count++;
		}
		assert_int_equal(map_count(map), count);
	}
	map_free(map);
	free(items);
}

static void
walk_while_growing(struct map_node *node, void *arg)
{
	struct item	*item = (struct item *)node;

	item->seen++;
	/* Finding moves nothing while it is walked. */
	assert_ptr_equal(find(arg, item->key), item);
	assert_null(find(arg, UINT32_MAX));
	drop_odd(node, arg);
}

static void
each_in_the_middle_of_a_move(void **state)
{
	struct item	*items;
	struct map	*map;
	uint32_t	 n, i;

	(void)state;
	items = calloc(600, sizeof(*items));
	assert_non_null(items);
	for (n = 1; n < 600; n++) {
		memset(items, 0, 600 * sizeof(*items));
		map = map_new(same);
		for (i = 0; i < n; i++)
			insert(map, &items[i], i);
		map_each(map, walk_while_growing, map);
		for (i = 0; i < n; i++) {
			assert_int_equal(items[i].seen, 1);
			assert_ptr_equal(find(map, i),
			    i % 2 == 0 ? &items[i] : NULL);
		}
		map_free(map);
	}
	free(items);
}

/* Equal hashes are told apart by the caller's comparison. */
static void
collisions(void **state)
{
	struct item	 items[50];
	struct map	*map;
	uint32_t	 i;

	(void)state;
	map = map_new(same);
	memset(items, 0, sizeof(items));
	for (i = 0; i < 50; i++) {
		items[i].key = i;
		items[i].node.hash = 5;
		map_insert(map, &items[i].node);
	}
	for (i = 0; i < 50; i++)
		assert_ptr_equal(map_find(map, 5, &i, sizeof(i)), &items[i]);
	map_remove(map, &items[25].node);
	i = 25;
	assert_null(map_find(map, 5, &i, sizeof(i)));
	assert_int_equal(map_count(map), 49);
	map_free(map);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(siphash),
		cmocka_unit_test(hash_is_of_the_bytes),
		cmocka_unit_test(grows),
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(each_in_the_middle_of_a_move),
		cmocka_unit_test(collisions)
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
