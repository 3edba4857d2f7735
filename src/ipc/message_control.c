#include <string.h>

#include "ipc/message.h"
#include "ipc/message_simulate.h"
#include "ipc/wire.h"
#include "lib/log.h"

/* What is said for policyctl's sake. */

/* --- the parent --- */

void
msg_task_done_put(struct str *s, const struct msg_task_done *m)
{
	wire_put_u8(s, m->task);
	wire_put_u8(s, m->good);
	wire_put_text(s, m->text);
}

int
msg_task_done_get(struct msg_task_done *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->task = wire_get_below(&w, TASK__MAX);
	m->good = wire_get_bool(&w);
	wire_get_array(&w, m->text, sizeof(m->text));
	return wire_done(&w);
}

void
msg_state_put(struct str *s, const struct msg_state *m)
{
	const struct msg_state_process	*p;
	size_t				 i;

	if (m->nprocesses > STATE_PROCESSES_MAX)
		log_fatal("a state of %zu processes", m->nprocesses);
	wire_put_i64(s, m->since);
	wire_put_u64(s, m->generation);
	wire_put_i64(s, m->read);
	wire_put_u8(s, m->reload_failed);
	wire_put_text(s, m->fault);
	wire_put_text(s, m->file);
	wire_put_u8(s, (uint8_t)m->nprocesses);
	for (i = 0; i < m->nprocesses; i++) {
		p = &m->process[i];
		wire_put_text(s, p->name);
		wire_put_u32(s, p->pid);
		wire_put_i64(s, p->since);
		wire_put_u8(s, p->serving);
		wire_put_text(s, p->sandbox);
	}
}

int
msg_state_get(struct msg_state *m, const void *src, size_t len)
{
	struct msg_state_process	*p;
	struct wire			 w;
	size_t				 i;

	wire_init(&w, src, len);
	m->since = wire_get_i64(&w);
	m->generation = wire_get_u64(&w);
	m->read = wire_get_i64(&w);
	m->reload_failed = wire_get_bool(&w);
	wire_get_array(&w, m->fault, sizeof(m->fault));
	wire_get_array(&w, m->file, sizeof(m->file));
	m->nprocesses = wire_get_below(&w, STATE_PROCESSES_MAX + 1);
	for (i = 0; i < m->nprocesses; i++) {
		p = &m->process[i];
		wire_get_array(&w, p->name, sizeof(p->name));
		p->pid = wire_get_u32(&w);
		p->since = wire_get_i64(&w);
		p->serving = wire_get_bool(&w);
		wire_get_array(&w, p->sandbox, sizeof(p->sandbox));
	}
	return wire_done(&w);
}

/* --- the ledger --- */

void
msg_weighed_put(struct str *s, const struct msg_weighed *m)
{
	const struct msg_weighed_key	*k;
	struct str			 verdict;
	size_t				 i, j;

	if (m->nkeys > CHARGE_KEYS_MAX)
		log_fatal("%zu keys weighed", m->nkeys);
	str_init(&verdict);
	msg_verdict_put(&verdict, &m->verdict);
	wire_put_bytes(s, verdict.data, verdict.len);
	str_clear(&verdict);
	wire_put_u8(s, (uint8_t)m->nkeys);
	for (i = 0; i < m->nkeys; i++) {
		k = &m->keys[i];
		if (k->nwindows > LIMITS_MAX)
			log_fatal("%zu windows of a key", k->nwindows);
		wire_put_i64(s, k->amount);
		wire_put_u8(s, k->sql);
		wire_put_i64(s, k->granted);
		wire_put_i64(s, k->granted_for);
		wire_put_u8(s, k->habit);
		if (k->habit) {
			wire_put_i64(s, k->network[0]);
			wire_put_i64(s, k->network[1]);
			wire_put_i64(s, k->recipient[0]);
			wire_put_i64(s, k->recipient[1]);
			wire_put_i64(s, k->learning);
		}
		wire_put_u8(s, (uint8_t)k->nwindows);
		for (j = 0; j < k->nwindows; j++) {
			msg_limit_put(s, &k->windows[j].limit);
			wire_put_i64(s, k->windows[j].used);
			wire_put_i64(s, k->windows[j].amount);
			wire_put_i64(s, k->windows[j].retry_after);
		}
	}
}

int
msg_weighed_get(struct msg_weighed *m, const void *src, size_t len)
{
	struct msg_weighed_key	*k;
	struct msg_window	*window = m->store;
	struct wire		 w;
	const void		*verdict;
	size_t			 n, i, j;

	wire_init(&w, src, len);
	verdict = wire_get_bytes(&w, len, &n);
	if (msg_verdict_get(&m->verdict, verdict, n) == -1)
		wire_fail(&w);
	m->nkeys = wire_get_below(&w, CHARGE_KEYS_MAX + 1);
	for (i = 0; i < m->nkeys; i++) {
		k = &m->keys[i];
		k->amount = wire_get_i64(&w);
		k->sql = wire_get_bool(&w);
		k->granted = wire_get_i64(&w);
		k->granted_for = wire_get_i64(&w);
		if ((k->habit = wire_get_bool(&w))) {
			k->network[0] = wire_get_i64(&w);
			k->network[1] = wire_get_i64(&w);
			k->recipient[0] = wire_get_i64(&w);
			k->recipient[1] = wire_get_i64(&w);
			k->learning = wire_get_range(&w, 0, INT64_MAX);
		}
		k->windows = window;
		k->nwindows = wire_get_below(&w, LIMITS_MAX + 1);
		for (j = 0; j < k->nwindows; j++, window++) {
			msg_limit_get(&w, &window->limit, 1);
			window->used = wire_get_i64(&w);
			window->amount = wire_get_i64(&w);
			window->retry_after = wire_get_range(&w, -1,
			    INT64_MAX);
		}
	}
	return wire_done(&w);
}

void
msg_override_put(struct str *s, const struct msg_override *m)
{
	wire_put_u8(s, m->kind);
	wire_put_i64(s, m->amount);
	wire_put_i64(s, m->since);
	wire_put_i64(s, m->until);
	wire_put_bytes(s, m->who, m->wholen);
	wire_put_bytes(s, m->reason, m->reasonlen);
	msg_ids_put(s, m->id, m->idlen, m->nids);
}

int
msg_override_get(struct msg_override *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->kind = wire_get_below(&w, OVERRIDE__MAX);
	m->amount = wire_get_range(&w, 0, CHARGE_AMOUNT_MAX);
	m->since = wire_get_range(&w, 0, OVERRIDE_FOREVER);
	m->until = wire_get_range(&w, 0, OVERRIDE_FOREVER);
	m->who = wire_get_bytes(&w, OVERRIDE_WHO_MAX, &m->wholen);
	m->reason = wire_get_bytes(&w, OVERRIDE_REASON_MAX, &m->reasonlen);
	m->nids = msg_ids_get(&w, m->id, m->idlen);
	return wire_done(&w);
}

void
msg_overridden_put(struct str *s, const struct msg_overridden *m)
{
	wire_put_u8(s, m->result);
	msg_ids_put(s, m->id, m->idlen, m->nids);
}

int
msg_overridden_get(struct msg_overridden *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->result = wire_get_below(&w, OVERRIDE_RESULT__MAX);
	m->nids = msg_ids_get(&w, m->id, m->idlen);
	return wire_done(&w);
}

void
msg_top_put(struct str *s, const struct msg_top *m)
{
	wire_put_u32(s, m->n);
	wire_put_u8(s, m->by);
	wire_put_u8(s, m->domain);
	wire_put_i64(s, m->seconds);
	wire_put_bytes(s, m->rule, m->rulelen);
}

int
msg_top_get(struct msg_top *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->n = wire_get_u32(&w);
	m->by = wire_get_below(&w, TOP_ORDER__MAX);
	m->domain = wire_get_bool(&w);
	m->seconds = wire_get_range(&w, 0, INT64_MAX);
	m->rule = wire_get_bytes(&w, CHARGE_ID_MAX, &m->rulelen);
	return wire_done(&w);
}

void
msg_topped_put(struct str *s, const struct msg_topped *m)
{
	size_t	i;

	if (m->count > TOP_MAX)
		log_fatal("a list of %zu ids", m->count);
	wire_put_u8(s, m->by);
	wire_put_u8(s, m->domain);
	wire_put_u32(s, m->total);
	wire_put_u32(s, (uint32_t)m->count);
	for (i = 0; i < m->count; i++) {
		wire_put_bytes(s, m->ids[i].id, m->ids[i].idlen);
		wire_put_u8(s, m->ids[i].shadow);
		msg_limit_put(s, &m->ids[i].limit);
		wire_put_i64(s, m->ids[i].used);
		wire_put_i64(s, m->ids[i].retry_after);
	}
}

int
msg_topped_get(struct msg_topped *m, const void *src, size_t len)
{
	struct wire	w;
	size_t		i;

	wire_init(&w, src, len);
	m->by = wire_get_below(&w, TOP_ORDER__MAX);
	m->domain = wire_get_bool(&w);
	m->total = wire_get_u32(&w);
	m->count = wire_get_u32(&w);
	if (m->count > TOP_MAX) {
		wire_fail(&w);
		m->count = 0;
	}
	for (i = 0; i < m->count; i++) {
		m->ids[i].id = wire_get_bytes(&w, CHARGE_ID_MAX,
		    &m->ids[i].idlen);
		m->ids[i].shadow = wire_get_bool(&w);
		msg_limit_get(&w, &m->ids[i].limit, 1);
		m->ids[i].used = wire_get_i64(&w);
		m->ids[i].retry_after = wire_get_range(&w, -1, INT64_MAX);
	}
	return wire_done(&w);
}

void
msg_figures_put(struct str *s, const struct msg_figures *m)
{
	wire_put_text(s, m->database);
	wire_put_text(s, m->fault);
	str_add(s, m->figure, sizeof(m->figure));
}

int
msg_figures_get(struct msg_figures *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	wire_get_array(&w, m->database, sizeof(m->database));
	wire_get_array(&w, m->fault, sizeof(m->fault));
	wire_get(&w, m->figure, sizeof(m->figure));
	return wire_done(&w);
}

void
msg_simulate_put(struct str *s, const struct msg_simulate *m)
{
	wire_put_u32(s, m->most_ids);
	wire_put_bytes(s, m->text, m->textlen);
}

int
msg_simulate_get(struct msg_simulate *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->most_ids = wire_get_u32(&w);
	m->text = wire_get_bytes(&w, SIMULATE_TEXT_MAX, &m->textlen);
	return wire_done(&w);
}

void
msg_simulated_put(struct str *s, const struct msg_simulated *m)
{
	wire_put_u8(s, m->kind);
	wire_put_bytes(s, m->rule, m->rulelen);
	wire_put_bytes(s, m->text, m->textlen);
	str_add(s, m->number, sizeof(m->number));
}

int
msg_simulated_get(struct msg_simulated *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->kind = wire_get_below(&w, SIMULATED__MAX);
	m->rule = wire_get_bytes(&w, CHARGE_ID_MAX, &m->rulelen);
	m->text = wire_get_bytes(&w, CHARGE_ID_MAX, &m->textlen);
	wire_get(&w, m->number, sizeof(m->number));
	return wire_done(&w);
}
