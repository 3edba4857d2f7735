#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/id.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define USUAL		6000	/* bytes; a charge of up to eight keys */
#define SPARES		1024

/* --- a copy of a charge --- */

/* Copies the bytes to *at, and advances *at past them. */
static const char *
put(char **at, const char *bytes, size_t len)
{
	char	*copy = *at;

	memcpy(copy, bytes, len);
	*at += len;
	return copy;
}

/* The same for the stored form of an id. */
static const char *
put_id(char **at, const char *id, size_t *len)
{
	char		 hashed[ID_STORED_MAX + 1];
	const char	*stored = id_stored(id, len, hashed);

	return put(at, stored, *len);
}

/*
 * The rule of a key, if its id begins with the rule's name: after a reload a
 * charge may come from older rules.
 */
static const struct settings_rule *
rule_of(const struct settings *s, uint16_t number, const char *id, size_t idlen)
{
	const struct settings_rule	*rule;
	size_t				 n;

	if (number >= s->nrules)
		return NULL;
	rule = &s->rules[number];
	n = strlen(rule->name);
	return idlen > n && id[n] == ':' && memcmp(id, rule->name, n) == 0 ?
	    rule : NULL;
}

void
charge_was(struct verdict_charge *c, const struct settings *s, size_t key,
    const char *id, size_t idlen)
{
	const struct settings_rule	*rule;
	struct verdict_id		*v;
	struct str			 was;
	size_t				 bare, i;
	char				*at;

	rule = rule_of(s, c->keys[key].charge.rule, id, idlen);
	for (i = 0; rule != NULL && i < rule->nwas && c->nids < c->room; i++) {
		bare = strlen(rule->name);
		str_init(&was);
		str_adds(&was, rule->was[i]);
		str_add(&was, id + bare, idlen - bare);
		at = c->was + (c->nids - c->nkeys) * ID_STORED_MAX;
		v = &c->ids[c->nids++];
		memset(v, 0, sizeof(*v));
		v->key = key;
		v->rule_name = habits_rule(rule->was[i], strlen(rule->was[i]));
		v->idlen = was.len;
		v->id = put_id(&at, was.data, &v->idlen);
		str_clear(&was);
	}
}

static void
put_key(struct verdict_charge *c, size_t i, const struct msg_charge_key *m,
    struct limit **limit, char **at)
{
	struct verdict_key	*k = &c->keys[i];
	struct verdict_id	*v = &c->ids[i];
	const char		*colon;

	memset(k, 0, sizeof(*k));
	memset(v, 0, sizeof(*v));
	k->charge = *m;
	k->charge.id = put_id(at, m->id, &k->charge.idlen);
	if (CHARGE_HAS_VALUE(m->kind))
		k->charge.value = put_id(at, m->value, &k->charge.valuelen);
	if (m->kind == CHARGE_HABIT) {
		/* Only hashes of these are stored. */
		k->charge.value = put(at, m->value, m->valuelen);
		k->charge.network = put(at, m->network, m->networklen);
		/* An id begins with the rule's name. */
		colon = memchr(m->id, ':', m->idlen);
		v->rule_name = habits_rule(m->id, colon == NULL ? m->idlen :
		    (size_t)(colon - m->id));
	}
	if (m->lock.seconds > 0) {
		k->charge.lock.id = put(at, m->lock.id, m->lock.idlen);
		k->charge.lock.rule = put(at, m->lock.rule, m->lock.rulelen);
	}
	k->charge.limits.list = *limit;
	memcpy(*limit, m->limits.list, m->limits.count * sizeof(**limit));
	*limit += m->limits.count;
	v->key = i;
	v->id = k->charge.id;
	v->idlen = k->charge.idlen;
	if (!m->map)
		return;
	k->own.id = k->charge.id;
	k->own.idlen = k->charge.idlen;
	k->own.limits = k->charge.limits;
	k->own.reported = m->reported;
	k->own.room = *at;
	*at += ID_STORED_MAX;
}

static void
put_subject(struct verdict_charge *c, const struct msg_charge *m, char **at)
{
	size_t	i;

	memset(&c->from, 0, sizeof(c->from));
	if (!m->subject)
		return;
	c->from.subject.senders = m->senders;
	c->from.subject.login = put(at, m->login, m->loginlen);
	c->from.subject.loginlen = m->loginlen;
	c->from.subject.sender = put(at, m->sender, m->senderlen);
	c->from.subject.senderlen = m->senderlen;
	c->from.exempt = m->exempt;
	c->from.passes = put(at, m->passes, m->passeslen);
	c->from.passeslen = m->passeslen;
	for (i = 0; i < m->nkeys; i++)
		c->from.pass |= m->keys[i].pass;
	(void)addr_parse(&c->from.subject.client, m->client, m->clientlen);
}

/*
 * Most charges have one size, and there are many: a finished charge's memory is
 * kept for the next one.
 */
static struct verdict_charge *
new_charge(struct charge_batch *b, size_t size)
{
	struct verdict_charge	*c = TAILQ_FIRST(&b->spare);

	if (size <= USUAL && c != NULL) {
		TAILQ_REMOVE(&b->spare, c, entry);
		b->nspare--;
	} else
		c = alloc_resize(NULL, 1, size > USUAL ? size : USUAL);
	c->size = size;
	return c;
}

struct verdict_charge *
charge_copy(struct charge_batch *b, const struct msg_charge *m)
{
	const struct settings_rule	*rule;
	const struct msg_charge_key	*k;
	struct verdict_charge		*c;
	struct limit			*limit;
	char				*at;
	size_t				 nlimits = 0, nwas = 0, ids = 0;
	size_t				 bytes, i;

	bytes = id_stored_room(m->instancelen) + m->statelen + m->loginlen +
	    m->senderlen + m->passeslen;
	for (i = 0; i < m->nkeys; i++) {
		k = &m->keys[i];
		rule = rule_of(b->settings, k->rule, k->id, k->idlen);
		nwas += rule != NULL ? rule->nwas : 0;
		ids += k->idlen;
		nlimits += k->limits.count;
		bytes += id_stored_room(k->idlen) +
		    id_stored_room(k->valuelen) + k->networklen +
		    (k->map ? ID_STORED_MAX : 0) + k->lock.idlen +
		    k->lock.rulelen;
	}
	/* In this order: the charge, keys, ids, limits, strings. */
	c = new_charge(b, sizeof(*c) + m->nkeys * sizeof(c->keys[0]) +
	    (m->nkeys + nwas) * sizeof(c->ids[0]) + nlimits * sizeof(*limit) +
	    nwas * ID_STORED_MAX + (nwas > 0 ? ids : 0) + bytes);
	c->ids = (struct verdict_id *)(void *)&c->keys[m->nkeys];
	limit = (struct limit *)(void *)(c->ids + m->nkeys + nwas);
	c->was = (char *)(limit + nlimits);
	at = c->was + nwas * ID_STORED_MAX;
	c->mode = m->mode;
	c->deadline = m->deadline;
	c->date = m->date;
	c->tag = m->tag;
	c->weighed = NULL;
	c->nkeys = c->nids = m->nkeys;
	c->room = m->nkeys + nwas;
	for (i = 0; i < m->nkeys; i++)
		put_key(c, i, &m->keys[i], &limit, &at);
	for (i = 0; i < m->nkeys && nwas > 0; i++) {
		k = &m->keys[i];
		c->keys[i].whole = put(&at, k->id, k->idlen);
		c->keys[i].wholelen = k->idlen;
		charge_was(c, b->settings, i, k->id, k->idlen);
	}
	c->instancelen = m->instancelen;
	c->instance = put_id(&at, m->instance, &c->instancelen);
	put_subject(c, m, &at);
	/*
	 * Only people read the state: it is dropped if a database would refuse
	 * it as text.
	 */
	c->statelen = memchr(m->state, '\0', m->statelen) == NULL &&
	    str_utf8_valid(m->state, m->statelen) ? m->statelen : 0;
	c->state = put(&at, m->state, c->statelen);
	return c;
}

void
charge_free(struct charge_batch *b, struct verdict_charge *c)
{
	free(c->weighed);
	if (c->size > USUAL || b->nspare == SPARES) {
		free(c);
		return;
	}
	TAILQ_INSERT_HEAD(&b->spare, c, entry);
	b->nspare++;
}

/* --- the queues that it is in --- */

void
charge_settle(struct charge_batch *b, struct verdict_charge *c)
{
	TAILQ_REMOVE(&b->waiting, c, entry);
	TAILQ_INSERT_TAIL(&b->decided, c, entry);
	b->count--;
}

void
charge_give_up(struct charge_batch *b, struct verdict_charge *c)
{
	memset(&c->verdict, 0, sizeof(c->verdict));
	c->verdict.verdict = VERDICT_UNAVAILABLE;
	charge_settle(b, c);
}

void
charge_expire(struct charge_batch *b, struct mono mono, bool all)
{
	struct verdict_charge	*c, *next;

	for (c = TAILQ_FIRST(&b->waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (all || c->deadline <= mono.ns)
			charge_give_up(b, c);
	}
}

void
charge_decide_again(struct charge_batch *b)
{
	struct verdict_charge	*c;

	while ((c = TAILQ_LAST(&b->decided, charges)) != NULL) {
		TAILQ_REMOVE(&b->decided, c, entry);
		TAILQ_INSERT_HEAD(&b->waiting, c, entry);
		b->count++;
	}
}
