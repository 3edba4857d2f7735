#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ledger/batch/charge_batch.h"
#include "memstore.h"

/*
 * Several ledgers on one database that conflicts, fails and loses connections
 * at random: no limit is exceeded, nothing is refused without reason, and what
 * is answered is recorded exactly once.
 */
#define START	INT64_C(1700000000)
#define LEDGERS	3
#define IDS	4		/* "d" counts different values */
#define VALUES	50
#define CHARGES	10000
#define LIMIT	36
#define VALUE_LIMIT	12
#define WINDOW	40
#define CHANCE	INT64_C(400000)	/* ns until an early deadline */
#define GRANTS	8
#define FOREVER	INT64_C(4000000000)

enum fate {
	WAITING,
	UNANSWERED,		/* its ledger was lost */
	ACCEPTED,
	REFUSED,
	UNAVAILABLE
};

static struct asked {
	enum fate	fate;
	bool		unclear;	/* a lost ledger may have recorded it */
	int64_t		amount;
	char		id[2];
	char		instance[16];
	char		value[8];
} asked[CHARGES];

static struct daemon {
	struct store		 store;
	struct cache		*cache;
	struct lookup		*limits;
	struct lookup		*ids;
	struct charge_batch	*batch;
	size_t			 waiting[64];
	size_t			 nwaiting;
} daemons[LEDGERS];

/* Grants that policyctl sets and ends; each has one request at a time. */
static struct grant {
	struct daemon	*asked;		/* NULL: no request waits */
	int64_t		 amount;	/* 0: none */
	int64_t		 wanted;
	bool		 early;		/* its deadline */
} grants[GRANTS];

static struct {
	size_t	done;
	size_t	none;
	size_t	failed;
	size_t	early;
	size_t	lost;
	size_t	unanswered;
} changes;

static struct memstore	db;
static struct settings	*settings;
static int64_t		now;
static size_t		refused[64];	/* by this run */
static size_t		nrefused;
static int64_t		accepted;	/* of "c", by this run */
static size_t		others;
static size_t		resets;
static int64_t		reset_sum;	/* of "c" after a reset; -1: none */

static void
start(struct daemon *d)
{
	memset(d, 0, sizeof(*d));
	d->store.db = &db;
	d->cache = cache_new((size_t)1 << 20);
	d->limits = lookup_new(LOOKUP_LIMITS, settings);
	d->ids = lookup_new(LOOKUP_IDS, settings);
	d->batch = charge_batch_new(d->cache, &d->store, d->limits, d->ids,
	    settings);
	while (charge_batch_start(d->batch, now) != STORE_OK)
		d->store.lost = false;
}

static void
stop(struct daemon *d)
{
	charge_batch_free(d->batch);
	lookup_free(d->limits);
	lookup_free(d->ids);
	cache_free(d->cache);
	memstore_clear(&d->store.queued);
}

static int64_t
limit_of(const char *id)
{
	return id[0] == 'd' ? VALUE_LIMIT : LIMIT;
}

/* Another daemon commits first, if there is room. */
static void
other_commits(const struct store_batch *b)
{
	struct memstore_row	row = { .instance = "other", .amount = 1 };
	const struct store_touch *t;

	if (b->ntouch == 0)
		return;
	t = &b->touch[random_below(&db.random, b->ntouch)];
	memstore_text(row.id, t->id, t->idlen);
	row.date = now;
	if (row.id[0] == 'd' ||
	    memstore_sum(&db, row.id, NULL, now - WINDOW) == LIMIT)
		return;
	memstore_add(&db, &row);
	others++;
}

static void
put_charge(struct str *s, const struct asked *a, int64_t deadline)
{
	static struct msg_charge	m;

	memset(&m, 0, offsetof(struct msg_charge, keys));
	memset(&m.keys[0], 0, sizeof(m.keys[0]));
	m.deadline = deadline;
	m.instance = a->instance;
	m.instancelen = strlen(a->instance);
	m.state = m.login = m.sender = m.client = "";
	m.nkeys = 1;
	m.keys[0].id = a->id;
	m.keys[0].idlen = 1;
	m.keys[0].amount = a->amount;
	m.keys[0].value = a->value;
	if (a->value[0] != '\0') {
		m.keys[0].kind = CHARGE_DISTINCT;
		m.keys[0].valuelen = strlen(a->value);
	}
	m.keys[0].limits.count = 1;
	m.keys[0].limits.list = m.store;
	m.store[0].mails = limit_of(a->id);
	m.store[0].seconds = WINDOW;
	str_init(s);
	msg_charge_put(s, &m);
}

static void
send_charge(struct daemon *d, size_t n, int64_t deadline)
{
	struct asked	*a = &asked[n];
	struct str	 s;

	put_charge(&s, a, deadline);
	assert_int_equal(charge_batch_add(d->batch, MSG_CHARGE, n, s.data,
	    s.len), 0);
	str_clear(&s);
	a->fate = WAITING;
	d->waiting[d->nwaiting++] = n;
}

static void
send_reset(struct daemon *d)
{
	const struct asked	c = { .id = "c" };
	struct str		s;

	put_charge(&s, &c, INT64_MAX);
	assert_int_equal(charge_batch_add(d->batch, MSG_RESET, CHARGES, s.data,
	    s.len), 0);
	str_clear(&s);
}

static void
grant_id(char id[3], size_t i)
{
	id[0] = 'g';
	id[1] = (char)('0' + i);
	id[2] = '\0';
}

static int64_t
grant_there(size_t i)
{
	const struct memstore_override	*o;
	char				 id[3];

	grant_id(id, i);
	o = memstore_override(&db, id, OVERRIDE_GRANT);
	return o->until > now ? o->amount : 0;
}

static void
send_grant(struct daemon *d, size_t i)
{
	const struct msg_overridden	none = { .nids = 0 };
	struct grant			*g = &grants[i];
	struct override			 o = { .kind = OVERRIDE_GRANT,
					    .since = now, .who = "root",
					    .wholen = 4, .reason = "" };
	char				 id[3];
	int64_t				 deadline = INT64_MAX;

	grant_id(id, i);
	g->asked = d;
	g->wanted = random_below(&db.random, 3) == 0 ? 0 :
	    random_from(&db.random, 1, 1000000);
	g->early = random_below(&db.random, 20) == 0;
	if (g->early)
		deadline = clock_mono().ns + CHANCE;
	o.id = id;
	o.idlen = 2;
	o.amount = g->wanted;
	o.until = g->wanted > 0 ? FOREVER : 0;
	charge_batch_change(d->batch, i, &o, 1, &none,
	    (struct mono){ deadline });
}

static void
on_overridden(void *arg, uint64_t request, const struct msg_overridden *answer)
{
	const struct daemon	*d = arg;
	struct grant		*g = &grants[request];

	assert_true(request < GRANTS && g->asked == d);
	g->asked = NULL;
	switch (answer->result) {
	case OVERRIDE_DONE:
		changes.done++;
		g->amount = g->wanted;
		break;
	case OVERRIDE_WAS_NONE:
		changes.none++;
		assert_int_equal(g->wanted, 0);
		assert_int_equal(g->amount, 0);
		break;
	default:
		assert_int_equal(answer->result, OVERRIDE_FAILED);
		changes.failed++;
		changes.early += g->early && !d->store.lost;
		changes.lost += d->store.lost;
	}
	/* A failed one has changed nothing. */
	assert_int_equal(grant_there(request), g->amount);
}

/* The ledger was lost: the change was made or not. */
static void
grants_lost(const struct daemon *d)
{
	size_t	i;

	for (i = 0; i < GRANTS; i++) {
		if (grants[i].asked != d)
			continue;
		grants[i].asked = NULL;
		changes.unanswered++;
		assert_true(grant_there(i) == grants[i].amount ||
		    grant_there(i) == grants[i].wanted);
		grants[i].amount = grant_there(i);
	}
}

/* What follows it in its batch may have been accepted. */
static void
on_weighed(void *arg, uint64_t request, const struct msg_weighed *w)
{
	(void)arg;
	assert_int_equal(request, CHARGES);
	if (w->verdict.verdict == VERDICT_ACCEPTED)
		reset_sum = memstore_sum(&db, "c", NULL, now - WINDOW);
	resets += w->verdict.verdict == VERDICT_ACCEPTED;
}

static void
on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct daemon	*d = arg;
	struct asked	*a = &asked[request];
	size_t		 i;

	assert_int_equal(a->fate, WAITING);
	for (i = 0; d->waiting[i] != request; i++)
		assert_true(i + 1 < d->nwaiting);
	d->waiting[i] = d->waiting[--d->nwaiting];
	switch (v->verdict) {
	case VERDICT_ACCEPTED:
		a->fate = ACCEPTED;
		accepted += a->id[0] == 'c' ? a->amount : 0;
		break;
	case VERDICT_REFUSED:
		a->fate = REFUSED;
		refused[nrefused++] = request;
		break;
	default:
		assert_int_equal(v->verdict, VERDICT_UNAVAILABLE);
		a->fate = UNAVAILABLE;
	}
}

static void
on_hit(void *arg, const struct charge_hit *hit)
{
	(void)arg;
	(void)hit;
}

static bool
on_more(void *arg)
{
	(void)arg;
	return random_below(&db.random, 2) == 0;
}

static void
limits_hold(void)
{
	static const char	*const ids[IDS] = { "a", "b", "c", "d" };
	int64_t			 values = 0;
	size_t			 i;

	for (i = 0; i < IDS; i++)
		assert_true(memstore_sum(&db, ids[i], NULL, now - WINDOW) <=
		    limit_of(ids[i]));
	/* A value counts where it was seen last. */
	for (i = 0; i < db.nvalue; i++)
		values += db.value[i].date >= now - WINDOW;
	assert_int_equal(memstore_sum(&db, "d", NULL, now - WINDOW), values);
}

/* The next ledger is asked what the lost one did not answer. */
static void
replace(struct daemon *d)
{
	size_t	again[64], n = d->nwaiting, i;

	memcpy(again, d->waiting, n * sizeof(again[0]));
	grants_lost(d);
	stop(d);
	start(d);
	for (i = 0; i < n; i++) {
		asked[again[i]].unclear = true;
		send_charge(d, again[i], INT64_MAX);
	}
}

/* Of "c": what is recorded and not answered yet. */
static int64_t
unanswered(const struct daemon *d)
{
	const struct asked	*a;
	int64_t			 sum = 0;
	size_t			 i;

	for (i = 0; i < d->nwaiting; i++) {
		a = &asked[d->waiting[i]];
		if (a->id[0] == 'c')
			sum += memstore_sum(&db, "c", a->instance, 0);
	}
	return sum;
}

static enum store_result
run(struct daemon *d)
{
	enum store_result	 result;
	const struct asked	*a;
	/* Then some of the answers were decided in an earlier run. */
	bool			 earlier = d->store.unflushed;
	size_t			 i;

	d->batch->answers = (struct charge_answers){
		.verdict = on_verdict, .hit = on_hit, .arg = d,
		.weighed = on_weighed, .more = on_more,
		.overridden = on_overridden
	};
	nrefused = 0;
	accepted = 0;
	reset_sum = -1;
	result = charge_batch_run(d->batch, now, clock_mono());
	/*
	 * In a batch that failed others were accepted, and not recorded. A
	 * reset makes room for "c" after others were refused.
	 */
	for (i = 0; i < nrefused && result == STORE_OK && !earlier; i++) {
		a = &asked[refused[i]];
		assert_true((a->id[0] == 'c' && reset_sum != -1) ||
		    memstore_sum(&db, a->id, NULL, now - WINDOW) +
		    a->amount > limit_of(a->id));
	}
	if (reset_sum != -1 && !earlier)
		assert_true(reset_sum <= accepted + unanswered(d));
	if (result != STORE_LOST &&
	    charge_batch_flush(d->batch, random_below(&db.random, 2) == 0) ==
	    STORE_LOST)
		result = STORE_LOST;
	limits_hold();
	if (result == STORE_LOST)
		replace(d);
	return result;
}

static void
exact(void)
{
	const struct asked	*a;
	int64_t			 sum, answered = 0;
	size_t			 i;

	for (i = 0; i < CHARGES; i++) {
		a = &asked[i];
		sum = memstore_sum(&db, a->id, a->instance, 0);
		answered += sum;
		if (a->id[0] == 'd')
			continue;
		if (a->fate == ACCEPTED)
			assert_int_equal(sum, a->amount);
		else if (a->fate == UNAVAILABLE && a->unclear)
			assert_true(sum == 0 || sum == a->amount);
		else
			assert_int_equal(sum, 0);
	}
	for (i = 0, sum = 0; i < db.nrow; i++)
		if (strcmp(db.row[i].instance, "reset") != 0)
			sum += db.row[i].amount;
	assert_int_equal(sum, answered + (int64_t)others);
}

/* Sends up to seven charges, from number n on. Returns the next number. */
static size_t
send_charges(struct daemon *d, size_t n)
{
	struct asked	*a;
	size_t		 i;

	for (i = random_below(&db.random, 8); i > 0 && n < CHARGES &&
	    d->nwaiting < 40; i--, n++) {
		a = &asked[n];
		a->amount = random_from(&db.random, 1, 3);
		a->id[0] = (char)('a' + random_below(&db.random, IDS));
		if (a->id[0] == 'd') {
			a->amount = 1;
			(void)snprintf(a->value, sizeof(a->value), "v%u",
			    (unsigned int)random_below(&db.random, VALUES));
		}
		(void)snprintf(a->instance, sizeof(a->instance), "i%zu", n);
		send_charge(d, n, random_below(&db.random, 20) == 0 ?
		    clock_mono().ns + CHANCE : INT64_MAX);
	}
	return n;
}

static void
limits_are_exact_despite_conflicts(void **state)
{
	struct daemon	*d;
	size_t		 n = 0, fates[UNAVAILABLE + 1] = { 0 }, retried = 0, i;
	bool		 busy = false;

	(void)state;
	now = START;
	settings = settings_new();
	db.random.state = 3;
	db.busy = 50;
	db.conflict = 300;
	db.failure = 20;
	db.loss = 20;
	db.late = 30;
	db.piece = 300;
	db.slow = 500;
	db.spin = CHANCE * 2;
	db.other = other_commits;
	for (i = 0; i < LEDGERS; i++)
		start(&daemons[i]);
	while (n < CHARGES) {
		d = &daemons[random_below(&db.random, LEDGERS)];
		n = send_charges(d, n);
		if (random_below(&db.random, 50) == 0)
			send_reset(d);
		i = random_below(&db.random, GRANTS);
		if (random_below(&db.random, 2) == 0 && grants[i].asked == NULL)
			send_grant(d, i);
		retried += busy && d->nwaiting > 0;
		busy = run(d) == STORE_BUSY;
		now += random_from(&db.random, 0, 2);
	}
	db.busy = db.conflict = db.failure = db.loss = db.piece = db.slow = 0;
	for (i = 0; i < LEDGERS; i++) {
		while (daemons[i].batch->count > 0)
			assert_int_not_equal(run(&daemons[i]), STORE_BUSY);
		assert_int_equal(charge_batch_flush(daemons[i].batch, true),
		    STORE_OK);
	}
	exact();
	for (i = 0; i < CHARGES; i++)
		fates[asked[i].fate]++;
	/* Everything did happen. A conflict is no failure. */
	assert_int_equal(fates[WAITING] + fates[UNANSWERED], 0);
	assert_true(fates[ACCEPTED] > CHARGES / 4);
	assert_true(fates[REFUSED] > CHARGES / 10);
	assert_true(fates[UNAVAILABLE] > 50);
	assert_true(fates[UNAVAILABLE] < CHARGES / 10);
	assert_true(db.conflicts > 500 && db.losses > 20 && others > 50);
	assert_true(retried > 100 && resets > 20);
	/* A conflict neither loses a change nor makes it fail. */
	assert_true(changes.done > 400 && changes.none > 50);
	assert_true(changes.early > 0 && changes.unanswered > 10);
	assert_true((changes.failed - changes.early - changes.lost) * 10 <
	    changes.done);
	for (i = 0; i < LEDGERS; i++)
		stop(&daemons[i]);
	memstore_clear(&db);
	settings_free(settings);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(limits_are_exact_despite_conflicts)
	};

	return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
