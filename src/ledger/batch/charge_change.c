#include <stdlib.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"

struct charge_change {
	TAILQ_ENTRY(charge_change)	 entry;
	uint64_t			 request;
	struct mono			 deadline;
	struct msg_overridden		 answer;
	struct override_copies		 copies;
};

void
charge_batch_change(struct charge_batch *b, uint64_t request,
    const struct override *list, size_t n, const struct msg_overridden *answer,
    struct mono deadline)
{
	struct charge_change	*c = alloc_zero(1, sizeof(*c));
	size_t			 i, j;

	c->request = request;
	c->deadline = deadline;
	c->answer = *answer;
	for (i = 0; i < n; i++) {
		override_table_copy(&c->copies, &list[i]);
		for (j = 0; j < answer->nids; j++)
			if (answer->id[j] == list[i].id)
				c->answer.id[j] = c->copies.list[i].id;
	}
	TAILQ_INSERT_TAIL(&b->changes, c, entry);
	b->count++;
}

static void
free_change(struct charge_batch *b, struct charge_change *c)
{
	TAILQ_REMOVE(&b->changes, c, entry);
	b->count--;
	override_table_empty(&c->copies);
	free(c);
}

static void
answer_change(struct charge_batch *b, struct charge_change *c,
    enum override_result result)
{
	c->answer.result = (uint8_t)result;
	b->answers.overridden(b->answers.arg, c->request, &c->answer);
	free_change(b, c);
}

void
charge_change_clear(struct charge_batch *b, bool answer)
{
	struct charge_change	*c;

	while ((c = TAILQ_FIRST(&b->changes)) != NULL)
		if (answer)
			answer_change(b, c, OVERRIDE_FAILED);
		else
			free_change(b, c);
}

enum store_result
charge_change_run(struct charge_batch *b, int64_t now, struct mono mono)
{
	struct charge_change	*c = TAILQ_FIRST(&b->changes);
	enum override_result	 outcome = OVERRIDE_FAILED;
	enum store_result	 result;
	bool			 due, writes, commits = false, later = false;

	if (c != NULL && clock_passed(c->deadline, mono)) {
		answer_change(b, c, OVERRIDE_FAILED);
		return STORE_OK;
	}
	due = b->overrides->due.n > 0;
	if (c == NULL && !due)
		return STORE_OK;
	/* Each call writes a part of the corrections: charges do not wait. */
	writes = c != NULL && !due;
	if ((result = charge_begin_empty(b, now)) == STORE_OK) {
		result = override_table_change(b->overrides, b->store,
		    writes ? c->copies.list : NULL, writes ? c->copies.n : 0,
		    now, &outcome);
		commits = result == STORE_OK;
		result = charge_end(b, result, &later);
	}
	/* Whether it was committed is unknown: no answer. */
	if (writes && commits && result == STORE_LOST)
		free_change(b, c);
	else if (writes && result == STORE_FAILED)
		answer_change(b, c, OVERRIDE_FAILED);
	else if (writes && result == STORE_OK)
		answer_change(b, c, outcome);
	/* A correction failed: the change is next, after a new reading. */
	else if (result == STORE_FAILED)
		override_table_empty(&b->overrides->due);
	return result == STORE_FAILED ? STORE_OK : result;
}
