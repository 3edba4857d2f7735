#include "engine/decide.h"
#include "engine/events.h"
#include "engine/reply.h"
#include "engine/maillog_event.h"

static void
add_value(struct str *fields, const char *name, const struct maillog_value *v)
{
	reply_bytes(fields, name, v->bytes, v->len);
}

static void
add_about(struct str *fields, const struct maillog_about *about)
{
	add_value(fields, "sasl_username", &about->login);
	add_value(fields, "from", &about->sender);
	add_value(fields, "client", &about->client);
	add_value(fields, "queue_id", &about->queue_id);
}

void
maillog_event_key(const struct maillog_event *e, const struct settings *s,
    const struct msg_charge *charge, const struct maillog_about *about)
{
	const struct msg_charge_key	*key = e->key;
	struct str			 fields, name;

	if (!events_wanted())
		return;
	str_init(&fields);
	str_init(&name);
	decide_key_name(&name, s, key, about->identity);
	reply_bytes(&fields, "id", key->id, key->idlen);
	reply_bytes(&fields, "key", name.data, name.len);
	reply_text(&fields, "rule", key->rule < s->nrules ?
	    s->rules[key->rule].name : "");
	reply_number(&fields, "n", key->amount);
	reply_number(&fields, "limit", e->limit.mails);
	reply_number(&fields, "seconds", e->limit.seconds);
	reply_number(&fields, "used", e->used);
	reply_bool(&fields, "shadow", e->shadow);
	reply_bool(&fields, "accepted", e->accepted);
	add_about(&fields, about);
	reply_bytes(&fields, "state", charge->state, charge->statelen);
	reply_bytes(&fields, "instance", charge->instance,
	    charge->instancelen);
	events_add(e->event, &fields);
	str_clear(&name);
	str_clear(&fields);
}

void
maillog_event_lock(const struct msg_charge_key *key, int64_t until,
    const struct maillog_about *about)
{
	struct str	fields;

	if (!events_wanted())
		return;
	str_init(&fields);
	reply_bytes(&fields, "id", key->lock.id, key->lock.idlen);
	reply_bytes(&fields, "rule", key->lock.rule, key->lock.rulelen);
	reply_until(&fields, until);
	add_about(&fields, about);
	events_add("locked", &fields);
	str_clear(&fields);
}

void
maillog_event_block(const struct override *block,
    const struct maillog_about *about)
{
	struct str	fields;

	if (!events_wanted())
		return;
	str_init(&fields);
	if (block != NULL) {
		reply_bytes(&fields, "id", block->id, block->idlen);
		reply_until(&fields, block->until);
	}
	add_about(&fields, about);
	events_add("blocked", &fields);
	str_clear(&fields);
}
