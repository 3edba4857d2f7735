#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/evidence.h"
#include "lib/alloc.h"
#include "lib/num.h"

#define ROWS_MAX	200	/* of an id, the newest */
#define VALUES_MAX	100	/* different ones that are counted */
#define SHOWN_MAX	3

struct tallied {
	char	*bytes;
	size_t	 len;
	int64_t	 times;
};

struct tally {
	size_t		count;
	struct tallied	value[VALUES_MAX];
};

static void
evidence_add(struct tally *t, const char *bytes, size_t len, int64_t times)
{
	size_t	i;

	if (len == 0)
		return;
	for (i = 0; i < t->count; i++)
		if (t->value[i].len == len &&
		    memcmp(t->value[i].bytes, bytes, len) == 0)
			break;
	if (i == VALUES_MAX)
		return;
	if (i == t->count) {
		t->count++;
		t->value[i].bytes = alloc_copy(bytes, len);
		t->value[i].len = len;
		t->value[i].times = 0;
	}
	t->value[i].times = num_add_clamp(t->value[i].times, times);
}

static void
evidence_on_row(void *arg, const struct store_refusal *r)
{
	static const enum refusal_text	texts[EVIDENCE__MAX] = {
		[EVIDENCE_CLIENT] = REFUSAL_CLIENT,
		[EVIDENCE_SENDER] = REFUSAL_SENDER
	};
	struct tally	*tallies = arg;
	size_t		 i, column;

	for (i = 0; i < EVIDENCE__MAX; i++) {
		column = STORE_REFUSAL_TEXT + texts[i];
		evidence_add(&tallies[i], r->text[column], r->len[column],
		    r->number[STORE_REFUSAL_TIMES]);
	}
}

/* Most first. */
static int
evidence_compare(const void *a, const void *b)
{
	const struct tallied	*x = a, *y = b;
	size_t			 len = x->len < y->len ? x->len : y->len;
	int			 order;

	if (x->times != y->times)
		return x->times > y->times ? -1 : 1;
	if ((order = memcmp(x->bytes, y->bytes, len)) != 0)
		return order;
	return (x->len > y->len) - (x->len < y->len);
}

static void
evidence_put(struct channel *channel, const struct evidence_of *of,
    enum evidence_kind kind, struct tally *t)
{
	struct msg_evidence	m;
	struct str		payload;
	size_t			i;

	qsort(t->value, t->count, sizeof(t->value[0]), evidence_compare);
	str_init(&payload);
	for (i = 0; i < t->count; i++) {
		if (i < SHOWN_MAX) {
			m.kind = (uint8_t)kind;
			m.id = of->name;
			m.idlen = of->namelen;
			m.rule = of->rule;
			m.rulelen = of->rulelen;
			m.value = t->value[i].bytes;
			m.valuelen = t->value[i].len;
			m.times = t->value[i].times;
			payload.len = 0;
			msg_evidence_put(&payload, &m);
			channel_send(channel, MSG_EVIDENCE, 0, &payload, -1);
		}
		free(t->value[i].bytes);
	}
	t->count = 0;
	str_clear(&payload);
}

enum store_result
evidence_send(struct store *store, struct channel *channel,
    const struct evidence_of *of)
{
	const struct store_page	page = {
		.id = of->id, .idlen = of->idlen, .since = of->since,
		.date = INT64_MAX, .number = INT64_MAX, .max = ROWS_MAX
	};
	struct tally		tallies[EVIDENCE__MAX] = { 0 };
	enum store_result	result;
	enum evidence_kind	kind;

	result = store_refusals(store, &page, evidence_on_row, tallies);
	for (kind = 0; kind < EVIDENCE__MAX; kind++)
		evidence_put(channel, of, kind, &tallies[kind]);
	return result;
}
