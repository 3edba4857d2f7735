#include <string.h>

#include "ledger/batch/charge_batch.h"

void
charge_settle(struct charge_batch *b, struct verdict_charge *c)
{
	TAILQ_REMOVE(&b->waiting, c, entry);
	TAILQ_INSERT_TAIL(&b->decided, c, entry);
	b->count--;
}

void
charge_unavailable(struct msg_verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->verdict = VERDICT_UNAVAILABLE;
}

void
charge_give_up(struct charge_batch *b, struct verdict_charge *c)
{
	charge_unavailable(&c->verdict);
	charge_settle(b, c);
}

void
charge_expire(struct charge_batch *b, struct mono mono, bool all)
{
	struct verdict_charge	*c, *next;

	for (c = TAILQ_FIRST(&b->waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!all && c->deadline > mono.ns)
			continue;
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
