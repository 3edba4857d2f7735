#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ipc/wire.h"
#include "lib/log.h"

const char	*const msg_refusal_kinds[REFUSAL_KIND__MAX] = {
	[REFUSAL_LIMIT] = "limit",
	[REFUSAL_MAX_PER_MAIL] = "max_per_mail",
	[REFUSAL_BLOCK] = "block",
	[REFUSAL_LOCK] = "lock",
	[REFUSAL_OVER] = "over"
};

const char	*const msg_refusal_texts[REFUSAL_TEXT__MAX] = {
	[REFUSAL_LOGIN] = "login",
	[REFUSAL_SENDER] = "sender",
	[REFUSAL_RECIPIENT] = "recipient",
	[REFUSAL_CLIENT] = "client",
	[REFUSAL_CLIENT_NAME] = "client_name",
	[REFUSAL_STATE] = "state",
	[REFUSAL_QUEUE_ID] = "queue_id",
	[REFUSAL_INSTANCE] = "instance"
};

static void
texts_put(struct str *s, const char *const *text, const size_t *len)
{
	size_t	i;

	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		wire_put_bytes(s, text[i], len[i]);
}

static void
texts_get(struct wire *w, const char **text, size_t *len)
{
	size_t	i;

	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		text[i] = wire_get_bytes(w, REFUSAL_TEXT_MAX, &len[i]);
}

void
msg_refusal_put(struct str *s, const struct msg_refusal *m)
{
	size_t	i;

	if (m->nwindows > LIMITS_MAX)
		log_fatal("a refusal with %zu windows", m->nwindows);
	wire_put_i64(s, m->number);
	wire_put_i64(s, m->date);
	wire_put_u8(s, m->first);
	wire_put_u8(s, m->kind);
	wire_put_u8(s, m->shadow);
	wire_put_bytes(s, m->id, m->idlen);
	wire_put_bytes(s, m->rule, m->rulelen);
	wire_put_i64(s, m->n);
	wire_put_i64(s, m->recipients);
	wire_put_u8(s, (uint8_t)m->full);
	wire_put_u8(s, (uint8_t)m->nwindows);
	for (i = 0; i < m->nwindows; i++) {
		msg_limit_put(s, &m->window[i].limit);
		wire_put_i64(s, m->window[i].used);
	}
	texts_put(s, m->text, m->textlen);
	wire_put_i64(s, m->times);
}

int
msg_refusal_get(struct msg_refusal *m, const void *src, size_t len)
{
	struct wire	w;
	size_t		i;

	wire_init(&w, src, len);
	m->number = wire_get_i64(&w);
	m->date = wire_get_range(&w, 0, INT64_MAX);
	m->first = wire_get_bool(&w);
	m->kind = wire_get_below(&w, REFUSAL_KIND__MAX);
	m->shadow = wire_get_bool(&w);
	m->id = wire_get_bytes(&w, CHARGE_ID_MAX, &m->idlen);
	m->rule = wire_get_bytes(&w, REFUSAL_TEXT_MAX, &m->rulelen);
	m->n = wire_get_range(&w, 0, INT64_MAX);
	m->recipients = wire_get_range(&w, 0, INT64_MAX);
	m->full = wire_get_u8(&w);
	m->nwindows = wire_get_u8(&w);
	if (m->nwindows > LIMITS_MAX ||
	    (m->full >= m->nwindows && m->full > 0)) {
		wire_fail(&w);
		m->full = m->nwindows = 0;
	}
	for (i = 0; i < m->nwindows; i++) {
		msg_limit_get(&w, &m->window[i].limit, 0);
		m->window[i].used = wire_get_i64(&w);
	}
	texts_get(&w, m->text, m->textlen);
	m->times = wire_get_range(&w, 1, INT64_MAX);
	return wire_done(&w);
}

void
msg_search_put(struct str *s, const struct msg_search *m)
{
	wire_put_u32(s, m->n);
	wire_put_i64(s, m->since);
	wire_put_u8(s, m->only_ids);
	wire_put_bytes(s, m->any, m->anylen);
	texts_put(s, m->text, m->textlen);
	msg_ids_put(s, m->id, m->idlen, m->nids);
}

int
msg_search_get(struct msg_search *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->n = wire_get_u32(&w);
	m->since = wire_get_range(&w, 0, INT64_MAX);
	m->only_ids = wire_get_bool(&w);
	m->any = wire_get_bytes(&w, CHARGE_ID_MAX, &m->anylen);
	texts_get(&w, m->text, m->textlen);
	m->nids = msg_ids_get(&w, m->id, m->idlen);
	return wire_done(&w);
}

void
msg_searched_put(struct str *s, const struct msg_searched *m)
{
	wire_put_u8(s, m->failed);
	wire_put_i64(s, m->refused);
	wire_put_i64(s, m->shadow);
	wire_put_text(s, m->reason);
}

int
msg_searched_get(struct msg_searched *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->failed = wire_get_bool(&w);
	m->refused = wire_get_range(&w, 0, INT64_MAX);
	m->shadow = wire_get_range(&w, 0, INT64_MAX);
	wire_get_array(&w, m->reason, sizeof(m->reason));
	return wire_done(&w);
}
