#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decision/lock.h"
#include "lib/window.h"

#define NOW	INT64_C(1700000000)
#define DAY	INT64_C(86400)
#define BOB	"login:bob"
#define RULE	"trap"

/* --- a request and the list of locks --- */

static void
put(struct override_list *l, uint8_t kind, const char *id, const char *who,
    int64_t amount, int64_t since, int64_t until)
{
	struct override	o = {
		.kind = kind, .amount = amount, .since = since, .until = until,
		.id = id, .idlen = strlen(id), .who = who,
		.wholen = strlen(who), .reason = ""
	};

	(void)override_list_set(l, &o);
}

static bool
strange(const void *arg, const struct override *lock)
{
	assert_true(lock_is_partial(lock));
	return *(const bool *)arg;
}

/* The id of the lock that closes a request of bob from 192.0.2.1, or "". */
static const char *
closed(const struct override_list *l, bool exempt, uint8_t has,
    const char *passes, const bool *unfamiliar, uint8_t *pass)
{
	struct lock_request	 r = {
		.subject = { .login = "bob", .loginlen = 3, .sender = "" },
		.exempt = exempt, .pass = has, .passes = passes,
		.passeslen = strlen(passes),
		.unfamiliar = unfamiliar != NULL ? strange : NULL,
		.arg = unfamiliar
	};
	const struct override	*lock;
	static char		 id[OVERRIDE_ID_MAX + 1];

	assert_int_equal(addr_parse(&r.subject.client, "192.0.2.1", 9), 0);
	if ((lock = lock_closed(l, &r, NOW, pass)) == NULL)
		return "";
	(void)snprintf(id, sizeof(id), "%.*s", (int)lock->idlen, lock->id);
	return id;
}

static void
lock_closes(void **state)
{
	struct override_list	*l = override_list_new();
	uint8_t			 pass = 9;

	(void)state;
	assert_string_equal(closed(l, false, 0, "", NULL, &pass), "");
	assert_int_equal(pass, 0);
	put(l, OVERRIDE_LOCK, "login:eve", RULE, 60, NOW, NOW + 60);
	put(l, OVERRIDE_LOCK, BOB, RULE, 60, NOW - 60, NOW);
	assert_string_equal(closed(l, false, 0, "", NULL, &pass), "");
	put(l, OVERRIDE_LOCK, BOB, RULE, 60, NOW, NOW + 1);
	assert_string_equal(closed(l, false, 0, "", NULL, &pass), BOB);
	assert_string_equal(closed(l, true, 0, "", NULL, &pass), "");
	put(l, OVERRIDE_LOCK, BOB, RULE, 0, 0, 0);
	put(l, OVERRIDE_LOCK, "network:192.0.2.0/24", RULE, 60, NOW, NOW + 9);
	assert_string_equal(closed(l, false, 0, "", NULL, &pass),
	    "network:192.0.2.0/24");
	override_list_free(l);
}

/* A mail passes each lock that holds, or none. */
static void
lock_passes(void **state)
{
	const uint8_t		 both = LOCK_PASS_LOGIN | LOCK_PASS_CLIENT;
	struct override_list	*l = override_list_new();
	uint8_t			 pass;

	(void)state;
	put(l, OVERRIDE_LOCK, BOB, RULE, 60, NOW, NOW + 60);
	assert_string_equal(closed(l, false, both, "tra,trapp,x", NULL, &pass),
	    BOB);
	assert_string_equal(closed(l, false, 0, RULE, NULL, &pass), BOB);
	assert_string_equal(closed(l, false, both, "x," RULE, NULL, &pass), "");
	assert_int_equal(pass, LOCK_PASS_LOGIN);
	put(l, OVERRIDE_LOCK, "network:192.0.2.1", "other", 60, NOW, NOW + 60);
	put(l, OVERRIDE_LOCK, "network:192.0.2.1/32", "other", 60, NOW,
	    NOW + 60);
	assert_string_not_equal(closed(l, false, both, RULE, NULL, &pass), "");
	assert_string_equal(closed(l, false, both, RULE ",other", NULL, &pass),
	    "");
	assert_int_equal(pass, both);
	override_list_free(l);
}

/* A lock for unfamiliar networks needs to know which they are. */
static void
lock_unfamiliar(void **state)
{
	struct override_list	*l = override_list_new();
	bool			 unfamiliar = true;
	uint8_t			 pass;

	(void)state;
	put(l, OVERRIDE_LOCK, "unfamiliar:bob", RULE, 60, NOW, NOW + 60);
	assert_string_equal(closed(l, false, 0, "", NULL, &pass), "");
	assert_string_equal(closed(l, false, 0, "", &unfamiliar, &pass),
	    "unfamiliar:bob");
	assert_string_equal(closed(l, false, LOCK_PASS_LOGIN, RULE,
	    &unfamiliar, &pass), "");
	assert_int_equal(pass, LOCK_PASS_LOGIN);
	unfamiliar = false;
	assert_string_equal(closed(l, false, 0, "", &unfamiliar, &pass), "");
	put(l, OVERRIDE_LOCK, BOB, RULE, 60, NOW, NOW + 60);
	assert_string_equal(closed(l, false, 0, "", &unfamiliar, &pass), BOB);
	override_list_free(l);
}

/* --- the end of a lock --- */

static void
lock_lasts(void **state)
{
	struct override	o = { .amount = 60, .since = NOW, .until = NOW + 60 };

	(void)state;
	assert_false(lock_outlasts(&o, 60, NOW));
	assert_false(lock_outlasts(&o, 0, NOW));
	/* The clock was ahead when it was made. */
	assert_true(lock_outlasts(&o, 60, NOW - DAY));
	assert_int_equal(o.until, NOW - DAY + 60);
	assert_int_equal(o.since, NOW - DAY);
	/* Its rule has a shorter time now. */
	assert_true(lock_outlasts(&o, 10, NOW - DAY));
	assert_int_equal(o.until, NOW - DAY + 10);
	lock_end(&o, NOW);
	assert_int_equal(o.since, NOW + 1);
}

static void
lock_keys(void **state)
{
	struct msg_charge_key	rule = { .pass = 0 };
	struct msg_charge_key	login = { .pass = LOCK_PASS_LOGIN };

	(void)state;
	assert_true(decision_counts(&rule, 0));
	assert_false(decision_counts(&login, 0));
	assert_false(decision_counts(&rule, LOCK_PASS_LOGIN));
	assert_true(decision_counts(&login, LOCK_PASS_LOGIN));
	assert_false(decision_counts(&login, LOCK_PASS_CLIENT));
}

/* --- what hits lock --- */

struct hits {
	struct override_list	*list;
	struct limit		 limit;
	struct msg_charge_key	 charge;
	struct limits		 limits;
	struct window		 window;
	struct decision		 d;
	struct msg_verdict	 v;
	struct lock_hit		 hit[CHARGE_KEYS_MAX];
};

/* A key with the limit [2, 3600], hit by one mail more. */
static void
hits_init(struct hits *h)
{
	memset(h, 0, sizeof(*h));
	h->list = override_list_new();
	h->limit = (struct limit){ 2, 3600 };
	h->limits = (struct limits){ 1, &h->limit };
	h->charge.id = "trap:bob";
	h->charge.idlen = 8;
	h->charge.lock = (struct msg_charge_lock){ .seconds = 600,
	    .again = 1200, .id = BOB, .idlen = strlen(BOB), .rule = RULE,
	    .rulelen = strlen(RULE) };
	window_init(&h->window);
	window_add(&h->window, NOW - 100, 1);
	window_add(&h->window, NOW, 1);
	h->d.now = NOW;
	h->d.nkeys = 1;
	h->d.key[0].charge = &h->charge;
	h->d.key[0].limits = &h->limits;
	h->d.key[0].window = &h->window;
	h->d.key[0].amount = 1;
	h->d.key[0].seen = -1;
	h->d.nhits = 1;
}

static size_t
hits_lock(struct hits *h)
{
	memset(&h->v, 0, sizeof(h->v));
	return lock_hits(&h->d, h->list, &h->v, h->hit, CHARGE_KEYS_MAX);
}

static void
hits_clear(struct hits *h)
{
	override_list_free(h->list);
	window_clear(&h->window);
}

static void
lock_made(void **state)
{
	struct hits	h;

	(void)state;
	hits_init(&h);
	assert_int_equal(hits_lock(&h), 1);
	assert_int_equal(h.v.locked, 1);
	assert_int_equal(h.v.locked_until[0], NOW + 600);
	assert_int_equal(h.hit[0].lock.kind, OVERRIDE_LOCK);
	assert_int_equal(h.hit[0].lock.until, NOW + 600);
	assert_int_equal(h.hit[0].record.kind, OVERRIDE_LOCKED);
	assert_int_equal(h.hit[0].record.amount, NOW);
	assert_int_equal(h.hit[0].record.since, NOW + 600);
	assert_int_equal(h.hit[0].record.until, NOW + 600 + LOCK_AGAIN);
	/* A longer window is remembered for longer. */
	h.limit.seconds = LOCK_AGAIN + DAY;
	assert_int_equal(hits_lock(&h), 1);
	assert_int_equal(h.hit[0].record.until, NOW + 600 + LOCK_AGAIN + DAY);
	h.charge.shadow = true;
	assert_int_equal(hits_lock(&h), 0);
	assert_int_equal(h.v.would_lock, 1);
	assert_int_equal(h.v.locked, 0);
	h.charge.shadow = false;
	put(h.list, OVERRIDE_LOCK, BOB, "other", 9, NOW, NOW + 9);
	assert_int_equal(hits_lock(&h), 0);
	h.charge.lock.seconds = 0;
	put(h.list, OVERRIDE_LOCK, BOB, "", 0, 0, 0);
	assert_int_equal(hits_lock(&h), 0);
	hits_clear(&h);
}

/* Two keys of one request that lock the same login lock it once. */
static void
lock_made_once(void **state)
{
	struct hits	h;

	(void)state;
	hits_init(&h);
	h.d.nkeys = h.d.nhits = 2;
	h.d.key[1] = h.d.key[0];
	h.d.hits[1].key = 1;
	assert_int_equal(hits_lock(&h), 1);
	assert_int_equal(h.v.locked, 1);
	hits_clear(&h);
}

/* How long the lock lasts after one that ended so many seconds ago; 0: none. */
static int64_t
lasts_after(struct hits *h, int64_t ago)
{
	put(h->list, OVERRIDE_LOCKED, BOB, RULE, NOW - ago - 600, NOW - ago,
	    NOW + DAY);
	return hits_lock(h) == 0 ? 0 : h->hit[0].lock.amount;
}

static void
lock_again(void **state)
{
	struct hits	h;

	(void)state;
	hits_init(&h);
	/* The window was filled after the end, or in part before. */
	assert_int_equal(lasts_after(&h, 101), 1200);
	assert_int_equal(lasts_after(&h, 100), 1200);
	assert_int_equal(lasts_after(&h, 99), 0);
	assert_int_equal(lasts_after(&h, 0), 0);
	/* policyctl unblock in the second of the hit. */
	assert_int_equal(lasts_after(&h, -1), 0);
	/* By a clock that was ahead. */
	assert_int_equal(lasts_after(&h, -2), 600);
	assert_int_equal(lasts_after(&h, LOCK_AGAIN), 1200);
	assert_int_equal(lasts_after(&h, LOCK_AGAIN + 1), 600);
	/* A mail that is too big alone. */
	h.limit.mails = 0;
	assert_int_equal(lasts_after(&h, 0), 1200);
	hits_clear(&h);
}

/* max_per_mail: what the mail was charged before the end does not count. */
static void
lock_per_mail(void **state)
{
	struct hits	h;

	(void)state;
	hits_init(&h);
	h.d.hits[0].window = DECISION_MAIL;
	assert_int_equal(lasts_after(&h, 5), 1200);
	h.d.key[0].charged = 3;
	h.d.key[0].charged_at = NOW - 6;
	assert_int_equal(lasts_after(&h, 5), 0);
	h.d.key[0].charged_at = NOW - 5;
	assert_int_equal(lasts_after(&h, 5), 1200);
	hits_clear(&h);
}

/* A charge of others locks when it reaches the limit, not beyond it. */
static void
lock_external(void **state)
{
	struct hits	h;

	(void)state;
	hits_init(&h);
	h.charge.kind = CHARGE_EXTERNAL;
	h.limit.mails = 3;
	assert_int_equal(lasts_after(&h, 100), 1200);
	assert_int_equal(lasts_after(&h, 99), 0);
	hits_clear(&h);
}

/* A rule sets 100 locks in ten minutes; those of others are not counted. */
static void
lock_most(void **state)
{
	struct hits	h;
	char		id[32];
	int		i;

	(void)state;
	hits_init(&h);
	for (i = 0; i < LOCK_MOST; i++) {
		snprintf(id, sizeof(id), "login:%d", i);
		put(h.list, OVERRIDE_LOCKED, id, i < LOCK_MOST - 1 ? RULE :
		    "other", NOW - LOCK_PERIOD + 1, NOW, NOW + DAY);
	}
	assert_int_equal(hits_lock(&h), 1);
	put(h.list, OVERRIDE_LOCKED, "login:x", RULE, NOW - LOCK_PERIOD, NOW,
	    NOW + DAY);
	assert_int_equal(hits_lock(&h), 1);
	put(h.list, OVERRIDE_LOCKED, "login:x", RULE, NOW, NOW, NOW + DAY);
	assert_int_equal(hits_lock(&h), 0);
	assert_int_equal(h.v.unlocked, 1);
	hits_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(lock_closes),
		cmocka_unit_test(lock_passes),
		cmocka_unit_test(lock_unfamiliar),
		cmocka_unit_test(lock_lasts),
		cmocka_unit_test(lock_keys),
		cmocka_unit_test(lock_made),
		cmocka_unit_test(lock_made_once),
		cmocka_unit_test(lock_again),
		cmocka_unit_test(lock_per_mail),
		cmocka_unit_test(lock_external),
		cmocka_unit_test(lock_most),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
