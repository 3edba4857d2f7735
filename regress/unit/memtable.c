#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ledger/sqlite/bloom.h"
#include "ledger/pack.h"
#include "ledger/sqlite/memtable.h"
#include "random.h"

/* What SQLite's counts are made of: packed, filtered, gathered in memory. */

/* --- pack --- */

static void
packed_counts_unpack_to_the_same(void **state)
{
	static const struct pack_count	in[] = {
		{ INT64_MIN, 1 }, { -1, INT64_MIN }, { 0, INT64_MAX },
		{ 1, -1 }, { 1700000000, 300 }, { 1700000001, 1 },
		{ INT64_MAX, 2 }
	};
	const size_t			n = sizeof(in) / sizeof(in[0]);
	struct pack_count		c;
	struct pack			p;
	struct str			s;
	const char			*id;
	size_t				len, i;

	(void)state;
	str_init(&s);
	pack_id(&s, "bob", 3, in, n);
	pack_id(&s, "", 0, in, 0);
	pack_id(&s, "a\0b", 3, in + 4, 1);
	pack_open(&p, s.data, s.len);
	assert_int_equal(pack_next(&p, &id, &len), 1);
	assert_int_equal(len, 3);
	assert_memory_equal(id, "bob", 3);
	for (i = 0; i < n; i++) {
		assert_int_equal(pack_count(&p, &c), 1);
		assert_true(c.date == in[i].date && c.amount == in[i].amount);
	}
	assert_int_equal(pack_count(&p, &c), 0);
	assert_int_equal(pack_next(&p, &id, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(pack_count(&p, &c), 0);
	assert_int_equal(pack_next(&p, &id, &len), 1);
	assert_memory_equal(id, "a\0b", 3);
	/* What is not taken is skipped. */
	assert_int_equal(pack_next(&p, &id, &len), 0);
	str_clear(&s);
}

/* Bytes that nobody packed: any answer, but never past their end. */
static void
broken_bytes_are_refused(void **state)
{
	struct random		random = { 99 };
	struct pack_count	c;
	struct pack		p;
	const char		*id;
	uint8_t			*bytes;
	size_t			 len, size, i, j, refused = 0;
	int			 more;

	(void)state;
	for (i = 0; i < 20000; i++) {
		size = (size_t)random_below(&random, 40);
		/* Exactly so long, for the sanitizer to see. */
		bytes = malloc(size + (size == 0));
		assert_non_null(bytes);
		for (j = 0; j < size; j++)
			bytes[j] = (uint8_t)(random_below(&random, 3) == 0 ?
			    random_below(&random, 256) :
			    random_below(&random, 8));
		pack_open(&p, bytes, size);
		while ((more = pack_next(&p, &id, &len)) == 1)
			while ((more = pack_count(&p, &c)) == 1)
				;
		refused += more == -1;
		free(bytes);
	}
	assert_true(refused > 1000 && refused < 20000);
}

static void
counts_are_sorted_and_summed(void **state)
{
	struct pack_count	c[] = {
		{ 5, 1 }, { 3, 2 }, { 5, 4 }, { 9, 7 }, { 9, -7 }, { 3, 1 },
		{ 4, INT64_MAX }, { 4, 1 }
	};

	(void)state;
	assert_int_equal(pack_sort(c, 8), 3);
	assert_true(c[0].date == 3 && c[0].amount == 3);
	assert_true(c[1].date == 4 && c[1].amount == INT64_MAX);
	assert_true(c[2].date == 5 && c[2].amount == 5);
	assert_int_equal(pack_sort(c, 0), 0);
}

/* --- Bloom filter --- */

static void
a_filter_knows_what_is_in_it(void **state)
{
	struct random	random = { 7 };
	struct bloom	f, copy;
	uint64_t	hash[3000];
	size_t		i, wrong = 0;

	(void)state;
	bloom_init(&f, 24000);
	for (i = 0; i < 3000; i++) {
		hash[i] = random_next(&random) ^ random_next(&random) << 32;
		bloom_add(&f, hash[i]);
	}
	bloom_fold(&f, 3000);
	assert_true(f.len <= 8192);
	bloom_load(&copy, f.bytes, f.len);
	for (i = 0; i < 3000; i++)
		assert_true(bloom_has(&f, hash[i]) &&
		    bloom_has(&copy, hash[i]));
	for (i = 0; i < 10000; i++)
		wrong += bloom_has(&copy, random_next(&random) ^
		    random_next(&random) << 32);
	assert_true(wrong < 300);
	bloom_clear(&copy);
	/* One that cannot be right knows nothing. */
	bloom_load(&copy, f.bytes, 192);
	assert_true(bloom_has(&copy, 1));
	bloom_clear(&copy);
	bloom_clear(&f);
}

/* --- memtable --- */

#define IDS	200
#define ROWS	5000

static size_t
name(char *id, size_t size, uint64_t i)
{
	return (size_t)snprintf(id, size, "user%u", (unsigned int)i);
}

/* A hash with many that are alike. */
static uint64_t
hash(uint64_t i)
{
	return i % 16 * UINT64_C(0x1111111111111111);
}

static void
memtable_holds_all_rows(void **state)
{
	static int64_t		model[IDS][100];
	const struct pack_count	*c;
	struct random		random = { 5 };
	struct memtable		*t;
	char			id[20];
	uint64_t		i, j;
	int64_t			date, amount;
	size_t			n, k, len, newer[IDS] = { 0 };

	(void)state;
	t = memtable_new();
	for (j = 0; j < ROWS; j++) {
		i = random_below(&random, IDS);
		date = (int64_t)(j / 100 + random_below(&random, 50));
		amount = random_from(&random, -1, 3);
		len = name(id, sizeof(id), i);
		memtable_add(t, hash(i), id, len, date, amount);
		model[i][date] += amount;
	}
	assert_int_equal(t->rows, ROWS);
	for (i = 0; i < IDS; i++) {
		len = name(id, sizeof(id), i);
		n = memtable_find(t, hash(i), id, len, &c);
		for (k = 0; k < n; k++) {
			newer[i] += c[k].date >= 50;
			assert_true(k == 0 || c[k - 1].date < c[k].date);
			assert_int_equal(c[k].amount, model[i][c[k].date]);
			model[i][c[k].date] = 0;
		}
		for (k = 0; k < 100; k++)
			assert_int_equal(model[i][k], 0);
	}
	assert_int_equal(memtable_find(t, 1, "nobody", 6, &c), 0);
	memtable_forget(t, 50);
	for (i = 0; i < IDS; i++) {
		len = name(id, sizeof(id), i);
		n = memtable_find(t, hash(i), id, len, &c);
		assert_int_equal(n, newer[i]);
		assert_true(n == 0 || c[0].date >= 50);
	}
	memtable_free(t);
}

static void
the_parts_of_a_run_hold_all_ids(void **state)
{
	struct bloom	f;
	struct memtable	*t;
	struct pack	p;
	struct str	s;
	char		id[20];
	const char	*found;
	uint64_t	i;
	size_t		part, len, n = 0;

	(void)state;
	t = memtable_new();
	for (i = 0; i < IDS; i++) {
		len = name(id, sizeof(id), i);
		memtable_add(t, hash(i), id, len, 1, 1);
	}
	assert_int_equal(memtable_ids(t), IDS);
	bloom_init(&f, IDS);
	memtable_divide(t, 3);
	str_init(&s);
	for (part = 0; part < 8; part++) {
		s.len = 0;
		memtable_part(t, part, &s, &f);
		pack_open(&p, s.data, s.len);
		while (pack_next(&p, &found, &len) == 1) {
			memcpy(id, found, len);
			id[len] = '\0';
			i = strtoull(id + 4, NULL, 10);
			assert_int_equal(hash(i) >> 61, part);
			assert_true(bloom_has(&f, hash(i)));
			n++;
		}
	}
	assert_int_equal(n, IDS);
	str_clear(&s);
	bloom_clear(&f);
	memtable_free(t);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(packed_counts_unpack_to_the_same),
		cmocka_unit_test(broken_bytes_are_refused),
		cmocka_unit_test(counts_are_sorted_and_summed),
		cmocka_unit_test(a_filter_knows_what_is_in_it),
		cmocka_unit_test(memtable_holds_all_rows),
		cmocka_unit_test(the_parts_of_a_run_hold_all_ids)
	};

	return cmocka_run_group_tests_name("memtable", tests, NULL, NULL);
}
