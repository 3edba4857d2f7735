#include <stdint.h>
#include <string.h>

#include "store.h"

/*
 * What a hostile engine asks of the ledger. An input is a list of questions,
 * each a byte that says which and bytes from which its fields are made, so that
 * all are well-formed and many meet the same ids. The ledger's counts stay from
 * one input to the next. Every question that is taken is answered once.
 */
#define LEDGER_INPUTS	500	/* with one database */
#define LEDGER_ASKS	64	/* in one input */

enum ledger_ask {
	ASK_CHARGE,
	ASK_WEIGH,
	ASK_RESET,
	ASK_OVERRIDE,
	ASK_RUN,		/* what waits is decided, a moment later */
	ASK__MAX
};

static struct fuzz_store	ledger;
static unsigned int		inputs;
static int64_t			now = STORE_NOW;
static bool			waiting[LEDGER_ASKS];

static void
ledger_answered(uint64_t request)
{
	fuzz_require(request < LEDGER_ASKS && waiting[request]);
	waiting[request] = false;
}

/* What is told can be read again. */
static void
ledger_on_verdict(void *arg, uint64_t request, const struct msg_verdict *v)
{
	static struct msg_verdict	again;
	struct str			s;

	(void)arg;
	ledger_answered(request);
	str_init(&s);
	msg_verdict_put(&s, v);
	fuzz_require(msg_verdict_get(&again, s.data, s.len) == 0);
	str_clear(&s);
}

static void
ledger_on_weighed(void *arg, uint64_t request, const struct msg_weighed *w)
{
	static struct msg_weighed	again;
	struct str			s;

	(void)arg;
	ledger_answered(request);
	str_init(&s);
	msg_weighed_put(&s, w);
	fuzz_require(msg_weighed_get(&again, s.data, s.len) == 0);
	str_clear(&s);
}

static void
ledger_on_hit(void *arg, const struct charge_hit *hit)
{
	(void)arg;
	fuzz_require(hit->seconds >= 0 && hit->kind < HIT_KIND__MAX);
}

static void
ledger_on_overridden(void *arg, uint64_t request,
    const struct msg_overridden *answer)
{
	(void)arg;
	fuzz_require(answer->result < OVERRIDE_RESULT__MAX);
	ledger_answered(request);
}

static void
ledger_run(void)
{
	struct mono	mono = { 0 };

	ledger.batch->answers = (struct charge_answers){
		.verdict = ledger_on_verdict, .hit = ledger_on_hit,
		.weighed = ledger_on_weighed,
		.overridden = ledger_on_overridden
	};
	now++;
	while (ledger.batch->count > 0)
		fuzz_require(charge_batch_run(ledger.batch, now, mono) ==
		    STORE_OK);
	while (store_idle(ledger.store) == 0)
		;
}

/* --- fields, made of the input --- */

static const uint8_t	*input;
static size_t		 left;

static uint8_t
take_byte(void)
{
	if (left == 0)
		return 0;
	left--;
	return *input++;
}

static bool
take_bool(void)
{
	return take_byte() & 1;
}

/* Small ones, those at the edges of what fits, and any. */
static int64_t
take_number(void)
{
	static const int64_t	edges[] = {
		0, 1, 2, 60, 3600, STORE_NOW - 60, STORE_NOW, STORE_NOW + 60,
		STORE_NOW + 200000, INT32_MAX, INT64_C(1) << 50,
		INT64_C(253402300799), INT64_MAX / 2, INT64_MAX - 1, INT64_MAX
	};
	uint64_t		n = 0;
	uint8_t			kind = take_byte();
	int			i;

	if (kind < sizeof(edges) / sizeof(edges[0]))
		return edges[kind];
	if (kind < 200)
		return kind;
	for (i = 0; i < 8; i++)
		n = n << 8 | take_byte();
	return (int64_t)(n >> 1);
}

static const char *
take_text(size_t *len)
{
	static const char *const	texts[] = {
		"", "bob", "alice@example.org", "rule:bob", "\xff\xfe"
	};
	const char			*text;
	uint8_t				 kind = take_byte();

	if (kind < 250) {
		text = texts[kind % (sizeof(texts) / sizeof(texts[0]))];
		*len = strlen(text);
		return text;
	}
	text = (const char *)input;
	*len = take_byte() % 64;
	if (*len > left)
		*len = left;
	input += *len;
	left -= *len;
	return text;
}

static void
take_key(struct msg_charge_key *k, struct limit *limits)
{
	size_t	i;

	k->id = take_text(&k->idlen);
	k->amount = take_number() % (CHARGE_AMOUNT_MAX + 1);
	k->kind = take_byte() % CHARGE_KIND__MAX;
	k->shadow = take_bool();
	k->sql = take_bool();
	k->max_per_mail = take_byte();
	k->rule = take_byte();
	k->warn_at = take_byte() % 101;
	k->reported = take_byte();
	k->report = take_bool();
	if (k->kind == CHARGE_DISTINCT)
		k->value = take_text(&k->valuelen);
	k->limits.list = limits;
	k->limits.count = take_byte() % 4;
	for (i = 0; i < k->limits.count; i++) {
		limits[i].mails = take_number();
		limits[i].seconds = take_number() | 1;
	}
}

static void
take_charge(struct str *out)
{
	static struct msg_charge	m;
	size_t				i;

	memset(&m, 0, sizeof(m));
	m.mode = take_byte() % CHARGE__MAX;
	m.deadline = take_bool() ? INT64_MAX : take_number();
	m.date = m.mode < CHARGE_REPLAY ? 0 : take_number();
	m.instance = take_text(&m.instancelen);
	m.tag = take_number() * (take_bool() ? 1 : -1);
	m.state = take_text(&m.statelen);
	m.nkeys = 1 + take_byte() % 4;
	for (i = 0; i < m.nkeys; i++)
		take_key(&m.keys[i], &m.store[i * 4]);
	msg_charge_put(out, &m);
}

static void
ledger_override(uint64_t request)
{
	const struct msg_overridden	none = { .nids = 0 };
	struct override			o;

	o.kind = take_byte() % OVERRIDE__MAX;
	o.amount = take_number();
	o.until = take_number();
	o.id = take_text(&o.idlen);
	o.who = o.reason = "";
	o.wholen = o.reasonlen = 0;
	o.since = now;
	charge_batch_change(ledger.batch, request, &o, 1, &none,
	    (struct mono){ INT64_MAX });
	waiting[request] = true;
}

static void
ledger_ask(uint64_t request)
{
	static const enum message_type	types[] = {
		[ASK_CHARGE] = MSG_CHARGE,
		[ASK_WEIGH] = MSG_WEIGH,
		[ASK_RESET] = MSG_RESET
	};
	uint8_t				ask = take_byte() % ASK__MAX;
	struct str			payload;

	if (ask == ASK_RUN)
		ledger_run();
	else if (ask == ASK_OVERRIDE)
		ledger_override(request);
	else {
		str_init(&payload);
		take_charge(&payload);
		waiting[request] = charge_batch_add(ledger.batch, types[ask],
		    request, payload.data, payload.len) == 0;
		str_clear(&payload);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t	request;
	size_t		i;

	if (inputs++ % LEDGER_INPUTS == 0) {
		if (inputs > 1)
			fuzz_store_close(&ledger);
		fuzz_store_init();
		fuzz_store_clear();
		fuzz_require(fuzz_store_open(&ledger));
	}
	input = data;
	left = size;
	for (request = 0; request < LEDGER_ASKS && left > 0; request++)
		ledger_ask(request);
	ledger_run();
	for (i = 0; i < LEDGER_ASKS; i++)
		fuzz_require(!waiting[i]);
	return 0;
}
