#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../fuzz/message.c"
#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ipc/wire.h"
#include "payload.h"
#include "random.h"

static void
messages_of_the_start(void **state)
{
	static struct msg_identity	identity, identity2;
	struct msg_listener		listener = {
		7, LISTENER_TCP, "[::1]:10040"
	};
	struct msg_listener		listener2;
	struct str			s;
	size_t				i;

	(void)state;
	str_init(&s);
	identity.drop = true;
	identity.uid = 4294967294U;
	identity.gid = 77;
	identity.ngroups = IDENTITY_GROUPS_MAX;
	for (i = 0; i < IDENTITY_GROUPS_MAX; i++)
		identity.groups[i] = (uint32_t)(i * 1000003);
	memset(identity.jail, 'j', sizeof(identity.jail) - 1);
	strlcpy(identity.user, "policyd", sizeof(identity.user));
	msg_identity_put(&s, &identity);
	payload_check(message_identity, &s);
	assert_int_equal(msg_identity_get(&identity2, s.data, s.len), 0);
	assert_memory_equal(&identity, &identity2, sizeof(identity));
	str_clear(&s);

	msg_listener_put(&s, &listener);
	payload_check(message_listener, &s);
	assert_int_equal(msg_listener_get(&listener2, s.data, s.len), 0);
	assert_int_equal(listener2.number, 7);
	assert_int_equal(listener2.kind, LISTENER_TCP);
	assert_string_equal(listener2.name, "[::1]:10040");
	s.data[4] = LISTENER__MAX;
	assert_int_equal(msg_listener_get(&listener2, s.data, s.len), -1);
	str_clear(&s);
}

/* A message of a listener whose name has these bytes. */
static int
get_name(struct msg_listener *m, const char *name, size_t len)
{
	struct str	s;
	int		result;

	str_init(&s);
	wire_put_u32(&s, 1);
	wire_put_u8(&s, LISTENER_UNIX);
	wire_put_bytes(&s, name, len);
	result = msg_listener_get(m, s.data, s.len);
	str_clear(&s);
	return result;
}

/* A text as long as its array can hold, and one byte more. */
static void
texts_that_do_not_fit_are_refused(void **state)
{
	struct msg_listener	m;
	char			text[sizeof(m.name)];

	(void)state;
	memset(text, 't', sizeof(text));
	assert_int_equal(get_name(&m, text, sizeof(m.name) - 1), 0);
	assert_int_equal(strlen(m.name), sizeof(m.name) - 1);
	assert_int_equal(get_name(&m, text, sizeof(m.name)), -1);
	assert_int_equal(get_name(&m, "a\0b", 3), -1);
}

static void
numbers_and_texts_arrive_unchanged(void **state)
{
	struct str	s;
	uint64_t	value;
	char		text[8];

	(void)state;
	str_init(&s);
	msg_number_put(&s, UINT64_MAX - 1);
	payload_check(message_number, &s);
	assert_int_equal(msg_number_get(&value, s.data, s.len), 0);
	assert_true(value == UINT64_MAX - 1);
	str_clear(&s);

	msg_text_put(&s, "cannot open /var/lib/x");
	payload_check(message_text, &s);
	assert_int_equal(msg_text_get(text, sizeof(text), s.data, s.len), 0);
	assert_string_equal(text, "cannot ");
	str_clear(&s);
	msg_text_put(&s, "");
	assert_int_equal(msg_text_get(text, sizeof(text), s.data, s.len), 0);
	assert_string_equal(text, "");
	str_clear(&s);
	wire_put_bytes(&s, "a\0b", 3);
	assert_int_equal(msg_text_get(text, sizeof(text), s.data, s.len), -1);
	str_clear(&s);
}

/* --- charges --- */

static const char	bytes[CHARGE_ID_MAX + 1] = "bob@example.org\0\xff\xfe";

static void
random_charge(struct random *r, struct msg_charge *m, size_t nkeys)
{
	struct msg_charge_key	*k;
	struct limit		*store = m->store;
	size_t			 i, j;

	memset(m, 0, sizeof(*m));
	m->mode = (uint8_t)random_below(r, CHARGE__MAX);
	m->deadline = (int64_t)random_next(r);
	m->date = m->mode == CHARGE_REPLAY ? random_from(r, 0, INT32_MAX) : 0;
	m->instance = bytes;
	m->instancelen = random_below(r, 40);
	m->tag = (int64_t)random_next(r);
	m->state = "RCPT";
	m->statelen = random_below(r, 5);
	m->nkeys = nkeys;
	for (i = 0; i < nkeys; i++) {
		k = &m->keys[i];
		k->id = bytes;
		k->idlen = random_below(r, 50);
		k->amount = (int64_t)(random_next(r) % (CHARGE_AMOUNT_MAX + 1));
		k->kind = (uint8_t)random_below(r, CHARGE_KIND__MAX);
		k->shadow = random_below(r, 2) == 0;
		k->soft = random_below(r, 2) == 0;
		k->sql = random_below(r, 2) == 0;
		k->map = random_below(r, 2) == 0;
		k->max_per_mail = (int64_t)(random_next(r) >> 1);
		k->rule = (uint16_t)random_next(r);
		k->warn_at = (uint8_t)random_below(r, 101);
		k->reported = (uint32_t)random_next(r);
		k->report = random_below(r, 2) == 0;
		k->value = "";
		if (CHARGE_HAS_VALUE(k->kind) || k->kind == CHARGE_HABIT) {
			k->value = bytes + 3;
			k->valuelen = random_below(r, 30);
		}
		k->network = "";
		if (k->kind == CHARGE_HABIT) {
			k->network = bytes + 5;
			k->networklen = random_below(r, 40);
			k->unfamiliar = (int64_t)(random_next(r) >> 1);
			k->learn = (int64_t)(random_next(r) >> 1) | 1;
		}
		k->pass = (uint8_t)random_below(r, 3);
		k->lock.id = k->lock.rule = "";
		if (random_below(r, 2) == 0) {
			k->lock.seconds = random_from(r, 1,
			    OVERRIDE_SECONDS_MAX);
			k->lock.again = random_from(r, 1,
			    OVERRIDE_SECONDS_MAX);
			k->lock.id = bytes + 7;
			k->lock.idlen = 1 + random_below(r, 40);
			k->lock.rule = bytes + 2;
			k->lock.rulelen = 1 + random_below(r, 20);
		}
		k->limits.list = store;
		k->limits.count = random_below(r, LIMITS_MAX + 1);
		for (j = 0; j < k->limits.count; j++, store++) {
			store->mails = (int64_t)(random_next(r) >> 1);
			store->seconds = (int64_t)(random_next(r) >> 1) | 1;
		}
	}
}

static void
assert_same_bytes(const char *a, size_t alen, const char *b, size_t blen)
{
	assert_int_equal(alen, blen);
	assert_memory_equal(a, b, alen);
}

static void
assert_same_charge(const struct msg_charge *a, const struct msg_charge *b)
{
	const struct msg_charge_key	*k, *l;
	size_t				 i;

	assert_int_equal(a->mode, b->mode);
	assert_true(a->deadline == b->deadline && a->date == b->date);
	assert_true(a->tag == b->tag);
	assert_same_bytes(a->instance, a->instancelen, b->instance,
	    b->instancelen);
	assert_same_bytes(a->state, a->statelen, b->state, b->statelen);
	assert_int_equal(a->nkeys, b->nkeys);
	for (i = 0; i < a->nkeys; i++) {
		k = &a->keys[i];
		l = &b->keys[i];
		assert_same_bytes(k->id, k->idlen, l->id, l->idlen);
		assert_same_bytes(k->value, k->valuelen, l->value, l->valuelen);
		assert_same_bytes(k->network, k->networklen, l->network,
		    l->networklen);
		assert_true(k->unfamiliar == l->unfamiliar &&
		    k->learn == l->learn);
		assert_int_equal(k->pass, l->pass);
		assert_true(k->lock.seconds == l->lock.seconds &&
		    k->lock.again == l->lock.again);
		assert_same_bytes(k->lock.id, k->lock.idlen, l->lock.id,
		    l->lock.idlen);
		assert_same_bytes(k->lock.rule, k->lock.rulelen, l->lock.rule,
		    l->lock.rulelen);
		assert_true(k->amount == l->amount);
		assert_int_equal(k->kind, l->kind);
		assert_int_equal(k->shadow, l->shadow);
		assert_int_equal(k->soft, l->soft);
		assert_int_equal(k->sql, l->sql);
		assert_int_equal(k->map, l->map);
		assert_true(k->max_per_mail == l->max_per_mail);
		assert_int_equal(k->rule, l->rule);
		assert_int_equal(k->warn_at, l->warn_at);
		assert_int_equal(k->reported, l->reported);
		assert_int_equal(k->report, l->report);
		assert_int_equal(k->limits.count, l->limits.count);
		assert_memory_equal(k->limits.list, l->limits.list,
		    k->limits.count * sizeof(*k->limits.list));
	}
}

static void
charges_arrive_unchanged(void **state)
{
	static struct msg_charge	in, out;
	struct random			r = { 41 };
	struct str			s;
	int				round;

	(void)state;
	str_init(&s);
	for (round = 0; round < 500; round++) {
		random_charge(&r, &in, 1 + random_below(&r, CHARGE_KEYS_MAX));
		s.len = 0;
		msg_charge_put(&s, &in);
		memset(&out, 0x5a, sizeof(out));
		assert_int_equal(msg_charge_get(&out, s.data, s.len), 0);
		assert_same_charge(&in, &out);
	}
	str_clear(&s);
	for (round = 1; round <= 4; round++) {
		random_charge(&r, &in, (size_t)round);
		msg_charge_put(&s, &in);
		payload_check(message_charge, &s);
		str_clear(&s);
	}
	/* No key: the blocks of its subject are looked for. */
	random_charge(&r, &in, 0);
	in.subject = true;
	in.login = in.sender = in.client = bytes;
	in.loginlen = 3;
	msg_charge_put(&s, &in);
	payload_check(message_charge, &s);
	str_clear(&s);
}

/*
 * The largest of all fits into a message; one key or one byte more is refused.
 */
static void
charges_out_of_bounds_are_refused(void **state)
{
	static struct msg_charge	in, out;
	struct random			r = { 42 };
	struct str			s;
	size_t				i, j;

	(void)state;
	random_charge(&r, &in, CHARGE_KEYS_MAX);
	in.instancelen = CHARGE_INSTANCE_MAX;
	in.state = bytes;
	in.statelen = CHARGE_STATE_MAX;
	for (i = 0; i < CHARGE_KEYS_MAX; i++) {
		in.keys[i].kind = CHARGE_DISTINCT;
		in.keys[i].idlen = CHARGE_ID_MAX;
		in.keys[i].value = bytes;
		in.keys[i].valuelen = CHARGE_ID_MAX;
		in.keys[i].network = "";
		in.keys[i].networklen = 0;
		in.keys[i].unfamiliar = in.keys[i].learn = 0;
		in.keys[i].limits.count = LIMITS_MAX;
		in.keys[i].limits.list = in.store + i * LIMITS_MAX;
		for (j = 0; j < LIMITS_MAX; j++) {
			in.keys[i].limits.list[j].mails = 0;
			in.keys[i].limits.list[j].seconds = 1;
		}
	}
	str_init(&s);
	msg_charge_put(&s, &in);
	assert_true(s.len < 2 * 1024 * 1024);
	assert_int_equal(msg_charge_get(&out, s.data, s.len), 0);
	assert_same_charge(&in, &out);
	str_clear(&s);

#define REFUSED(change) do {						\
	random_charge(&r, &in, 2);					\
	in.mode = CHARGE_ONCE;						\
	in.date = 0;							\
	in.keys[0].limits.count = 1;					\
	in.keys[0].limits.list[0].mails = 1;				\
	in.keys[0].limits.list[0].seconds = 1;				\
	change;								\
	msg_charge_put(&s, &in);					\
	assert_int_equal(msg_charge_get(&out, s.data, s.len), -1);	\
	assert_int_equal(out.nkeys, 0);					\
	str_clear(&s);							\
} while (0)

	REFUSED(in.nkeys = 0);
	REFUSED(in.mode = CHARGE__MAX);
	REFUSED(in.date = 1);
	REFUSED(in.mode = CHARGE_REPLAY; in.date = -1);
	REFUSED(in.instancelen = CHARGE_INSTANCE_MAX + 1);
	REFUSED(in.state = bytes; in.statelen = CHARGE_STATE_MAX + 1);
	REFUSED(in.keys[1].idlen = CHARGE_ID_MAX + 1);
	REFUSED(in.keys[1].amount = -1);
	REFUSED(in.keys[1].amount = CHARGE_AMOUNT_MAX + 1);
	REFUSED(in.keys[1].kind = CHARGE_KIND__MAX);
	REFUSED(in.keys[1].warn_at = 101);
	REFUSED(in.keys[1].kind = CHARGE_HABIT; in.keys[1].unfamiliar = -1);
	REFUSED(in.keys[1].kind = CHARGE_HABIT; in.keys[1].learn = 0);
	REFUSED(in.keys[1].pass = CHARGE_PASS_MAX + 1);
	REFUSED(in.keys[1].lock.seconds = OVERRIDE_SECONDS_MAX + 1);
	REFUSED(in.keys[1].lock.seconds = 1; in.keys[1].lock.again = 0);
	REFUSED(in.keys[1].lock.seconds = in.keys[1].lock.again = 1;
	    in.keys[1].lock.id = bytes;
	    in.keys[1].lock.idlen = OVERRIDE_ID_MAX + 1);
	REFUSED(in.keys[0].limits.list[0].mails = -1);
	REFUSED(in.keys[0].limits.list[0].seconds = 0);
	REFUSED(in.keys[1].lock.seconds = 0; in.keys[1].lock.again = 1);
	REFUSED(in.keys[1].lock.seconds = -1; in.keys[1].lock.again = 1);
	REFUSED(in.keys[1].lock.seconds = 1;
	    in.keys[1].lock.again = OVERRIDE_SECONDS_MAX + 1);
	REFUSED(in.keys[1].max_per_mail = -1);
	REFUSED(in.keys[1].rule = UINT16_MAX + 1);
	REFUSED(in.keys[1].report = 2);
	REFUSED(in.keys[1].shadow = 2);
	REFUSED(in.keys[1].soft = 2);
	REFUSED(in.keys[1].sql = 2);
	REFUSED(in.keys[1].map = 2);
	REFUSED(in.subject = 2);
	REFUSED(in.senders = 2);
	REFUSED(in.exempt = 2);
}

static void
verdicts_with_mapped_ids_arrive_unchanged(void **state)
{
	static struct msg_verdict	m, out;
	struct str			s;

	(void)state;
	m.mapped = 0x80000002;
	m.map[1].id = "rule:id";
	m.map[1].idlen = strlen(m.map[1].id);
	m.map[31].id = "";
	str_init(&s);
	msg_verdict_put(&s, &m);
	payload_check(message_verdict, &s);
	assert_int_equal(msg_verdict_get(&out, s.data, s.len), 0);
	assert_true(out.mapped == m.mapped);
	assert_same_bytes(out.map[1].id, out.map[1].idlen, "rule:id", 7);
	assert_int_equal(out.map[31].idlen, 0);
	str_clear(&s);
}

static void
verdicts_arrive_unchanged(void **state)
{
	struct msg_verdict	m, out;
	struct str		s;
	uint32_t		i;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.verdict = VERDICT_REFUSED;
	m.key = 31;
	m.limit.mails = 10;
	m.limit.seconds = 60;
	m.used = -3;
	m.retry_after = 3600;
	m.never = m.per_mail = true;
	m.over = 5;
	m.shadowed = 0x80000001;
	m.warned = 0x40000002;
	m.ncharged = CHARGE_KEYS_MAX;
	for (i = 0; i < CHARGE_KEYS_MAX; i++) {
		m.charged[i] = INT64_MIN + (int64_t)i;
		m.full[i].retry_after = i;
	}
	str_init(&s);
	msg_verdict_put(&s, &m);
	payload_check(message_verdict, &s);
	assert_int_equal(msg_verdict_get(&out, s.data, s.len), 0);
	assert_int_equal(out.verdict, m.verdict);
	assert_int_equal(out.key, 31);
	assert_int_equal(out.limit.mails, 10);
	assert_int_equal(out.limit.seconds, 60);
	assert_int_equal(out.used, -3);
	assert_int_equal(out.retry_after, 3600);
	assert_true(out.never && out.per_mail);
	assert_int_equal(out.over, 5);
	assert_true(out.shadowed == m.shadowed && out.warned == m.warned);
	/* Of what is over, in shadow or warned of, and of what refused. */
	for (i = 0; i < CHARGE_KEYS_MAX; i++)
		if (i < 3 || i >= 30)
			assert_int_equal(out.full[i].retry_after, i);
	assert_int_equal(out.ncharged, CHARGE_KEYS_MAX);
	assert_memory_equal(out.charged, m.charged, sizeof(m.charged));
	str_clear(&s);

	memset(&m, 0, sizeof(m));
	msg_verdict_put(&s, &m);
	payload_check(message_verdict, &s);
	str_clear(&s);
	m.verdict = VERDICT__MAX;
	msg_verdict_put(&s, &m);
	assert_int_equal(msg_verdict_get(&out, s.data, s.len), -1);
	str_clear(&s);
	m.verdict = 0;
	m.key = CHARGE_KEYS_MAX;
	msg_verdict_put(&s, &m);
	assert_int_equal(msg_verdict_get(&out, s.data, s.len), -1);
	str_clear(&s);
}

static void
verdicts_out_of_bounds_are_refused(void **state)
{
	static struct msg_verdict	m, out;
	struct str			s;

	(void)state;
	str_init(&s);
#define REFUSED_VERDICT(change) do {					\
	memset(&m, 0, sizeof(m));					\
	m.warned = m.locked = 2;					\
	change;								\
	msg_verdict_put(&s, &m);					\
	assert_int_equal(msg_verdict_get(&out, s.data, s.len), -1);	\
	str_clear(&s);							\
} while (0)

	REFUSED_VERDICT(m.retry_after = -1);
	REFUSED_VERDICT(m.limit.mails = -1);
	REFUSED_VERDICT(m.limit.seconds = -1);
	REFUSED_VERDICT(m.passed = CHARGE_PASS_MAX + 1);
	REFUSED_VERDICT(m.never = 2);
	REFUSED_VERDICT(m.per_mail = 2);
	REFUSED_VERDICT(m.locked_until[1] = -1);
	REFUSED_VERDICT(m.full[1].limit.mails = -1);
	REFUSED_VERDICT(m.full[1].limit.seconds = -1);
	REFUSED_VERDICT(m.full[1].retry_after = -1);
}

static void
evidence_arrives_unchanged(void **state)
{
	struct msg_evidence	evidence, evidence2;
	struct str		s;

	(void)state;
	str_init(&s);
	evidence.kind = EVIDENCE_SENDER;
	evidence.id = evidence.value = "bob";
	evidence.idlen = evidence.valuelen = 3;
	evidence.rule = "user";
	evidence.rulelen = 4;
	evidence.times = 7;
	msg_evidence_put(&s, &evidence);
	payload_check(message_evidence, &s);
	assert_int_equal(msg_evidence_get(&evidence2, s.data, s.len), 0);
	assert_int_equal(evidence2.kind, EVIDENCE_SENDER);
	assert_same_bytes("bob", 3, evidence2.id, evidence2.idlen);
	assert_same_bytes("user", 4, evidence2.rule, evidence2.rulelen);
	assert_same_bytes("bob", 3, evidence2.value, evidence2.valuelen);
	assert_int_equal(evidence2.times, 7);
	s.data[0] = EVIDENCE__MAX;
	assert_int_equal(msg_evidence_get(&evidence2, s.data, s.len), -1);
	str_clear(&s);
}

static void
cleaning_and_reports_arrive_unchanged(void **state)
{
	struct msg_cleaned	cleaned = { true, false, 123456789012,
				    "disk full" };
	struct msg_cleaned	cleaned2;
	struct msg_hit		hit, hit2;
	struct msg_reported	reported = { REPORT_NEXT, "550 no",
				    "192.0.2.1" };
	struct msg_reported	reported2;
	struct str		s;

	(void)state;
	str_init(&s);
	msg_cleaned_put(&s, &cleaned);
	payload_check(message_cleaned, &s);
	assert_int_equal(msg_cleaned_get(&cleaned2, s.data, s.len), 0);
	assert_true(cleaned2.done);
	assert_false(cleaned2.failed);
	assert_true(cleaned2.records == cleaned.records);
	assert_string_equal(cleaned2.reason, "disk full");
	str_clear(&s);

	hit.kind = HIT_NEAR;
	hit.id = "a\0b";
	hit.idlen = 3;
	hit.rule = "";
	hit.rulelen = 0;
	hit.mails = 10;
	hit.seconds = 60;
	hit.hits = INT64_MAX;
	msg_hit_put(&s, &hit);
	payload_check(message_hit, &s);
	assert_int_equal(msg_hit_get(&hit2, s.data, s.len), 0);
	assert_same_bytes(hit.id, hit.idlen, hit2.id, hit2.idlen);
	assert_int_equal(hit2.rulelen, 0);
	assert_int_equal(hit2.mails, 10);
	assert_int_equal(hit2.seconds, 60);
	assert_true(hit2.hits == INT64_MAX);
	assert_int_equal(hit2.kind, HIT_NEAR);
	s.data[0] = HIT_KIND__MAX;
	assert_int_equal(msg_hit_get(&hit2, s.data, s.len), -1);
	str_clear(&s);

	msg_reported_put(&s, &reported);
	payload_check(message_reported, &s);
	assert_int_equal(msg_reported_get(&reported2, s.data, s.len), 0);
	assert_int_equal(reported2.outcome, REPORT_NEXT);
	assert_string_equal(reported2.reason, "550 no");
	assert_string_equal(reported2.address, "192.0.2.1");
	s.data[0] = REPORT__MAX;
	assert_int_equal(msg_reported_get(&reported2, s.data, s.len), -1);
	str_clear(&s);
}

/* --- the table --- */

static void
refusals_arrive_unchanged(void **state)
{
	static struct msg_refusal	r, r2;
	static struct msg_search	w, w2;
	struct msg_searched		end = { true, 7, 3, "why" }, end2;
	struct str			s;
	size_t				i;

	(void)state;
	str_init(&s);
	r.number = 77;
	r.date = 1700000000;
	r.first = true;
	r.kind = REFUSAL_OVER;
	r.id = "user:bob";
	r.idlen = 8;
	r.rule = "user";
	r.rulelen = 4;
	r.full = 1;
	r.nwindows = 2;
	r.window[1].limit.mails = 5;
	r.window[1].limit.seconds = 60;
	r.window[1].used = -3;
	r.times = 1;
	for (i = 0; i < REFUSAL_TEXT__MAX; i++) {
		r.text[i] = w.text[i] = "text";
		r.textlen[i] = w.textlen[i] = i % 4;
	}
	msg_refusal_put(&s, &r);
	payload_check(message_refusal, &s);
	r.times = 12;
	s.len = 0;
	msg_refusal_put(&s, &r);
	assert_int_equal(msg_refusal_get(&r2, s.data, s.len), 0);
	assert_int_equal(r2.times, 12);
	assert_int_equal(r2.kind, REFUSAL_OVER);
	assert_int_equal(r2.window[1].used, -3);
	assert_int_equal(r2.full, 1);
	assert_memory_equal(r2.id, "user:bob", 8);
	assert_int_equal(r2.textlen[REFUSAL_CLIENT], REFUSAL_CLIENT % 4);
	r.times = 0;
	s.len = 0;
	msg_refusal_put(&s, &r);
	assert_int_equal(msg_refusal_get(&r2, s.data, s.len), -1);
	str_clear(&s);

	w.any = "bob";
	w.anylen = 3;
	w.nids = 1;
	w.id[0] = "user:bob";
	w.idlen[0] = 8;
	w.only_ids = true;
	msg_search_put(&s, &w);
	payload_check(message_search, &s);
	assert_int_equal(msg_search_get(&w2, s.data, s.len), 0);
	assert_true(w2.only_ids && w2.nids == 1 && w2.anylen == 3);
	str_clear(&s);

	msg_searched_put(&s, &end);
	payload_check(message_searched, &s);
	assert_int_equal(msg_searched_get(&end2, s.data, s.len), 0);
	assert_true(end2.failed && end2.refused == 7 && end2.shadow == 3);
	assert_string_equal(end2.reason, "why");
	str_clear(&s);
}

static void
every_type_has_a_rule(void **state)
{
	const struct message_rule	*rule;
	unsigned int			 everybody = (1U << ROLE__MAX) - 1;
	unsigned int			 type;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		rule = message_rule(type);
		assert_non_null(rule);
		assert_non_null(rule->name);
		assert_true(rule->from != 0 && (rule->from & ~everybody) == 0);
		assert_true(rule->to != 0 && (rule->to & ~everybody) == 0);
		/*
		 * Nobody talks to itself; descriptors come from the parent
		 * alone.
		 */
		assert_true((rule->from & rule->to) == 0);
		if (rule->fd)
			assert_int_equal(rule->from, 1U << ROLE_PARENT);
	}
	/* pledge(2) ends a process that sends or receives a directory. */
	assert_false(message_rule(MSG_DIRECTORY)->fd);
	assert_null(message_rule(MSG__MAX));
	assert_null(message_rule(65535));
	assert_null(message_rule(UINT32_MAX));
}

static void
roles_have_names(void **state)
{
	(void)state;
	assert_string_equal(message_role_name(ROLE_PARENT), "parent");
	assert_string_equal(message_role_name(ROLE_REPORT), "report");
	assert_non_null(message_role_name(ROLE__MAX));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(messages_of_the_start),
		cmocka_unit_test(texts_that_do_not_fit_are_refused),
		cmocka_unit_test(numbers_and_texts_arrive_unchanged),
		cmocka_unit_test(charges_arrive_unchanged),
		cmocka_unit_test(charges_out_of_bounds_are_refused),
		cmocka_unit_test(verdicts_arrive_unchanged),
		cmocka_unit_test(verdicts_out_of_bounds_are_refused),
		cmocka_unit_test(verdicts_with_mapped_ids_arrive_unchanged),
		cmocka_unit_test(evidence_arrives_unchanged),
		cmocka_unit_test(cleaning_and_reports_arrive_unchanged),
		cmocka_unit_test(refusals_arrive_unchanged),
		cmocka_unit_test(every_type_has_a_rule),
		cmocka_unit_test(roles_have_names)
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
