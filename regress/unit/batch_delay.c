#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ledger/batch/batch_delay.h"

#define US	INT64_C(1000)
#define MS	INT64_C(1000000)

static struct mono	now;

static void
start(struct batch_delay *d)
{
	now.ns = 1000 * MS;
	batch_delay_init(d, now);
}

/* So many batches, each `gap` after the one before. */
static void
batches(struct batch_delay *d, int n, size_t charges, int64_t gap, int64_t took)
{
	while (n-- > 0) {
		now.ns += gap;
		batch_delay_note(d, now, charges, took);
	}
}

static void
unloaded(void **state)
{
	struct batch_delay	d;

	(void)state;
	start(&d);
	assert_int_equal(batch_delay(&d, 1), 0);
	batches(&d, 1000, 4, 2 * MS, 500 * US);
	assert_int_equal(batch_delay(&d, 1), 0);
	/* A server that is far away is not loaded. */
	start(&d);
	batches(&d, 1000, 4, 90 * MS, 80 * MS);
	assert_int_equal(batch_delay(&d, 1), 0);
}

static void
loaded(void **state)
{
	struct batch_delay	d;
	int			little, much;

	(void)state;
	start(&d);
	batches(&d, 100, 2, 2 * MS, 500 * US);
	batches(&d, 100, 2, 4 * MS, 2 * MS);
	little = batch_delay(&d, 1);
	batches(&d, 100, 2, 4 * MS, 4 * MS);
	much = batch_delay(&d, 1);
	assert_in_range(little, 2, 6);
	assert_in_range(much, little + 1, 20);
	batches(&d, 100, 2, 900 * MS, 900 * MS);
	batches(&d, 100, 200, 900 * MS, 900 * MS);
	assert_int_equal(batch_delay(&d, 1), 20);
	/* No delay any more when the load has gone. */
	batches(&d, 100, 2, 2 * MS, 500 * US);
	assert_int_equal(batch_delay(&d, 1), 0);
}

static void
few_charges(void **state)
{
	struct batch_delay	d;

	(void)state;
	start(&d);
	batches(&d, 100, 1, 2 * MS, 500 * US);
	batches(&d, 100, 1, 500 * MS, 10 * MS);
	assert_int_equal(batch_delay(&d, 1), 0);
	/* The same load, and charges that come every three milliseconds. */
	batches(&d, 100, 4, 12 * MS, 10 * MS);
	assert_int_equal(batch_delay(&d, 1), 20);
}

static void
all_clients_wait(void **state)
{
	struct batch_delay	d;
	int			i, waits;

	(void)state;
	start(&d);
	batches(&d, 64, 8, 2 * MS, 500 * US);
	batches(&d, 64, 8, 10 * MS, 10 * MS);
	for (i = waits = 0; i < 320; i++) {
		waits += batch_delay(&d, 8) > 0;
		batches(&d, 1, 8, 10 * MS, 10 * MS);
	}
	assert_int_equal(waits, 10);
	batches(&d, 1, 8, 10 * MS, 10 * MS);
	assert_int_equal(batch_delay(&d, 8), 0);
	assert_true(batch_delay(&d, 7) > 0);
	/* More clients came: the larger batches are found. */
	batches(&d, 1, 20, 10 * MS, 10 * MS);
	batches(&d, 40, 12, 10 * MS, 10 * MS);
	assert_true(batch_delay(&d, 12) > 0);
	assert_int_equal(batch_delay(&d, 20), 0);
	/* Some clients left: the smaller batches are noticed in two periods. */
	batches(&d, 65, 12, 10 * MS, 10 * MS);
	assert_int_equal(batch_delay(&d, 12), 0);
}

static void
least_rises(void **state)
{
	struct batch_delay	d;

	(void)state;
	start(&d);
	batches(&d, 100, 2, 2 * MS, 500 * US);
	batches(&d, 100, 2, 5 * MS, 5 * MS);
	assert_in_range(batch_delay(&d, 1), 10, 20);
	/* The server has moved to another place: this is how it answers now. */
	batches(&d, 40000, 2, 5 * MS, 5 * MS);
	assert_int_equal(batch_delay(&d, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(unloaded),
		cmocka_unit_test(loaded),
		cmocka_unit_test(few_charges),
		cmocka_unit_test(all_clients_wait),
		cmocka_unit_test(least_rises)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
