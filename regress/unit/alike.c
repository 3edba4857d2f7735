#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/memory.h"
#include "ledger/batch/charge_batch.h"
#include "memstore.h"

/*
 * The ledger, with an empty database, and the engine's memory decide the same
 * random charges, and must not differ.
 */
#define START		INT64_C(1700000000)
#define CHARGES		100000
#define IDS		6
#define RECENT		8	/* instances in use at one time */

/* --- charges --- */

struct instance {
	char	name[16];
	int64_t	tag[3];			/* used already; 0: none */
	int64_t	total;			/* of its latest charge without tag */
};

static struct random	r;
static struct instance	recent[RECENT];
static uint64_t		made;		/* instances */
static struct msg_charge	charge;

static int64_t
some_tag(struct instance *in)
{
	int64_t	*tag = &in->tag[random_below(&r, 3)];

	if (*tag == 0 || random_below(&r, 3) == 0)
		*tag = (int64_t)(random_next(&r) >> 1) | 1;
	return *tag;
}

/* What rule `id` is stays the same; what is charged is random. */
static void
make_key(struct msg_charge_key *key, uint64_t id, const struct instance *in)
{
	static struct limit		 limits[IDS][2] = {
		{ { 6, 20 } },
		{ { 8, 10 }, { 20, 60 } },
		{ { 5, 30 } },
		{ { 3, 15 }, { 5, 90 } },
		{ { 4, 40 } },
		{ { 10, 120 }, { 0, 1 } }
	};
	static const char		*const ids[IDS] = {
		"a", "b", "c", "d", "e", "f"
	};
	static const char		*const words[] = {
		"", "u", "v", "w", "x", "y", "z", "uu", "vv"
	};
	const char			*word;

	memset(key, 0, sizeof(*key));
	key->id = ids[id];
	key->idlen = 1;
	key->amount = random_from(&r, 0, 3) + (charge.tag == 0 ? in->total : 0);
	key->kind = id == 2 ? CHARGE_TOTAL : id == 3 || id == 4 ?
	    CHARGE_DISTINCT : CHARGE_SUM;
	word = key->kind != CHARGE_DISTINCT ? "" :
	    words[random_below(&r, sizeof(words) / sizeof(words[0]))];
	key->value = word;
	key->valuelen = strlen(word);
	if (key->kind == CHARGE_DISTINCT)
		key->amount = 1;
	/* The second window of the last one is always full. */
	key->soft = id == 1 || id == 4 || random_below(&r, 6) == 0;
	key->shadow = id == 5 || random_below(&r, 8) == 0;
	key->max_per_mail = random_below(&r, 4) == 0 ? 4 : 0;
	key->warn_at = random_below(&r, 2) == 0 ? 60 : 0;
	key->report = true;
	key->limits.list = limits[id];
	key->limits.count = limits[id][1].seconds > 0 ? 2 : 1;
}

static void
make_charge(void)
{
	struct instance	*in = &recent[random_below(&r, RECENT)];
	uint64_t	 id;

	if (in->name[0] == '\0' || random_below(&r, 12) == 0) {
		memset(in, 0, sizeof(*in));
		(void)snprintf(in->name, sizeof(in->name), "i%u",
		    (unsigned int)made++);
	}
	memset(&charge, 0, offsetof(struct msg_charge, keys));
	charge.mode = random_below(&r, 4) == 0 ? CHARGE_EACH : CHARGE_ONCE;
	charge.deadline = INT64_MAX;
	charge.instance = random_below(&r, 10) == 0 ? "" : in->name;
	charge.instancelen = strlen(charge.instance);
	charge.state = "";
	charge.login = charge.sender = charge.client = "";
	charge.tag = charge.mode == CHARGE_EACH || random_below(&r, 2) == 0 ?
	    some_tag(in) : 0;
	for (id = 0; id < IDS; id++)
		if (random_below(&r, 3) == 0)
			make_key(&charge.keys[charge.nkeys++], id, in);
	if (charge.nkeys == 0)
		make_key(&charge.keys[charge.nkeys++], 0, in);
	if (charge.tag == 0)
		in->total += random_from(&r, 0, 1);
}

/* --- the two --- */

static struct msg_verdict	by_ledger, by_memory;
static struct msg_weighed	weighed_by_memory;
static struct str		windows_of_ledger;	/* as a message */

static void
on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	(void)arg;
	(void)request;
	by_ledger = *v;
}

static void
on_weighed(void *arg, uint64_t request, const struct msg_weighed *w)
{
	(void)arg;
	(void)request;
	windows_of_ledger.len = 0;
	msg_weighed_put(&windows_of_ledger, w);
}

static void
on_hit(void *arg, const struct charge_hit *hit)
{
	(void)arg;
	(void)hit;
}

static void
same_bytes(int n, const char *what, const struct str *a, const struct str *b)
{
	if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
		fail_msg("charge %d: the %s differ: verdict %u %u, key %u %u, "
		    "used %lld %lld, retry_after %lld %lld, over %x %x", n,
		    what, by_ledger.verdict, by_memory.verdict, by_ledger.key,
		    by_memory.key, (long long)by_ledger.used,
		    (long long)by_memory.used,
		    (long long)by_ledger.retry_after,
		    (long long)by_memory.retry_after, by_ledger.over,
		    by_memory.over);
}

static void
decide_both(int n, struct charge_batch *batch, struct memory *memory,
    int64_t now)
{
	struct mono	mono = { 1000 };
	struct str	a, b;

	batch->answers = (struct charge_answers){
		.verdict = on_verdict, .weighed = on_weighed, .hit = on_hit
	};
	str_init(&a);
	str_init(&b);
	msg_charge_put(&a, &charge);
	assert_int_equal(charge_batch_add(batch, MSG_WEIGH, 0, a.data, a.len),
	    0);
	assert_int_equal(charge_batch_add(batch, MSG_CHARGE, 0, a.data, a.len),
	    0);
	memset(&by_ledger, 0xff, sizeof(by_ledger));
	assert_int_equal(charge_batch_run(batch, now, mono), STORE_OK);
	memory_weigh(memory, &charge, now, &weighed_by_memory);
	memory_decide(memory, &charge, now, &by_memory);
	a.len = 0;
	msg_verdict_put(&a, &by_ledger);
	msg_verdict_put(&b, &by_memory);
	same_bytes(n, "verdicts", &a, &b);
	b.len = 0;
	msg_weighed_put(&b, &weighed_by_memory);
	same_bytes(n, "windows", &windows_of_ledger, &b);
	str_clear(&a);
	str_clear(&b);
}

static void
ledger_and_memory_decide_alike(void **state)
{
	struct settings		*settings = settings_new();
	struct cache		*cache = cache_new((size_t)1 << 26);
	struct lookup		*limits = lookup_new(LOOKUP_LIMITS, settings);
	struct lookup		*ids = lookup_new(LOOKUP_IDS, settings);
	struct memstore		 db = { .nrow = 0 };
	struct store		 store = { .db = &db };
	struct charge_batch	*batch;
	struct memory		*memory = memory_new((size_t)1 << 26);
	int64_t			 now = START;
	size_t			 verdicts[VERDICT__MAX] = { 0 };
	size_t			 over = 0, shadowed = 0, warned = 0, mails = 0;
	int			 n;

	(void)state;
	r.state = 17;
	str_init(&windows_of_ledger);
	batch = charge_batch_new(cache, &store, limits, ids, settings);
	for (n = 0; n < CHARGES; n++) {
		make_charge();
		decide_both(n, batch, memory, now);
		verdicts[by_ledger.verdict]++;
		over += by_ledger.over != 0;
		shadowed += by_ledger.shadowed != 0;
		warned += by_ledger.warned != 0;
		mails += by_ledger.per_mail;
		now += random_from(&r, 0, 3);
		if (random_below(&r, 100) == 0)
			now += random_from(&r, 0, 100);
	}
	/* Everything did occur. */
	assert_true(verdicts[VERDICT_ACCEPTED] > CHARGES / 10);
	assert_true(verdicts[VERDICT_REFUSED] > CHARGES / 10);
	assert_true(over > CHARGES / 100);
	assert_true(shadowed > CHARGES / 100);
	assert_true(warned > CHARGES / 100);
	assert_true(mails > CHARGES / 100);
	charge_batch_free(batch);
	lookup_free(limits);
	lookup_free(ids);
	cache_free(cache);
	settings_free(settings);
	memory_free(memory);
	str_clear(&windows_of_ledger);
	memstore_clear(&db);
	memstore_clear(&store.queued);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(ledger_and_memory_decide_alike)
	};

	return cmocka_run_group_tests_name("alike", tests, NULL, NULL);
}
