#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/id.h"
#include "lib/str.h"

/*
 * A copy of a charge is one allocation: the charge, its keys, their limits, the
 * strings.
 */

/* The most bytes that the strings of one charge need in their stored form. */
static size_t
charge_bytes(const struct msg_charge *m)
{
	size_t	n, i;

	n = id_stored_room(m->instancelen) + m->statelen + m->loginlen +
	    m->senderlen + m->passeslen;
	for (i = 0; i < m->nkeys; i++)
		n += id_stored_room(m->keys[i].idlen) +
		    id_stored_room(m->keys[i].valuelen) +
		    m->keys[i].networklen +
		    (m->keys[i].map ? ID_STORED_MAX : 0) +
		    m->keys[i].lock.idlen + m->keys[i].lock.rulelen;
	return n;
}

static size_t
charge_limits(const struct msg_charge *m)
{
	size_t	n = 0, i;

	for (i = 0; i < m->nkeys; i++)
		n += m->keys[i].limits.count;
	return n;
}

/* Copies the stored form to *at and advances *at past it. */
static const char *
charge_store_id(char **at, const char *id, size_t *len)
{
	char		 hashed[ID_STORED_MAX + 1], *copy = *at;
	const char	*stored;

	stored = id_stored(id, len, hashed);
	memcpy(copy, stored, *len);
	*at += *len;
	return copy;
}

static const char *
charge_store(char **at, const char *bytes, size_t len)
{
	char	*copy = *at;

	memcpy(copy, bytes, len);
	*at += len;
	return copy;
}

static void
charge_key(struct verdict_key *k, const struct msg_charge_key *m,
    struct limit **limit, char **at)
{
	memset(k, 0, sizeof(*k));
	k->charge = *m;
	k->charge.id = charge_store_id(at, m->id, &k->charge.idlen);
	if (CHARGE_HAS_VALUE(m->kind))
		k->charge.value = charge_store_id(at, m->value,
		    &k->charge.valuelen);
	if (m->kind == CHARGE_HABIT)
		charge_pairs_take(k, m, at);
	k->charge.lock.id = charge_store(at, m->lock.id, m->lock.idlen);
	k->charge.lock.rule = charge_store(at, m->lock.rule, m->lock.rulelen);
	k->charge.limits.list = *limit;
	memcpy(*limit, m->limits.list, m->limits.count * sizeof(**limit));
	*limit += m->limits.count;
	if (!m->map)
		return;
	k->own.id = k->charge.id;
	k->own.idlen = k->charge.idlen;
	k->own.limits = k->charge.limits;
	k->own.reported = m->reported;
	k->own.room = *at;
	*at += ID_STORED_MAX;
}

/*
 * Leaves out a state that no database would take as text; it is only for people
 * to read.
 */
static void
charge_state(struct verdict_charge *c, const struct msg_charge *m, char *at)
{
	if (memchr(m->state, '\0', m->statelen) != NULL ||
	    !str_utf8_valid(m->state, m->statelen))
		return;
	memcpy(at, m->state, m->statelen);
	c->state = at;
	c->statelen = m->statelen;
}

static void
charge_subject(struct verdict_charge *c, const struct msg_charge *m, char **at)
{
	size_t	i;

	memset(&c->from, 0, sizeof(c->from));
	if (!m->subject)
		return;
	c->from.subject.senders = m->senders;
	c->from.subject.login = charge_store(at, m->login, m->loginlen);
	c->from.subject.loginlen = m->loginlen;
	c->from.subject.sender = charge_store(at, m->sender, m->senderlen);
	c->from.subject.senderlen = m->senderlen;
	c->from.exempt = m->exempt;
	c->from.passes = charge_store(at, m->passes, m->passeslen);
	c->from.passeslen = m->passeslen;
	for (i = 0; i < m->nkeys; i++)
		c->from.pass |= m->keys[i].pass;
	(void)addr_parse(&c->from.subject.client, m->client, m->clientlen);
}

/* The bytes of the charge and its keys. */
static size_t
charge_keys_size(const struct msg_charge *m)
{
	return sizeof(struct verdict_charge) +
	    m->nkeys * sizeof(struct verdict_key);
}

size_t
charge_copy_size(const struct msg_charge *m)
{
	return charge_keys_size(m) + charge_limits(m) * sizeof(struct limit) +
	    charge_bytes(m);
}

void
charge_copy(struct verdict_charge *c, const struct msg_charge *m)
{
	struct limit	*limit;
	char		*at;
	size_t		 i;

	limit = (struct limit *)(void *)((char *)c + charge_keys_size(m));
	at = (char *)(limit + charge_limits(m));
	c->mode = m->mode;
	c->deadline = m->deadline;
	c->date = m->date;
	c->tag = m->tag;
	c->nkeys = m->nkeys;
	c->state = "";
	c->statelen = 0;
	for (i = 0; i < m->nkeys; i++)
		charge_key(&c->keys[i], &m->keys[i], &limit, &at);
	c->instancelen = m->instancelen;
	c->instance = charge_store_id(&at, m->instance, &c->instancelen);
	charge_subject(c, m, &at);
	charge_state(c, m, at);
}
