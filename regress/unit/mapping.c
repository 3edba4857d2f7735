#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/mapping.h"
#include "lib/alloc.h"

static struct mapping		*mapping;
static struct settings		*settings;
static struct msg_charge	 charge;
static struct msg_verdict	 verdict;

/* One rule, "box", with [[3, 60]]. */
static int
setup(void **state)
{
	struct settings_rule	*rule;

	(void)state;
	settings = settings_new();
	rule = alloc_zero(1, sizeof(*rule));
	rule->name = alloc_string("box");
	rule->unless = -1;
	rule->limits.list = alloc_zero(1, sizeof(struct limit));
	rule->limits.list[0] = (struct limit){ 3, 60 };
	rule->limits.count = 1;
	settings->rules = rule;
	settings->nrules = 1;
	mapping = mapping_new(100000);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mapping_free(mapping);
	mapping_free(NULL);
	settings_free(settings);
	return 0;
}

/* A charge of one key; the verdict gives it this id, NULL: none. */
static void
charge_of(const char *id, const char *counted)
{
	memset(&charge, 0, sizeof(charge));
	memset(&verdict, 0, sizeof(verdict));
	charge.nkeys = 1;
	charge.keys[0].id = id;
	charge.keys[0].idlen = strlen(id);
	charge.keys[0].map = true;
	if (counted == NULL)
		return;
	verdict.mapped = 1;
	verdict.map[0].id = counted;
	verdict.map[0].idlen = strlen(counted);
}

static void
assert_id(const char *id)
{
	assert_int_equal(charge.keys[0].idlen, strlen(id));
	assert_memory_equal(charge.keys[0].id, id, strlen(id));
}

static void
takes_the_id_and_its_limits(void **state)
{
	(void)state;
	charge_of("box:bob", "box:c7");
	mapping_take(mapping, settings, &charge, &verdict);
	assert_id("box:c7");
	assert_false(charge.keys[0].map);
	assert_int_equal(charge.keys[0].limits.count, 1);
	assert_int_equal(charge.keys[0].limits.list[0].mails, 3);
	charge_of("box:bob", "box:c7");
	mapping_take(mapping, NULL, &charge, &verdict);
	assert_id("box:c7");
	assert_int_equal(charge.keys[0].limits.count, 0);
}

static void
recalls_the_last_one(void **state)
{
	(void)state;
	charge_of("box:bob", NULL);
	mapping_recall(mapping, settings, &charge);
	assert_id("box:bob");
	/* The ledger maps it when it records it. */
	assert_true(charge.keys[0].map);

	charge_of("box:bob", "box:c7");
	mapping_take(mapping, settings, &charge, &verdict);
	charge_of("box:bob", "box:c8");
	mapping_take(mapping, settings, &charge, &verdict);
	charge_of("box:bob", NULL);
	mapping_recall(mapping, settings, &charge);
	assert_id("box:c8");
	assert_false(charge.keys[0].map);
	assert_int_equal(charge.keys[0].limits.count, 1);

	charge_of("box:bob", NULL);
	mapping_take(mapping, settings, &charge, &verdict);
	assert_id("box:bob");
	charge_of("box:bob", NULL);
	mapping_recall(mapping, settings, &charge);
	assert_id("box:bob");
}

static void
leaves_other_keys_alone(void **state)
{
	(void)state;
	charge_of("box:bob", "box:c7");
	charge.keys[0].map = false;
	mapping_take(mapping, settings, &charge, &verdict);
	assert_id("box:bob");
	charge_of("box:bob", "box:c7");
	mapping_take(mapping, settings, &charge, &verdict);
	charge_of("box:bob", NULL);
	charge.keys[0].map = false;
	mapping_recall(mapping, settings, &charge);
	assert_id("box:bob");
}

static void
is_bounded(void **state)
{
	char	id[24], counted[24];
	int	i, known = 0;

	(void)state;
	for (i = 0; i < 10000; i++) {
		(void)snprintf(id, sizeof(id), "box:u%d", i);
		(void)snprintf(counted, sizeof(counted), "box:c%d", i);
		charge_of(id, counted);
		mapping_take(mapping, settings, &charge, &verdict);
		charge_of("box:u0", NULL);
		mapping_recall(mapping, settings, &charge);
	}
	for (i = 0; i < 10000; i++) {
		(void)snprintf(id, sizeof(id), "box:u%d", i);
		charge_of(id, NULL);
		mapping_recall(mapping, settings, &charge);
		known += !charge.keys[0].map;
	}
	assert_in_range(known, 100, 3000);
	charge_of("box:u0", NULL);
	mapping_recall(mapping, settings, &charge);
	assert_id("box:c0");
	mapping_resize(mapping, 0);
	charge_of("box:u0", NULL);
	mapping_recall(mapping, settings, &charge);
	assert_id("box:u0");
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(takes_the_id_and_its_limits),
		TEST(recalls_the_last_one),
		TEST(leaves_other_keys_alone),
		TEST(is_bounded)
	};

	return cmocka_run_group_tests_name("mapping", tests, NULL, NULL);
}
