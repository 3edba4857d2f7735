#include <stdint.h>
#include <string.h>

#include "fuzz.h"
#include "ipc/message.h"
#include "ipc/message_refusal.h"
#include "ipc/message_simulate.h"
#include "lib/str.h"

/*
 * The first byte says which kind of message the rest is read as. What can be
 * read has one way to be written, so the same bytes must come out again; what
 * is in it is in the ranges that its readers rely on.
 */
#define MESSAGE(kind)							\
static int								\
message_##kind(struct str *out, const void *src, size_t len)		\
{									\
	static struct msg_##kind	m;				\
									\
	/* Not zeroed: nothing may be left unset. */			\
	memset(&m, 0x5a, sizeof(m));					\
	if (msg_##kind##_get(&m, src, len) == -1)			\
		return -1;						\
	message_check_##kind(&m);					\
	msg_##kind##_put(out, &m);					\
	return 0;							\
}

static void
message_check_identity(const struct msg_identity *m)
{
	fuzz_require(m->ngroups <= IDENTITY_GROUPS_MAX);
}

static void
message_check_listener(const struct msg_listener *m)
{
	fuzz_require(m->kind < LISTENER__MAX);
}

static void
message_check_charge(const struct msg_charge *m)
{
	const struct msg_charge_key	*k;
	size_t				 i, j;

	fuzz_require(m->mode < CHARGE__MAX && m->date >= 0);
	fuzz_require((m->nkeys > 0 || m->subject) &&
	    m->nkeys <= CHARGE_KEYS_MAX);
	fuzz_require(m->instancelen <= CHARGE_INSTANCE_MAX &&
	    m->statelen <= CHARGE_STATE_MAX);
	for (i = 0; i < m->nkeys; i++) {
		k = &m->keys[i];
		fuzz_require(k->idlen <= CHARGE_ID_MAX && k->amount >= 0 &&
		    k->amount <= CHARGE_AMOUNT_MAX &&
		    k->kind < CHARGE_KIND__MAX && k->warn_at <= 100 &&
		    k->limits.count <= LIMITS_MAX &&
		    k->valuelen <= CHARGE_ID_MAX);
		for (j = 0; j < k->limits.count; j++)
			fuzz_require(k->limits.list[j].mails >= 0 &&
			    k->limits.list[j].seconds > 0);
	}
}

static void
message_check_verdict(const struct msg_verdict *m)
{
	fuzz_require(m->verdict < VERDICT__MAX && m->key < CHARGE_KEYS_MAX &&
	    m->ncharged <= CHARGE_KEYS_MAX && m->retry_after >= -1);
}

static void
message_check_cleaned(const struct msg_cleaned *m)
{
	fuzz_require(m->records >= 0);
}

static void
message_check_hit(const struct msg_hit *m)
{
	fuzz_require(m->kind < HIT_KIND__MAX &&
	    m->idlen <= CHARGE_ID_MAX && m->hits >= 0);
}

static void
message_check_reported(const struct msg_reported *m)
{
	fuzz_require(m->outcome < REPORT__MAX);
}

static void
message_check_task_done(const struct msg_task_done *m)
{
	fuzz_require(m->task < TASK__MAX);
}

static void
message_check_state(const struct msg_state *m)
{
	fuzz_require(m->nprocesses <= STATE_PROCESSES_MAX);
}

static void
message_check_weighed(const struct msg_weighed *m)
{
	size_t	i, sum = 0;

	fuzz_require(m->nkeys <= CHARGE_KEYS_MAX);
	for (i = 0; i < m->nkeys; i++)
		sum += m->keys[i].nwindows;
	fuzz_require(sum <= CHARGE_KEYS_MAX * LIMITS_MAX);
	message_check_verdict(&m->verdict);
}

static void
message_check_override(const struct msg_override *m)
{
	fuzz_require(m->kind < OVERRIDE__MAX && m->nids <= CHARGE_KEYS_MAX &&
	    m->amount >= 0 && m->until >= 0);
}

static void
message_check_overridden(const struct msg_overridden *m)
{
	fuzz_require(m->result < OVERRIDE_RESULT__MAX &&
	    m->nids <= CHARGE_KEYS_MAX);
}

static void
message_check_topped(const struct msg_topped *m)
{
	fuzz_require(m->count <= TOP_MAX);
}

static void
message_check_simulate(const struct msg_simulate *m)
{
	fuzz_require(m->textlen <= SIMULATE_TEXT_MAX);
}

static void
message_check_simulated(const struct msg_simulated *m)
{
	fuzz_require(m->kind < SIMULATED__MAX);
	fuzz_require(m->rulelen <= CHARGE_ID_MAX);
	fuzz_require(m->textlen <= CHARGE_ID_MAX);
}

static void
message_check_figures(const struct msg_figures *m)
{
	fuzz_require(memchr(m->fault, '\0', sizeof(m->fault)) != NULL);
}

static void
message_check_refusal(const struct msg_refusal *m)
{
	size_t	i;

	fuzz_require(m->kind < REFUSAL_KIND__MAX && m->date >= 0 &&
	    m->nwindows <= LIMITS_MAX && m->idlen <= CHARGE_ID_MAX &&
	    (m->full == 0 || m->full < m->nwindows) && m->times > 0);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		fuzz_require(m->textlen[i] <= REFUSAL_TEXT_MAX);
}

static void
message_check_search(const struct msg_search *m)
{
	size_t	i;

	fuzz_require(m->nids <= CHARGE_KEYS_MAX && m->since >= 0);
	for (i = 0; i < REFUSAL_TEXT__MAX; i++)
		fuzz_require(m->textlen[i] <= REFUSAL_TEXT_MAX);
}

static void
message_check_searched(const struct msg_searched *m)
{
	fuzz_require(m->refused >= 0 && m->shadow >= 0 &&
	    memchr(m->reason, '\0', sizeof(m->reason)) != NULL);
}

static void
message_check_evidence(const struct msg_evidence *m)
{
	fuzz_require(m->kind < EVIDENCE__MAX && m->idlen <= CHARGE_ID_MAX &&
	    m->valuelen <= CHARGE_ID_MAX && m->times >= 0);
}

MESSAGE(identity)
MESSAGE(listener)
MESSAGE(charge)
MESSAGE(verdict)
MESSAGE(cleaned)
MESSAGE(hit)
MESSAGE(evidence)
MESSAGE(reported)
MESSAGE(task_done)
MESSAGE(state)
MESSAGE(weighed)
MESSAGE(override)
MESSAGE(overridden)
MESSAGE(topped)
MESSAGE(figures)
MESSAGE(refusal)
MESSAGE(search)
MESSAGE(searched)
MESSAGE(simulate)
MESSAGE(simulated)

static int
message_number(struct str *out, const void *src, size_t len)
{
	uint64_t	value;

	if (msg_number_get(&value, src, len) == -1)
		return -1;
	msg_number_put(out, value);
	return 0;
}

static int
message_text(struct str *out, const void *src, size_t len)
{
	char	text[4096], cut[16];

	if (msg_text_get(cut, sizeof(cut), src, len) == -1)
		return -1;
	fuzz_require(memchr(cut, '\0', sizeof(cut)) != NULL);
	/* The copy is cut to what there is room for, so not that. */
	if (len >= sizeof(text))
		return -1;
	fuzz_require(msg_text_get(text, sizeof(text), src, len) == 0);
	msg_text_put(out, text);
	return 0;
}

static int	(*const messages[])(struct str *, const void *, size_t) = {
	message_number, message_identity, message_listener, message_text,
	message_charge, message_verdict, message_cleaned, message_hit,
	message_reported, message_task_done, message_state, message_weighed,
	message_override, message_topped, message_figures, message_searched,
	message_simulate, message_simulated,
	message_evidence, message_overridden, message_refusal, message_search
};

#define MESSAGES	(sizeof(messages) / sizeof(messages[0]))

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str	out;

	if (size == 0)
		return 0;
	str_init(&out);
	if (messages[data[0] % MESSAGES](&out, data + 1, size - 1) == 0)
		fuzz_require(out.len == size - 1 &&
		    memcmp(out.data, data + 1, out.len) == 0);
	str_clear(&out);
	return 0;
}
