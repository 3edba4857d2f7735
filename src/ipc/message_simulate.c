#include <string.h>

#include "ipc/message.h"
#include "ipc/message_simulate.h"
#include "ipc/wire.h"

void
msg_simulate_put(struct str *s, const struct msg_simulate *m)
{
	wire_put_u32(s, m->k);
	wire_put_bytes(s, m->text, m->textlen);
}

int
msg_simulate_get(struct msg_simulate *m, const void *src, size_t len)
{
	struct wire	w;

	wire_init(&w, src, len);
	m->k = wire_get_u32(&w);
	m->text = wire_get_bytes(&w, SIMULATE_TEXT_MAX, &m->textlen);
	return wire_done(&w);
}

void
msg_simulated_put(struct str *s, const struct msg_simulated *m)
{
	size_t	i;

	wire_put_u8(s, m->kind);
	wire_put_bytes(s, m->rule, m->rulelen);
	wire_put_bytes(s, m->text, m->textlen);
	for (i = 0; i < SIMULATED_NUMBERS; i++)
		wire_put_i64(s, m->number[i]);
}

int
msg_simulated_get(struct msg_simulated *m, const void *src, size_t len)
{
	struct wire	w;
	size_t		i;

	wire_init(&w, src, len);
	m->kind = wire_get_below(&w, SIMULATED__MAX);
	m->rule = wire_get_bytes(&w, CHARGE_ID_MAX, &m->rulelen);
	m->text = wire_get_bytes(&w, CHARGE_ID_MAX, &m->textlen);
	for (i = 0; i < SIMULATED_NUMBERS; i++)
		m->number[i] = wire_get_range(&w, INT64_MIN, INT64_MAX);
	return wire_done(&w);
}
