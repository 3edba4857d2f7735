#include <string.h>

#include "ledger/charge_batch.h"

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
