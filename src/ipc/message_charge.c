#include <string.h>

#include "ipc/message.h"
#include "ipc/wire.h"
#include "lib/addr.h"
#include "lib/log.h"

/*
 * The two messages of every request. Nothing is allocated here and nothing
 * cleared that is not read: struct msg_charge is large, a usual charge is
 * small.
 */

/* A key's members that are true, or not 0: only these are sent. */
#define HAS_SHADOW	0x0001
#define HAS_SOFT	0x0002
#define HAS_SQL		0x0004
#define HAS_MAP		0x0008
#define HAS_REPORT	0x0010
#define HAS_REPORTED	0x0020
#define HAS_BOUND	0x0040		/* max_per_mail */
#define HAS_WARNS	0x0080
#define HAS_PASS	0x0100
#define HAS_LOCKS	0x0200
#define HAS__ANY	0x03ff

static void
key_put(struct str *s, const struct msg_charge_key *k)
{
	unsigned int	members;
	size_t		i;

	if (k->limits.count > LIMITS_MAX)
		log_fatal("a charge under %zu limits", k->limits.count);
	wire_put_bytes(s, k->id, k->idlen);
	wire_put_i64(s, k->amount);
	wire_put_u8(s, k->kind);
	wire_put_u16(s, k->rule);
	members = (k->shadow ? HAS_SHADOW : 0) | (k->soft ? HAS_SOFT : 0) |
	    (k->sql ? HAS_SQL : 0) | (k->map ? HAS_MAP : 0) |
	    (k->report ? HAS_REPORT : 0) |
	    (k->reported != 0 ? HAS_REPORTED : 0) |
	    (k->max_per_mail != 0 ? HAS_BOUND : 0) |
	    (k->warn_at != 0 ? HAS_WARNS : 0) | (k->pass != 0 ? HAS_PASS : 0) |
	    (k->lock.seconds != 0 ? HAS_LOCKS : 0);
	wire_put_u16(s, (uint16_t)members);
	if ((members & HAS_REPORTED) != 0)
		wire_put_u32(s, k->reported);
	if ((members & HAS_BOUND) != 0)
		wire_put_i64(s, k->max_per_mail);
	if ((members & HAS_WARNS) != 0)
		wire_put_u8(s, k->warn_at);
	if ((members & HAS_PASS) != 0)
		wire_put_u8(s, k->pass);
	if ((members & HAS_LOCKS) != 0) {
		wire_put_i64(s, k->lock.seconds);
		wire_put_i64(s, k->lock.again);
		wire_put_bytes(s, k->lock.id, k->lock.idlen);
		wire_put_bytes(s, k->lock.rule, k->lock.rulelen);
	}
	if (CHARGE_HAS_VALUE(k->kind) || k->kind == CHARGE_HABIT)
		wire_put_bytes(s, k->value, k->valuelen);
	if (k->kind == CHARGE_HABIT) {
		wire_put_bytes(s, k->network, k->networklen);
		wire_put_i64(s, k->unfamiliar);
		wire_put_i64(s, k->learn);
	}
	wire_put_u8(s, (uint8_t)k->limits.count);
	for (i = 0; i < k->limits.count; i++)
		msg_limit_put(s, &k->limits.list[i]);
}

void
msg_charge_put(struct str *s, const struct msg_charge *m)
{
	size_t	i;

	if (m->nkeys > CHARGE_KEYS_MAX)
		log_fatal("a charge of %zu keys", m->nkeys);
	wire_put_u8(s, m->mode);
	wire_put_i64(s, m->deadline);
	wire_put_i64(s, m->date);
	wire_put_bytes(s, m->instance, m->instancelen);
	wire_put_i64(s, m->tag);
	wire_put_bytes(s, m->state, m->statelen);
	wire_put_u8(s, m->subject);
	if (m->subject) {
		wire_put_u8(s, m->senders);
		wire_put_bytes(s, m->login, m->loginlen);
		wire_put_bytes(s, m->sender, m->senderlen);
		wire_put_bytes(s, m->client, m->clientlen);
		wire_put_u8(s, m->exempt);
		wire_put_bytes(s, m->passes, m->passeslen);
	}
	wire_put_u8(s, (uint8_t)m->nkeys);
	for (i = 0; i < m->nkeys; i++)
		key_put(s, &m->keys[i]);
}

static void
key_get(struct wire *w, struct msg_charge_key *k, struct limit *store)
{
	uint16_t	members;
	size_t		i;

	k->id = wire_get_bytes(w, CHARGE_ID_MAX, &k->idlen);
	k->amount = wire_get_range(w, 0, CHARGE_AMOUNT_MAX);
	k->kind = wire_get_below(w, CHARGE_KIND__MAX);
	k->rule = wire_get_u16(w);
	if (((members = wire_get_u16(w)) & ~HAS__ANY) != 0)
		wire_fail(w);
	k->shadow = (members & HAS_SHADOW) != 0;
	k->soft = (members & HAS_SOFT) != 0;
	k->sql = (members & HAS_SQL) != 0;
	k->map = (members & HAS_MAP) != 0;
	k->report = (members & HAS_REPORT) != 0;
	k->reported = 0;
	k->max_per_mail = 0;
	k->warn_at = k->pass = 0;
	memset(&k->lock, 0, sizeof(k->lock));
	k->lock.id = k->lock.rule = "";
	if ((members & HAS_REPORTED) != 0 &&
	    (k->reported = wire_get_u32(w)) == 0)
		wire_fail(w);
	if ((members & HAS_BOUND) != 0)
		k->max_per_mail = wire_get_range(w, 1, INT64_MAX);
	if ((members & HAS_WARNS) != 0 &&
	    (k->warn_at = wire_get_below(w, 100 + 1)) == 0)
		wire_fail(w);
	if ((members & HAS_PASS) != 0 &&
	    (k->pass = wire_get_below(w, CHARGE_PASS_MAX + 1)) == 0)
		wire_fail(w);
	if ((members & HAS_LOCKS) != 0) {
		k->lock.seconds = wire_get_range(w, 1, OVERRIDE_SECONDS_MAX);
		k->lock.again = wire_get_range(w, 1, OVERRIDE_SECONDS_MAX);
		k->lock.id = wire_get_bytes(w, OVERRIDE_ID_MAX,
		    &k->lock.idlen);
		k->lock.rule = wire_get_bytes(w, OVERRIDE_WHO_MAX,
		    &k->lock.rulelen);
	}
	k->value = k->network = "";
	k->valuelen = k->networklen = 0;
	k->unfamiliar = k->learn = 0;
	if (CHARGE_HAS_VALUE(k->kind) || k->kind == CHARGE_HABIT)
		k->value = wire_get_bytes(w, CHARGE_ID_MAX, &k->valuelen);
	if (k->kind == CHARGE_HABIT) {
		k->network = wire_get_bytes(w, ADDR_TEXT_MAX,
		    &k->networklen);
		k->unfamiliar = wire_get_range(w, 0, INT64_MAX);
		k->learn = wire_get_range(w, 1, INT64_MAX);
	}
	k->limits.list = store;
	k->limits.count = wire_get_below(w, LIMITS_MAX + 1);
	for (i = 0; i < k->limits.count; i++)
		msg_limit_get(w, &store[i], 1);
}

int
msg_charge_get(struct msg_charge *m, const void *src, size_t len)
{
	struct wire	 w;
	struct limit	*store = m->store;
	size_t		 i;

	wire_init(&w, src, len);
	m->mode = wire_get_below(&w, CHARGE__MAX);
	m->deadline = wire_get_i64(&w);
	m->date = wire_get_range(&w, 0, INT64_MAX);
	if (CHARGE_MAY_REFUSE(m->mode) && m->date != 0)
		wire_fail(&w);
	m->instance = wire_get_bytes(&w, CHARGE_INSTANCE_MAX, &m->instancelen);
	m->tag = wire_get_i64(&w);
	m->state = wire_get_bytes(&w, CHARGE_STATE_MAX, &m->statelen);
	m->senders = false;
	m->login = m->sender = m->client = "";
	m->loginlen = m->senderlen = m->clientlen = 0;
	m->exempt = false;
	m->passes = "";
	m->passeslen = 0;
	m->pass = 0;
	if ((m->subject = wire_get_bool(&w))) {
		m->senders = wire_get_bool(&w);
		m->login = wire_get_bytes(&w, CHARGE_ID_MAX, &m->loginlen);
		m->sender = wire_get_bytes(&w, CHARGE_ID_MAX, &m->senderlen);
		m->client = wire_get_bytes(&w, ADDR_TEXT_MAX, &m->clientlen);
		m->exempt = wire_get_bool(&w);
		m->passes = wire_get_bytes(&w, CHARGE_PASSES_MAX,
		    &m->passeslen);
	}
	m->nkeys = wire_get_u8(&w);
	if ((m->nkeys == 0 && !m->subject) || m->nkeys > CHARGE_KEYS_MAX)
		wire_fail(&w);
	for (i = 0; i < m->nkeys && !w.bad; i++) {
		key_get(&w, &m->keys[i], store);
		store += m->keys[i].limits.count;
	}
	if (w.bad)
		m->nkeys = 0;
	return wire_done(&w);
}

/* Bit i: `full` is sent for key i. */
static uint32_t
verdict_full(const struct msg_verdict *m)
{
	uint32_t	keys = m->over | m->shadowed | m->warned;

	if (m->verdict == VERDICT_REFUSED && m->key < CHARGE_KEYS_MAX)
		keys |= UINT32_C(1) << m->key;
	return keys;
}

void
msg_verdict_put(struct str *s, const struct msg_verdict *m)
{
	uint32_t	i, full;

	if (m->ncharged > CHARGE_KEYS_MAX)
		log_fatal("a verdict over %u keys", m->ncharged);
	wire_put_u8(s, m->verdict);
	wire_put_u16(s, m->key);
	msg_limit_put(s, &m->limit);
	wire_put_i64(s, m->used);
	wire_put_i64(s, m->retry_after);
	wire_put_u8(s, m->never);
	wire_put_u8(s, m->per_mail);
	wire_put_u32(s, m->over);
	wire_put_u32(s, m->shadowed);
	wire_put_u32(s, m->warned);
	wire_put_u32(s, m->locked);
	wire_put_u32(s, m->would_lock);
	wire_put_u32(s, m->unlocked);
	wire_put_u8(s, m->passed);
	for (i = 0; i < CHARGE_KEYS_MAX; i++)
		if ((m->locked >> i & 1) != 0)
			wire_put_i64(s, m->locked_until[i]);
	full = verdict_full(m);
	for (i = 0; full != 0; i++, full >>= 1)
		if ((full & 1) != 0) {
			msg_limit_put(s, &m->full[i].limit);
			wire_put_i64(s, m->full[i].used);
			wire_put_i64(s, m->full[i].retry_after);
		}
	wire_put_u8(s, (uint8_t)m->ncharged);
	for (i = 0; i < m->ncharged; i++)
		wire_put_i64(s, m->charged[i]);
	wire_put_u32(s, m->mapped);
	for (i = 0; i < CHARGE_KEYS_MAX; i++)
		if ((m->mapped >> i & 1) != 0)
			wire_put_bytes(s, m->map[i].id, m->map[i].idlen);
}

int
msg_verdict_get(struct msg_verdict *m, const void *src, size_t len)
{
	struct wire	w;
	uint32_t	i, full;

	wire_init(&w, src, len);
	m->verdict = wire_get_below(&w, VERDICT__MAX);
	if ((m->key = wire_get_u16(&w)) >= CHARGE_KEYS_MAX)
		wire_fail(&w);
	msg_limit_get(&w, &m->limit, 0);
	m->used = wire_get_i64(&w);
	m->retry_after = wire_get_range(&w, 0, INT64_MAX);
	m->never = wire_get_bool(&w);
	m->per_mail = wire_get_bool(&w);
	m->over = wire_get_u32(&w);
	m->shadowed = wire_get_u32(&w);
	m->warned = wire_get_u32(&w);
	m->locked = wire_get_u32(&w);
	m->would_lock = wire_get_u32(&w);
	m->unlocked = wire_get_u32(&w);
	m->passed = wire_get_below(&w, CHARGE_PASS_MAX + 1);
	for (i = 0; i < CHARGE_KEYS_MAX; i++)
		if ((m->locked >> i & 1) != 0)
			m->locked_until[i] = wire_get_range(&w, 0,
			    OVERRIDE_FOREVER);
	full = verdict_full(m);
	for (i = 0; full != 0; i++, full >>= 1)
		if ((full & 1) != 0) {
			msg_limit_get(&w, &m->full[i].limit, 0);
			m->full[i].used = wire_get_i64(&w);
			m->full[i].retry_after = wire_get_range(&w, 0,
			    INT64_MAX);
		}
	m->ncharged = wire_get_below(&w, CHARGE_KEYS_MAX + 1);
	for (i = 0; i < m->ncharged; i++)
		m->charged[i] = wire_get_i64(&w);
	m->mapped = wire_get_u32(&w);
	for (i = 0; i < CHARGE_KEYS_MAX; i++)
		if ((m->mapped >> i & 1) != 0)
			m->map[i].id = wire_get_bytes(&w, CHARGE_ID_MAX,
			    &m->map[i].idlen);
	return wire_done(&w);
}
