#include <errno.h>
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
#include "ledger/clean.h"
#include "lib/alloc.h"

/*
 * Group commit, with a store that keeps nothing but a list of what it was
 * asked, and that fails when it is told to.
 */
#define NOW	INT64_C(1700000000)

struct store_cursor {
	bool	loaded;
	bool	begun;
};

static struct {
	enum store_result	begin;
	enum store_result	commit;
	size_t			unread;		/* begins until ids are read */
	int64_t			used;		/* of an id first read */
	char			calls[512];
	size_t			rows;
	int64_t			amount;		/* of the last row */
	char			id[300];	/* of the last row */
	size_t			touched;
	enum store_result	set;		/* of the next change only */
	size_t			old;		/* blocks to be corrected */
	size_t			written;	/* overrides, by how many */
	size_t			writes;		/* calls */
	int64_t			lasts;		/* ms that each of them takes */
	bool			slow;		/* commits wait for a flush */
	bool			unflushed;
	void			(*flushed)(void *);
	void			*arg;
} store;

static void
called(const char *what)
{
	(void)strlcat(store.calls, what, sizeof(store.calls));
}

enum store_result
store_begin(struct store *s, struct store_batch *b,
    const struct store_reader *r)
{
	struct store_row	row;
	size_t			i;

	(void)s;
	called("B");
	store.touched = b->ntouch;
	if (store.begin != STORE_OK)
		return store.begin;
	for (i = 0; i < b->ntouch; i++) {
		if (b->touch[i].cursor->loaded)
			continue;
		if (store.unread > 0) {
			b->touch[i].cursor->begun = true;
			continue;
		}
		memset(&row, 0, sizeof(row));
		row.id = b->touch[i].id;
		row.idlen = b->touch[i].idlen;
		row.date = NOW;
		row.amount = store.used;
		row.instance = row.state = "";
		if (store.used != 0)
			r->first(r->arg, i, &row);
		b->touch[i].cursor->loaded = true;
	}
	if (store.unread > 0)
		store.unread--;
	return STORE_OK;
}

void
store_append(struct store *s, size_t touch, const struct store_row *row)
{
	(void)s;
	assert_true(touch < store.touched);
	called("a");
	store.rows++;
	store.amount = row->amount;
	memcpy(store.id, row->id, row->idlen);
	store.id[row->idlen] = '\0';
}

void
store_hit(struct store *s, enum hit_kind kind, const char *id, size_t idlen,
    int64_t seconds)
{
	(void)s;
	(void)id;
	(void)idlen;
	(void)seconds;
	called(kind == HIT_FULL ? "h" : "w");
}

void
store_see(struct store *s, const struct store_value *value)
{
	(void)s;
	(void)value;
	called("s");
}

enum store_result
store_commit(struct store *s, bool *later)
{
	(void)s;
	called("C");
	*later = *later && store.slow;
	store.unflushed = *later;
	return store.commit;
}

void
store_rollback(struct store *s)
{
	(void)s;
	called("R");
}

static bool
store_halves(const struct store *s)
{
	(void)s;
	return store.slow;
}

static void
store_on_flushed(struct store *s, void (*flushed)(void *), void *arg)
{
	(void)s;
	store.flushed = flushed;
	store.arg = arg;
}

static enum store_result
store_flush(struct store *s, bool wait)
{
	(void)s;
	(void)wait;
	called("F");
	if (store.commit == STORE_OK && store.unflushed)
		store.flushed(store.arg);
	return store.commit;
}

static int
store_flush_fd(const struct store *s)
{
	(void)s;
	return -1;
}

const struct store_optional	store_optional = {
	.overlap = {
		.halves = store_halves,
		.on_flushed = store_on_flushed,
		.flush = store_flush,
		.fd = store_flush_fd
	}
};

enum store_result
store_look_up(struct store *s, const char *query, int64_t timeout,
    struct store_found *list, size_t n)
{
	(void)s;
	(void)timeout;
	(void)query;
	(void)list;
	(void)n;
	called("l");
	return STORE_LOST;
}

enum store_result
store_overrides(struct store *s, bool batch, int64_t now,
    void (*each)(void *, const struct override *), void *arg)
{
	char		id[32];
	struct override	o = { .kind = OVERRIDE_KEY_BLOCK, .id = id,
			    .until = OVERRIDE_FOREVER, .who = "",
			    .reason = "" };
	size_t		i;

	(void)s;
	(void)batch;
	(void)now;
	for (i = 0; i < store.old; i++) {
		o.idlen = (size_t)snprintf(id, sizeof(id), "user%zu", i);
		each(arg, &o);
	}
	return STORE_OK;
}

enum store_result
store_set_overrides(struct store *s, const struct override *list, size_t n,
    int64_t now)
{
	enum store_result	result = store.set;
	struct mono		end = clock_after(clock_mono(), store.lasts);

	(void)s;
	(void)list;
	(void)now;
	called("o");
	store.written += n;
	store.writes++;
	while (!clock_passed(end, clock_mono()))
		;
	store.set = STORE_OK;
	return result;
}

enum store_result
store_forget_values(struct store *s, const char *id, size_t idlen)
{
	(void)s;
	(void)id;
	(void)idlen;
	called("f");
	return STORE_OK;
}

void
store_learn(struct store *s, const struct store_pair *p)
{
	(void)s;
	(void)p;
	called("p");
}

enum store_result
store_first_number(struct store *s, const char *name, int64_t *value)
{
	(void)s;
	(void)name;
	(void)value;
	return STORE_OK;
}

enum store_result
store_pairs(struct store *s, int64_t who, enum store_pair_kind kind,
    void (*each)(void *, const struct habit_entry *), void *arg)
{
	(void)s;
	(void)who;
	(void)kind;
	(void)each;
	(void)arg;
	return STORE_OK;
}

enum store_result
store_drop_pairs(struct store *s, const struct store_pair *list, size_t n)
{
	(void)s;
	(void)list;
	(void)n;
	return STORE_OK;
}

bool
clean_remember(struct store *s, const struct lookup *limits, int64_t now)
{
	(void)s;
	(void)limits;
	(void)now;
	return true;
}

const char *const	store_placeholder = "?";

const char *
store_error(const struct store *s)
{
	(void)s;
	return "told to";
}

/* --- the batch --- */

struct rig {
	struct settings		*settings;
	struct cache		*cache;
	struct lookup		*lookup;
	struct lookup		*ids;
	struct charge_batch	*batch;
	int64_t			 deadline;
	bool			 locks;		/* a hit locks the id */
	struct msg_verdict	 answer[100];
	char			 order[200];	/* of the answers */
	size_t			 hits;
	uint8_t			 overridden;	/* result of the last change */
};

static int
setup(void **state)
{
	struct rig	*r = alloc_zero(1, sizeof(*r));

	memset(&store, 0, sizeof(store));
	r->settings = settings_new();
	r->cache = cache_new((size_t)1 << 26);
	r->lookup = lookup_new(LOOKUP_LIMITS, r->settings);
	r->ids = lookup_new(LOOKUP_IDS, r->settings);
	r->batch = charge_batch_new(r->cache, NULL, r->lookup, r->ids,
	    r->settings);
	r->deadline = INT64_MAX;
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig	*r = *state;

	charge_batch_free(r->batch);
	lookup_free(r->lookup);
	lookup_free(r->ids);
	cache_free(r->cache);
	settings_free(r->settings);
	free(r);
	return 0;
}

static void
add_type(struct rig *r, enum message_type type, uint64_t request,
    const char *id, int64_t mails, bool sql)
{
	struct msg_charge	*m = alloc_zero(1, sizeof(*m));
	struct str		 s;

	m->deadline = r->deadline;
	m->instance = m->state = "";
	m->nkeys = 1;
	m->keys[0].id = id;
	m->keys[0].idlen = strlen(id);
	m->keys[0].amount = 1;
	m->keys[0].value = "";
	m->keys[0].sql = sql;
	m->keys[0].report = !r->locks;
	m->keys[0].reported = 1;
	if (r->locks) {
		m->keys[0].lock.seconds = m->keys[0].lock.again = 600;
		m->keys[0].lock.id = id;
		m->keys[0].lock.idlen = strlen(id);
		m->keys[0].lock.rule = "rule";
		m->keys[0].lock.rulelen = 4;
	}
	m->keys[0].limits.count = 1;
	m->keys[0].limits.list = m->store;
	m->store[0].mails = mails;
	m->store[0].seconds = 60;
	str_init(&s);
	msg_charge_put(&s, m);
	assert_int_equal(charge_batch_add(r->batch, type, request, s.data,
	    s.len), 0);
	str_clear(&s);
	free(m);
}

static void
add_sql(struct rig *r, uint64_t request, const char *id, int64_t mails,
    bool sql)
{
	add_type(r, MSG_CHARGE, request, id, mails, sql);
}

static void
add(struct rig *r, uint64_t request, const char *id, int64_t mails)
{
	add_sql(r, request, id, mails, false);
}

static void
on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct rig	*r = arg;
	char		 one[24];

	r->answer[request] = *v;
	snprintf(one, sizeof(one), "%u", (unsigned int)request);
	(void)strlcat(r->order, one, sizeof(r->order));
	called("!");
}

static void
on_hit(void *arg, const struct charge_hit *hit)
{
	struct rig	*r = arg;

	assert_int_equal(hit->kind, HIT_FULL);
	assert_int_equal(hit->seconds, 60);
	r->hits++;
}

static void
on_weighed(void *arg, uint64_t request, const struct msg_weighed *w)
{
	on_verdict(arg, request, &w->verdict);
}

static void
on_overridden(void *arg, uint64_t request, const struct msg_overridden *o)
{
	struct rig	*r = arg;
	char		 one[8];

	r->overridden = o->result;
	(void)snprintf(one, sizeof(one), "%d", (int)request);
	(void)strlcat(r->order, one, sizeof(r->order));
}

static enum store_result
run(struct rig *r)
{
	struct mono	mono = { 1000 };

	r->batch->answers = (struct charge_answers){
		.verdict = on_verdict, .hit = on_hit, .arg = r,
		.weighed = on_weighed, .overridden = on_overridden
	};
	store.calls[0] = '\0';
	return charge_batch_run(r->batch, NOW, mono);
}

/* --- */

static void
one_commit_for_all(void **state)
{
	struct rig	*r = *state;

	add(r, 1, "bob", 2);
	add(r, 2, "eve", 2);
	add(r, 3, "bob", 2);
	add(r, 4, "bob", 2);
	assert_int_equal(r->batch->count, 4);
	assert_int_equal(run(r), STORE_OK);
	/* Answered after the commit, in the order of the requests. */
	assert_string_equal(store.calls, "BaaahC!!!!");
	assert_string_equal(r->order, "1234");
	assert_int_equal(store.touched, 2);
	assert_int_equal(r->answer[3].verdict, VERDICT_ACCEPTED);
	assert_int_equal(r->answer[4].verdict, VERDICT_REFUSED);
	assert_int_equal(r->hits, 1);
	assert_int_equal(r->batch->count, 0);
	/* Nothing waits: nothing is begun. */
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(store.calls, "");
}

static void
commit_that_fails(void **state)
{
	struct rig	*r = *state;

	store.used = 1;
	store.commit = STORE_FAILED;
	add(r, 1, "bob", 2);
	add(r, 2, "bob", 2);
	assert_int_equal(run(r), STORE_FAILED);
	assert_int_equal(r->answer[1].verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(r->answer[1].ncharged, 0);
	assert_int_equal(r->answer[2].verdict, VERDICT_REFUSED);
	assert_int_equal(r->hits, 0);
	/* What was not written was not counted either. */
	store.commit = STORE_OK;
	add(r, 3, "bob", 2);
	add(r, 4, "bob", 2);
	assert_int_equal(run(r), STORE_OK);
	assert_int_equal(r->answer[3].verdict, VERDICT_ACCEPTED);
	assert_int_equal(r->answer[4].verdict, VERDICT_REFUSED);
}

static void
begin_that_fails(void **state)
{
	struct rig	*r = *state;

	store.begin = STORE_FAILED;
	add(r, 1, "bob", 2);
	assert_int_equal(run(r), STORE_FAILED);
	assert_string_equal(store.calls, "B!");
	assert_int_equal(r->answer[1].verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(r->batch->count, 0);
}

static void
locked_database_is_waited_for(void **state)
{
	struct rig	*r = *state;

	store.begin = STORE_BUSY;
	add(r, 1, "bob", 2);
	r->deadline = 999;
	add(r, 2, "eve", 2);
	assert_int_equal(run(r), STORE_BUSY);
	/* Until the deadline, and no longer. */
	assert_string_equal(r->order, "2");
	assert_int_equal(r->answer[2].verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(r->batch->count, 1);
	store.begin = STORE_OK;
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "21");
	assert_int_equal(r->answer[1].verdict, VERDICT_ACCEPTED);
}

static void
lost_connection_is_passed_on(void **state)
{
	struct rig	*r = *state;

	store.used = 1;
	store.commit = STORE_LOST;
	add(r, 1, "bob", 2);
	add(r, 2, "bob", 2);
	r->deadline = 999;
	add(r, 3, "bob", 2);
	r->deadline = INT64_MAX;
	assert_int_equal(run(r), STORE_LOST);
	/* The first may be recorded or not: only the next ledger can tell. */
	assert_string_equal(r->order, "32");
	assert_int_equal(r->answer[2].verdict, VERDICT_REFUSED);
	assert_int_equal(r->answer[3].verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(r->batch->count, 0);
	free(r->settings->sql_limits_by_id);
	r->settings->sql_limits_by_id = alloc_string("SELECT ?");
	lookup_settings(r->lookup, r->settings);
	add_sql(r, 4, "bob", 2, true);
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(store.calls, "l");
	assert_int_equal(r->batch->count, 0);
}

static void
block(struct rig *r, uint64_t request, const char *id)
{
	const struct msg_overridden	none = { .nids = 0 };
	const struct override		o = { .kind = OVERRIDE_BLOCK,
					    .until = OVERRIDE_FOREVER,
					    .id = id, .idlen = strlen(id),
					    .who = "", .reason = "" };

	charge_batch_change(r->batch, request, &o, 1, &none,
	    (struct mono){ INT64_MAX });
}

/* Of a change that was not about to be committed it is known. */
static void
changes_that_are_lost(void **state)
{
	struct rig	*r = *state;

	block(r, 1, "login:bob");
	block(r, 2, "login:eve");
	store.commit = STORE_LOST;
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(r->order, "2");
	assert_int_equal(r->overridden, OVERRIDE_FAILED);
	block(r, 3, "login:bob");
	store.begin = STORE_LOST;
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(r->order, "23");
	assert_int_equal(r->overridden, OVERRIDE_FAILED);
	assert_int_equal(r->batch->count, 0);
}

/* The change does not depend on a correction that fails before it. */
static void
changes_after_a_failed_correction(void **state)
{
	struct rig	*r = *state;

	store.old = 1;
	add(r, 1, "bob", 2);
	assert_int_equal(run(r), STORE_OK);
	block(r, 2, "login:eve");
	store.set = STORE_FAILED;
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "1");
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "12");
	assert_int_equal(r->overridden, OVERRIDE_DONE);
}

/* A slow server gets them in several transactions, and each in portions. */
static void
corrections_take_little_time(void **state)
{
	struct rig	*r = *state;

	store.old = 2000;
	store.lasts = 20;
	add(r, 1, "bob", 2);
	assert_int_equal(run(r), STORE_OK);
	store.written = store.writes = 0;
	assert_int_equal(run(r), STORE_OK);
	assert_true(store.written > 0);
	assert_true(store.written < 2000);
	assert_true(store.written / store.writes <= 100);
	store.lasts = 0;
	assert_int_equal(run(r), STORE_OK);
	assert_true(store.written >= 2000);
}

/* What was only weighed is answered; a reset may have been made. */
static void
reset_that_is_lost(void **state)
{
	struct rig	*r = *state;

	add_type(r, MSG_RESET, 1, "bob", 2, false);
	add_type(r, MSG_WEIGH, 2, "bob", 2, false);
	store.commit = STORE_LOST;
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(r->order, "2");
	add_type(r, MSG_RESET, 3, "bob", 2, false);
	store.begin = STORE_LOST;
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(r->order, "23");
	assert_int_equal(r->answer[3].verdict, VERDICT_UNAVAILABLE);
}

static void
charges_overtake_an_id_being_read(void **state)
{
	struct rig	*r = *state;

	add(r, 1, "eve", 5);
	assert_int_equal(run(r), STORE_OK);
	store.unread = 2;
	add(r, 2, "bob", 2);
	add(r, 3, "eve", 5);
	add(r, 4, "bob", 2);
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "13");
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "13");
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(r->order, "1324");
}

static void
the_engine_is_gone(void **state)
{
	struct rig	*r = *state;

	add(r, 1, "bob", 2);
	charge_batch_clear(r->batch);
	assert_int_equal(r->batch->count, 0);
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(store.calls, "");
}

static void
safe_later(struct rig *r)
{
	uint64_t	i;

	store.slow = true;
	assert_int_equal(charge_batch_start(r->batch, NOW), STORE_OK);
	for (i = 1; i <= 40; i++)
		add(r, i, "bob", 30);
	/* Half of them, and nobody is told before it is safe. */
	assert_int_equal(run(r), STORE_OK);
	assert_int_equal(store.rows, 20);
	assert_string_equal(r->order, "");
	assert_int_equal(r->batch->count, 20);
}

static void
batches_overlap(void **state)
{
	struct rig	*r = *state;
	uint64_t	 i;

	safe_later(r);
	assert_int_equal(charge_batch_flush(r->batch, false), STORE_OK);
	assert_string_equal(r->order, "1234567891011121314151617181920");
	/* Few are left, and behind them is nobody: that is waited for. */
	assert_int_equal(run(r), STORE_OK);
	assert_int_equal(r->batch->count, 0);
	for (i = 1; i <= 40; i++)
		assert_int_equal(r->answer[i].verdict, i <= 30 ?
		    VERDICT_ACCEPTED : VERDICT_REFUSED);
}

static void
halves_keep_their_order_after_a_conflict(void **state)
{
	struct rig	*r = *state;
	uint64_t	 i;

	store.slow = true;
	assert_int_equal(charge_batch_start(r->batch, NOW), STORE_OK);
	store.begin = STORE_BUSY;
	for (i = 1; i <= 40; i++)
		add(r, i, "bob", 30);
	assert_int_equal(run(r), STORE_BUSY);
	store.begin = STORE_OK;
	assert_int_equal(run(r), STORE_OK);
	assert_int_equal(charge_batch_flush(r->batch, false), STORE_OK);
	assert_int_equal(run(r), STORE_OK);
	for (i = 1; i <= 40; i++)
		assert_int_equal(r->answer[i].verdict, i <= 30 ?
		    VERDICT_ACCEPTED : VERDICT_REFUSED);
}

static void
lost_before_it_was_durable(void **state)
{
	struct rig	*r = *state;

	safe_later(r);
	store.commit = STORE_LOST;
	assert_int_equal(charge_batch_flush(r->batch, true), STORE_LOST);
	/* The next ledger will know. */
	assert_string_equal(r->order, "");
}

static void
lost_by_the_next_batch(void **state)
{
	struct rig	*r = *state;

	safe_later(r);
	store.begin = STORE_LOST;
	assert_int_equal(run(r), STORE_LOST);
	assert_string_equal(r->order, "");
	assert_int_equal(r->batch->count, 0);
}

/* The next charge of the batch must not hide that a lock was not written. */
static void
lock_not_written(struct rig *r, enum store_result fault)
{
	bool	again = fault == STORE_BUSY;

	r->locks = true;
	store.set = fault;
	add(r, 1, "bob", 0);
	add(r, 2, "eve", 0);
	assert_int_equal(run(r), fault);
	assert_string_equal(store.calls, again ? "BoR" : "BoR!");
	/* The other one was not decided. */
	assert_int_equal(r->batch->count, again ? 2 : 1);
	assert_int_equal(run(r), STORE_OK);
	assert_string_equal(store.calls, again ? "BooC!!" : "BoC!");
	assert_string_equal(r->order, "12");
	assert_int_equal(r->answer[1].locked, again);
	assert_int_equal(r->answer[2].locked, 1);
}

static void
lock_meets_a_conflict(void **state)
{
	lock_not_written(*state, STORE_BUSY);
}

static void
lock_that_fails(void **state)
{
	lock_not_written(*state, STORE_FAILED);
}

static void
the_engine_is_gone_before_the_flush(void **state)
{
	struct rig	*r = *state;

	safe_later(r);
	charge_batch_clear(r->batch);
	assert_int_equal(charge_batch_flush(r->batch, true), STORE_OK);
	assert_string_equal(r->order, "");
}

static void
broken_charge_is_refused(void **state)
{
	struct rig	*r = *state;

	errno = 0;
	assert_int_equal(charge_batch_add(r->batch, MSG_CHARGE, 1, "nonsense",
	    8), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(r->batch->count, 0);
}

static void
ids_as_they_are_stored(void **state)
{
	struct rig	*r = *state;
	char		 id[400];

	memset(id, 'x', sizeof(id) - 1);
	id[399] = '\0';
	add(r, 1, id, 1);
	add(r, 2, id, 1);
	assert_int_equal(run(r), STORE_OK);
	assert_int_equal(strncmp(store.id, "sha256:", 7), 0);
	assert_int_equal(strlen(store.id), 71);
	assert_int_equal(r->answer[2].verdict, VERDICT_REFUSED);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(one_commit_for_all),
		TEST(commit_that_fails),
		TEST(begin_that_fails),
		TEST(locked_database_is_waited_for),
		TEST(lost_connection_is_passed_on),
		TEST(changes_that_are_lost),
		TEST(changes_after_a_failed_correction),
		TEST(corrections_take_little_time),
		TEST(reset_that_is_lost),
		TEST(charges_overtake_an_id_being_read),
		TEST(the_engine_is_gone),
		TEST(batches_overlap),
		TEST(halves_keep_their_order_after_a_conflict),
		TEST(lost_before_it_was_durable),
		TEST(lost_by_the_next_batch),
		TEST(lock_meets_a_conflict),
		TEST(lock_that_fails),
		TEST(the_engine_is_gone_before_the_flush),
		TEST(broken_charge_is_refused),
		TEST(ids_as_they_are_stored)
	};

	return cmocka_run_group_tests_name("charge", tests, NULL, NULL);
}
