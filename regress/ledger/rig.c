#include <sys/types.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ledger/clean.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "rig.h"

#define MEMORY		(64 * 1024 * 1024)
#define PATIENCE_MS	30000

static struct outsider	*outsider;

void
rig_begin(void)
{
	outsider = outsider_new();
}

void
rig_end(void)
{
	outsider_free(outsider);
}

static struct rig *
rig_in(const char *dir, const char *path)
{
	struct rig	*r;

	r = alloc_zero(1, sizeof(*r));
	r->dir = alloc_string(dir);
	r->path = alloc_string(path);
	r->directory = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(r->directory, -1);
	r->settings = settings_new();
	outsider_settings(outsider, r->settings, path);
	/* Nobody here asks again: what is slow is no fault. */
	r->settings->db_timeout = PATIENCE_MS;
	r->outsider = outsider;
	r->now = RIG_NOW;
	r->timeout = 10000;
	r->answer = alloc_zero(ANSWERS_MAX, sizeof(r->answer[0]));
	r->answered = alloc_zero(ANSWERS_MAX, sizeof(r->answered[0]));
	return r;
}

struct rig *
rig_new(void)
{
	char		 dir[] = "/tmp/ledger-XXXXXX";
	char		*path;
	struct rig	*r;

	assert_non_null(mkdtemp(dir));
	path = outsider_make(outsider, dir);
	r = rig_in(dir, path);
	r->owner = true;
	free(path);
	return r;
}

struct rig *
rig_beside(const struct rig *other)
{
	return rig_in(other->dir, other->path);
}

static void
rig_remove(const char *dir)
{
	struct dirent	*d;
	DIR		*all;
	int		 fd;

	assert_non_null(all = opendir(dir));
	fd = dirfd(all);
	while ((d = readdir(all)) != NULL)
		(void)unlinkat(fd, d->d_name, 0);
	closedir(all);
	(void)rmdir(dir);
}

void
rig_free(struct rig *r)
{
	rig_close(r);
	if (r->owner) {
		outsider_drop(r->outsider, r->path);
		rig_remove(r->dir);
	}
	close(r->directory);
	settings_free(r->settings);
	free(r->answer);
	free(r->answered);
	free(r->path);
	free(r->dir);
	free(r);
}

void
rig_open(struct rig *r)
{
	const struct store_opening	opening = {
		.settings = r->settings,
		.directory = r->directory,
		.replaces = true
	};
	char				reason[256] = "";
	bool				away;

	r->store = store_open(&opening, &away, reason, sizeof(reason));
	if (r->store == NULL)
		fail_msg("%s", reason);
	r->cache = cache_new(MEMORY);
	r->lookup = lookup_new(LOOKUP_LIMITS, r->settings);
	r->ids = lookup_new(LOOKUP_IDS, r->settings);
	r->batch = charge_batch_new(r->cache, r->store, r->lookup, r->ids,
	    r->settings);
	(void)charge_batch_start(r->batch, r->now);
}

int
rig_setup(void **state)
{
	struct rig	*r = rig_new();

	rig_open(r);
	*state = r;
	return 0;
}

int
rig_teardown(void **state)
{
	rig_free(*state);
	return 0;
}

void
rig_close(struct rig *r)
{
	if (r->store == NULL)
		return;
	charge_batch_free(r->batch);
	lookup_free(r->lookup);
	lookup_free(r->ids);
	cache_free(r->cache);
	store_close(r->store);
	r->store = NULL;
}

void
rig_reopen(struct rig *r)
{
	rig_close(r);
	rig_open(r);
}

/* --- charges --- */

struct msg_charge_key *
rig_key(struct rig_charge *c, const char *id, int64_t amount,
    const struct limit *limits, size_t count)
{
	struct msg_charge_key	*k = &c->m.keys[c->m.nkeys];
	size_t			 i, at = 0;

	for (i = 0; i < c->m.nkeys; i++)
		at += c->m.keys[i].limits.count;
	memset(k, 0, sizeof(*k));
	k->id = id;
	k->idlen = strlen(id);
	k->amount = amount;
	k->value = "";
	k->limits.count = count;
	k->limits.list = &c->m.store[at];
	memcpy(k->limits.list, limits, count * sizeof(limits[0]));
	c->m.nkeys++;
	return k;
}

void
rig_charge(struct rig_charge *c, const char *id, int64_t amount, int64_t mails,
    int64_t seconds)
{
	struct limit	limit = { mails, seconds };

	memset(c, 0, sizeof(*c));
	c->m.mode = CHARGE_ONCE;
	c->m.instance = "";
	c->m.state = "DATA";
	c->m.statelen = 4;
	(void)rig_key(c, id, amount, &limit, 1);
}

void
rig_window(struct rig_charge *c, int64_t mails, int64_t seconds)
{
	struct limits	*limits = &c->m.keys[c->m.nkeys - 1].limits;

	limits->list[limits->count].mails = mails;
	limits->list[limits->count++].seconds = seconds;
}

void
rig_instance(struct rig_charge *c, const char *instance, int64_t tag)
{
	c->m.instance = instance;
	c->m.instancelen = strlen(instance);
	c->m.tag = tag;
}

uint64_t
rig_add(struct rig *r, const struct rig_charge *c)
{
	struct rig_charge	copy = *c;
	struct str		payload;
	size_t			i, at = 0;

	for (i = 0; i < copy.m.nkeys; i++) {
		copy.m.keys[i].limits.list = &copy.m.store[at];
		at += copy.m.keys[i].limits.count;
	}
	copy.m.deadline = clock_after(clock_mono(), r->timeout).ns + r->mono;
	assert_true(r->next < ANSWERS_MAX);
	str_init(&payload);
	msg_charge_put(&payload, &copy.m);
	assert_int_equal(charge_batch_add(r->batch, MSG_CHARGE, r->next,
	    payload.data, payload.len), 0);
	str_clear(&payload);
	r->answered[r->next] = false;
	return r->next++;
}

static void
rig_on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	struct rig	*r = arg;

	assert_true(request < r->next);
	assert_false(r->answered[request]);
	r->answered[request] = true;
	r->answer[request] = *v;
	if ((v->mapped & 1) != 0)
		(void)snprintf(r->mapped, sizeof(r->mapped), "%.*s",
		    (int)v->map[0].idlen, v->map[0].id);
}

static void
rig_on_hit(void *arg, const struct charge_hit *hit)
{
	struct rig	*r = arg;

	if (hit->kind == HIT_FULL)
		r->hits++;
}

enum store_result
rig_run_once(struct rig *r)
{
	struct mono	mono = clock_mono();

	r->batch->answers = (struct charge_answers){
		.verdict = rig_on_verdict, .hit = rig_on_hit, .arg = r
	};
	mono.ns += r->mono;
	return charge_batch_run(r->batch, r->now, mono);
}

void
rig_run(struct rig *r)
{
	while (r->batch->count > 0)
		if (rig_run_once(r) == STORE_LOST)
			rig_reopen(r);
}

const struct msg_verdict *
rig_answer(const struct rig *r, uint64_t request)
{
	assert_true(request < r->next);
	assert_true(r->answered[request]);
	return &r->answer[request];
}

int
rig_ask(struct rig *r, const struct rig_charge *c)
{
	uint64_t	request;
	int		verdict;

	request = rig_add(r, c);
	rig_run(r);
	verdict = rig_answer(r, request)->verdict;
	return verdict;
}

int
rig_one(struct rig *r, const char *id, int64_t amount, int64_t mails,
    int64_t seconds)
{
	struct rig_charge	c;

	rig_charge(&c, id, amount, mails, seconds);
	return rig_ask(r, &c);
}

int64_t
rig_room(struct rig *r, const char *id, int64_t mails, int64_t seconds)
{
	int64_t	n = 0;

	while (rig_one(r, id, 1, mails, seconds) == VERDICT_ACCEPTED)
		n++;
	return n;
}

/* --- the tables --- */

int64_t
rig_sql(struct rig *r, const char *fmt, ...)
{
	va_list	 ap;
	char	*sql;
	int64_t	 n;

	va_start(ap, fmt);
	assert_int_not_equal(vasprintf(&sql, fmt, ap), -1);
	va_end(ap);
	n = outsider_sql(r->outsider, r->path, sql);
	free(sql);
	return n;
}

int64_t
rig_sum(struct rig *r, const char *id)
{
	return rig_sql(r,
	    "SELECT coalesce(sum(recipient_count), 0) FROM mail_count"
	    " WHERE id = '%s'",
	    id);
}

void
rig_idle(struct rig *r)
{
	while (store_idle(r->store) == 0)
		;
}

void
rig_fill(struct rig *r, const char *id, int64_t rows, int64_t step)
{
	(void)rig_sql(r, "INSERT INTO mail_count (id, date, recipient_count,"
	    " instance, protocol_state) WITH RECURSIVE n (i) AS (SELECT %lld"
	    " UNION ALL SELECT i - 1 FROM n WHERE i > 1) SELECT '%s', %lld -"
	    " (i - 1) * %lld, 1, 'empty', 'DATA' FROM n", (long long)rows, id,
	    (long long)r->now, (long long)step);
}

int64_t
rig_clean(struct rig *r)
{
	struct clean	c;

	clean_begin(&c, r->store, r->settings, r->lookup, r->now);
	while (c.state == CLEAN_RUNNING)
		assert_int_equal(clean_step(&c, r->store, r->settings,
		    r->now), STORE_OK);
	assert_int_equal(c.state, CLEAN_DONE);
	return c.records;
}
