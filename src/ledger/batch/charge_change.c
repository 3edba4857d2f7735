#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"

struct charge_change {
	TAILQ_ENTRY(charge_change)	 entry;
	uint64_t			 request;
	struct mono			 deadline;
	struct msg_overridden		 answer;
	size_t				 n;
	struct override			 list[];
};

/* Copies the bytes, and points `answer` to the copy where it named them. */
static const char *
charge_change_copy(const char *bytes, size_t len, struct msg_overridden *answer)
{
	const char	*copy = alloc_copy(bytes, len);
	size_t		 i;

	for (i = 0; answer != NULL && i < answer->nids; i++)
		if (answer->id[i] == bytes)
			answer->id[i] = copy;
	return copy;
}

void
charge_batch_change(struct charge_batch *b, uint64_t request,
    const struct override *list, size_t n, const struct msg_overridden *answer,
    struct mono deadline)
{
	struct charge_change	*c;
	struct override		*o;
	size_t			 i;

	c = alloc_zero(1, sizeof(*c) + n * sizeof(c->list[0]));
	c->request = request;
	c->deadline = deadline;
	c->answer = *answer;
	c->n = n;
	for (i = 0; i < n; i++) {
		o = &c->list[i];
		*o = list[i];
		o->id = charge_change_copy(o->id, o->idlen, &c->answer);
		o->who = charge_change_copy(o->who, o->wholen, NULL);
		o->reason = charge_change_copy(o->reason, o->reasonlen, NULL);
	}
	TAILQ_INSERT_TAIL(&b->changes, c, entry);
	b->count++;
}

static void
charge_change_free(struct charge_batch *b, struct charge_change *c)
{
	size_t	i;

	TAILQ_REMOVE(&b->changes, c, entry);
	b->count--;
	for (i = 0; i < c->n; i++) {
		free((void *)(uintptr_t)c->list[i].id);
		free((void *)(uintptr_t)c->list[i].who);
		free((void *)(uintptr_t)c->list[i].reason);
	}
	free(c);
}

void
charge_change_clear(struct charge_batch *b)
{
	while (!TAILQ_EMPTY(&b->changes))
		charge_change_free(b, TAILQ_FIRST(&b->changes));
}

static void
charge_change_answer(struct charge_batch *b, struct charge_change *c,
    enum override_result result, const struct charge_answers *answers)
{
	c->answer.result = (uint8_t)result;
	answers->overridden(answers->arg, c->request, &c->answer);
	charge_change_free(b, c);
}

static enum store_result
charge_change_write(struct charge_batch *b, const struct charge_change *c,
    int64_t now, enum override_result *outcome)
{
	enum store_result	result;
	bool			later = false;

	if ((result = charge_begin_empty(b, now)) != STORE_OK)
		return result;
	result = override_table_change(b->overrides, b->store,
	    c != NULL ? c->list : NULL, c != NULL ? c->n : 0, now, outcome);
	if (result == STORE_OK)
		result = store_commit(b->store, &later);
	else if (result != STORE_LOST)
		store_rollback(b->store);
	override_table_settle(b->overrides, result == STORE_OK);
	return result;
}

enum store_result
charge_change_run(struct charge_batch *b, int64_t now, struct mono mono,
    const struct charge_answers *answers)
{
	struct charge_change	*c = TAILQ_FIRST(&b->changes);
	enum override_result	 outcome = OVERRIDE_FAILED;
	enum store_result	 result;
	bool			 due;

	if (c != NULL && clock_passed(c->deadline, mono)) {
		charge_change_answer(b, c, OVERRIDE_FAILED, answers);
		return STORE_OK;
	}
	due = override_table_due(b->overrides);
	if (c == NULL && !due)
		return STORE_OK;
	/* The corrections may be many: charges are decided between them. */
	result = charge_change_write(b, due ? NULL : c, now, &outcome);
	if (c != NULL && (result == STORE_FAILED || (result == STORE_OK &&
	    !due)))
		charge_change_answer(b, c, result == STORE_OK ? outcome :
		    OVERRIDE_FAILED, answers);
	return result == STORE_FAILED ? STORE_OK : result;
}
