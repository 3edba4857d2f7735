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

/* What is sent of each struct as it is in memory. */
#define CHARGE_HEAD	offsetof(struct msg_charge, instance)
#define KEY_HEAD	offsetof(struct msg_charge_key, lock.id)
#define VERDICT_HEAD	offsetof(struct msg_verdict, charged)

_Static_assert(CHARGE_HEAD == 3 * 8 + 4 + 4 && KEY_HEAD == 4 * 8 + 2 * 4 + 8 &&
    VERDICT_HEAD == 4 * 8 + 9 * 4 + 4, "no padding may be sent");

static void
key_put(struct str *s, const struct msg_charge_key *k)
{
	if (k->limits.count > LIMITS_MAX)
		log_fatal("a charge under %zu limits", k->limits.count);
	str_add(s, k, KEY_HEAD);
	wire_put_bytes(s, k->id, k->idlen);
	wire_put_bytes(s, k->limits.list,
	    k->limits.count * sizeof(*k->limits.list));
	if (k->lock.seconds != 0) {
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
}

void
msg_charge_put(struct str *s, const struct msg_charge *m)
{
	size_t	i;

	if (m->nkeys > CHARGE_KEYS_MAX)
		log_fatal("a charge of %u keys", m->nkeys);
	str_add(s, m, CHARGE_HEAD);
	wire_put_bytes(s, m->instance, m->instancelen);
	wire_put_bytes(s, m->state, m->statelen);
	if (m->subject) {
		wire_put_bytes(s, m->login, m->loginlen);
		wire_put_bytes(s, m->sender, m->senderlen);
		wire_put_bytes(s, m->client, m->clientlen);
		wire_put_bytes(s, m->passes, m->passeslen);
	}
	for (i = 0; i < m->nkeys; i++)
		key_put(s, &m->keys[i]);
}

static void
limits_get(struct wire *w, struct limits *limits, struct limit *store)
{
	size_t		 len, i;
	const void	*list;

	list = wire_get_bytes(w, LIMITS_MAX * sizeof(*store), &len);
	if (len % sizeof(*store) != 0)
		wire_fail(w);
	memcpy(store, list, len);
	limits->list = store;
	limits->count = len / sizeof(*store);
	for (i = 0; i < limits->count; i++)
		if (store[i].mails < 0 || store[i].seconds < 1)
			wire_fail(w);
}

static void
key_get(struct wire *w, struct msg_charge_key *k, struct limit *store)
{
	wire_get(w, k, KEY_HEAD);
	if (k->amount < 0 || k->amount > CHARGE_AMOUNT_MAX ||
	    k->max_per_mail < 0 || k->rule > UINT16_MAX ||
	    k->kind >= CHARGE_KIND__MAX || k->warn_at > 100 ||
	    k->pass > CHARGE_PASS_MAX ||
	    (k->report | k->shadow | k->soft | k->sql | k->map) > 1 ||
	    k->lock.seconds < 0 || k->lock.seconds > OVERRIDE_SECONDS_MAX ||
	    k->lock.again < (k->lock.seconds != 0) ||
	    k->lock.again > (k->lock.seconds != 0 ? OVERRIDE_SECONDS_MAX : 0))
		wire_fail(w);
	k->id = wire_get_bytes(w, CHARGE_ID_MAX, &k->idlen);
	limits_get(w, &k->limits, store);
	k->lock.id = k->lock.rule = k->value = k->network = "";
	k->lock.idlen = k->lock.rulelen = k->valuelen = k->networklen = 0;
	k->unfamiliar = k->learn = 0;
	if (k->lock.seconds != 0) {
		k->lock.id = wire_get_bytes(w, OVERRIDE_ID_MAX,
		    &k->lock.idlen);
		k->lock.rule = wire_get_bytes(w, OVERRIDE_WHO_MAX,
		    &k->lock.rulelen);
	}
	if (CHARGE_HAS_VALUE(k->kind) || k->kind == CHARGE_HABIT)
		k->value = wire_get_bytes(w, CHARGE_ID_MAX, &k->valuelen);
	if (k->kind == CHARGE_HABIT) {
		k->network = wire_get_bytes(w, ADDR_TEXT_MAX, &k->networklen);
		k->unfamiliar = wire_get_range(w, 0, INT64_MAX);
		k->learn = wire_get_range(w, 1, INT64_MAX);
	}
}

int
msg_charge_get(struct msg_charge *m, const void *src, size_t len)
{
	struct wire	 w;
	struct limit	*store = m->store;
	size_t		 i;

	wire_init(&w, src, len);
	wire_get(&w, m, CHARGE_HEAD);
	if (m->date < 0 || (CHARGE_MAY_REFUSE(m->mode) && m->date != 0) ||
	    (m->nkeys == 0 && !m->subject) || m->nkeys > CHARGE_KEYS_MAX ||
	    m->mode >= CHARGE__MAX || (m->subject | m->senders | m->exempt) > 1)
		wire_fail(&w);
	m->instance = wire_get_bytes(&w, CHARGE_INSTANCE_MAX, &m->instancelen);
	m->state = wire_get_bytes(&w, CHARGE_STATE_MAX, &m->statelen);
	m->login = m->sender = m->client = m->passes = "";
	m->loginlen = m->senderlen = m->clientlen = m->passeslen = 0;
	m->pass = 0;
	if (m->subject) {
		m->login = wire_get_bytes(&w, CHARGE_ID_MAX, &m->loginlen);
		m->sender = wire_get_bytes(&w, CHARGE_ID_MAX, &m->senderlen);
		m->client = wire_get_bytes(&w, ADDR_TEXT_MAX, &m->clientlen);
		m->passes = wire_get_bytes(&w, CHARGE_PASSES_MAX,
		    &m->passeslen);
	}
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
	uint32_t	full = verdict_full(m), i;
	uint32_t	rest = m->locked | full | m->mapped;

	if (m->ncharged > CHARGE_KEYS_MAX)
		log_fatal("a verdict over %u keys", m->ncharged);
	str_add(s, m, VERDICT_HEAD + m->ncharged * sizeof(m->charged[0]));
	for (i = 0; rest != 0; i++, rest >>= 1) {
		if ((m->locked >> i & 1) != 0)
			wire_put_i64(s, m->locked_until[i]);
		if ((full >> i & 1) != 0)
			str_add(s, &m->full[i], sizeof(m->full[i]));
		if ((m->mapped >> i & 1) != 0)
			wire_put_bytes(s, m->map[i].id, m->map[i].idlen);
	}
}

int
msg_verdict_get(struct msg_verdict *m, const void *src, size_t len)
{
	struct wire	w;
	uint32_t	full, rest, i;

	wire_init(&w, src, len);
	wire_get(&w, m, VERDICT_HEAD);
	if (m->limit.mails < 0 || m->limit.seconds < 0 || m->retry_after < 0 ||
	    m->ncharged > CHARGE_KEYS_MAX || m->key >= CHARGE_KEYS_MAX ||
	    m->verdict >= VERDICT__MAX || m->passed > CHARGE_PASS_MAX ||
	    (m->never | m->per_mail) > 1) {
		wire_fail(&w);
		return wire_done(&w);
	}
	wire_get(&w, m->charged, m->ncharged * sizeof(m->charged[0]));
	full = verdict_full(m);
	rest = m->locked | full | m->mapped;
	for (i = 0; rest != 0; i++, rest >>= 1) {
		if ((m->locked >> i & 1) != 0)
			m->locked_until[i] = wire_get_range(&w, 0,
			    OVERRIDE_FOREVER);
		if ((full >> i & 1) != 0) {
			wire_get(&w, &m->full[i], sizeof(m->full[i]));
			if (m->full[i].limit.mails < 0 ||
			    m->full[i].limit.seconds < 0 ||
			    m->full[i].retry_after < 0)
				wire_fail(&w);
		}
		if ((m->mapped >> i & 1) != 0)
			m->map[i].id = wire_get_bytes(&w, CHARGE_ID_MAX,
			    &m->map[i].idlen);
	}
	return wire_done(&w);
}
