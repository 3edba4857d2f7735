#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "lib/alloc.h"

#define PART_LEAST	16	/* fewest charges that half a batch has */

static const struct store_overlap	*const overlap =
					    &store_optional.overlap;

struct charge_batch *
charge_batch_new(struct cache *cache, struct store *store,
    struct lookup *limits, struct lookup *ids, const struct settings *settings)
{
	struct charge_batch	*b;

	b = alloc_zero(1, sizeof(*b));
	b->cache = cache;
	b->store = store;
	b->limits = limits;
	b->ids = ids;
	b->overrides = override_table_new();
	b->habits = habits_new();
	charge_batch_settings(b, settings);
	batch_delay_init(&b->delay, clock_mono());
	TAILQ_INIT(&b->waiting);
	TAILQ_INIT(&b->next);
	TAILQ_INIT(&b->changes);
	TAILQ_INIT(&b->decided);
	TAILQ_INIT(&b->unflushed);
	TAILQ_INIT(&b->spare);
	return b;
}

void
charge_batch_settings(struct charge_batch *b, const struct settings *settings)
{
	b->settings = settings;
	b->configured = settings_longest_window(settings);
	if (b->configured < INSTANCE_SECONDS)
		b->configured = INSTANCE_SECONDS;
	b->overrides->settings = settings;
}

int
charge_batch_delay(const struct charge_batch *b)
{
	if (store_optional.shared == NULL || !store_optional.shared(b->store))
		return 0;
	return batch_delay(&b->delay, b->count);
}

static void
drop_charges(struct charge_batch *b, struct charges *list)
{
	struct verdict_charge	*c;

	while ((c = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, c, entry);
		charge_free(b, c);
	}
}

void
charge_batch_clear(struct charge_batch *b)
{
	drop_charges(b, &b->waiting);
	drop_charges(b, &b->unflushed);
	charge_change_clear(b, false);
	b->count = 0;
}

void
charge_batch_free(struct charge_batch *b)
{
	struct verdict_charge	*c;

	if (b == NULL)
		return;
	charge_batch_clear(b);
	while ((c = TAILQ_FIRST(&b->spare)) != NULL) {
		TAILQ_REMOVE(&b->spare, c, entry);
		free(c);
	}
	override_table_free(b->overrides);
	habits_free(b->habits);
	free(b->gathered.pair);
	free(b->gathered.touch);
	free(b->gathered.value);
	free(b->hit);
	free(b);
}

/* --- taking charges in --- */

int
charge_batch_add(struct charge_batch *b, enum message_type type,
    uint64_t request, const void *payload, size_t len)
{
	struct verdict_charge	*c;

	if (msg_charge_get(&b->message, payload, len) == -1)
		return -1;
	c = charge_copy(b, &b->message);
	c->request = request;
	if (type != MSG_CHARGE)
		c->weighed = alloc_zero(1, sizeof(*c->weighed));
	c->reset = type == MSG_RESET;
	/*
	 * A reset goes before the charges of its batch: see
	 * store_forget_values.
	 */
	if (c->reset)
		TAILQ_INSERT_HEAD(&b->waiting, c, entry);
	else
		TAILQ_INSERT_TAIL(&b->waiting, c, entry);
	b->count++;
	return 0;
}

/* --- deciding --- */

static void
decide_batch(struct charge_batch *b)
{
	const struct verdict_key	*k;
	struct verdict_charge		*c, *next;
	struct msg_verdict		*v;
	size_t				 i;

	/* After a fault the transaction is over: the others wait. */
	for (c = TAILQ_FIRST(&b->waiting);
	    c != NULL && b->result == STORE_OK; c = next) {
		next = TAILQ_NEXT(c, entry);
		for (i = 0; i < c->nids; i++)
			if (!cache_loaded(c->ids[i].cached))
				break;
		/* It waits until all of its ids are read. */
		if (i < c->nids)
			continue;
		verdict_decide(b, c);
		v = &c->verdict;
		for (i = 0; i < c->nkeys; i++) {
			k = &c->keys[i];
			if (!k->charge.map || k->charge.id == k->own.id)
				continue;
			v->mapped |= UINT32_C(1) << i;
			v->map[i].id = k->charge.id;
			v->map[i].idlen = k->charge.idlen;
		}
		charge_settle(b, c);
	}
}

/* --- answering --- */

static void
answer_charges(struct charge_batch *b, struct charges *list)
{
	const struct charge_answers	*answers = &b->answers;
	struct verdict_charge		*c;

	while ((c = TAILQ_FIRST(list)) != NULL) {
		if (c->weighed != NULL) {
			c->weighed->verdict = c->verdict;
			answers->weighed(answers->arg, c->request, c->weighed);
		} else
			answers->verdict(answers->arg, c->request,
			    &c->verdict);
		TAILQ_REMOVE(list, c, entry);
		charge_free(b, c);
	}
}

/*
 * Answers charges that were not committed: they are not recorded, and their
 * locks not set. A refusal stands, since a full window is still full. If
 * the connection was lost, the result of the commit is unknown: the other
 * charges are left unanswered, and the engine asks the next ledger. So are what
 * policyctl resets and charges, unless that was not decided yet.
 */
static void
answer_failed(struct charge_batch *b, struct charges *list,
    enum store_result result)
{
	struct verdict_charge	*c, *next;
	struct msg_verdict	*v;

	for (c = TAILQ_FIRST(list); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		v = &c->verdict;
		v->locked = v->unlocked = 0;
		if (v->verdict == VERDICT_REFUSED ||
		    v->verdict == VERDICT_BLOCKED)
			continue;
		if (result == STORE_LOST && (c->weighed == NULL ||
		    (v->verdict == VERDICT_ACCEPTED &&
		    (c->reset || c->mode == CHARGE_ADD)))) {
			TAILQ_REMOVE(list, c, entry);
			charge_free(b, c);
			continue;
		}
		*v = (struct msg_verdict){ .verdict = VERDICT_UNAVAILABLE };
	}
	answer_charges(b, list);
}

/* The commit of these charges is durable. */
static void
answer_flushed(void *arg)
{
	struct charge_batch	*b = arg;

	answer_charges(b, &b->unflushed);
	if (b->answers.answered != NULL)
		b->answers.answered(b->answers.arg);
}

enum store_result
charge_batch_start(struct charge_batch *b, int64_t now)
{
	enum store_result	result;
	bool			later = false;

	if (overlap->flush != NULL)
		overlap->on_flushed(b->store, answer_flushed, b);
	if ((result = charge_begin_empty(b, now)) != STORE_OK)
		return result;
	return charge_end(b, STORE_OK, &later);
}

static enum store_result
try_batch(struct charge_batch *b, int64_t now, struct mono mono)
{
	const struct charge_answers	*answers = &b->answers;
	enum store_result		 result;
	size_t				 i;
	bool				 later;

	b->now = now;
	b->result = STORE_OK;
	b->learns = 0;
	if ((result = charge_gather(b, now, mono)) != STORE_OK ||
	    (result = charge_begin(b)) != STORE_OK) {
		/* While the store is busy, the charges wait. */
		if (result == STORE_BUSY)
			return result;
		cache_end(b->cache, result);
		charge_expire(b, mono, true);
		answer_failed(b, &b->decided, result);
		return result;
	}
	/* Waiting for a lock may have taken longer than some deadlines. */
	charge_expire(b, clock_mono(), false);
	decide_batch(b);
	for (i = 0; i < b->gathered.npair && b->result == STORE_OK; i++)
		if (b->gathered.pair[i].changed)
			store_learn(b->store, &b->gathered.pair[i]);
	later = overlap->flush != NULL && (!TAILQ_EMPTY(&b->next) ||
	    (answers->more != NULL && answers->more(answers->arg)));
	result = charge_end(b, b->result, &later);
	if (result == STORE_OK) {
		b->learned += b->learns;
		for (i = 0; i < b->nhit; i++)
			answers->hit(answers->arg, &b->hit[i]);
		if (later)
			TAILQ_CONCAT(&b->unflushed, &b->decided, entry);
		else
			answer_charges(b, &b->decided);
	} else if (result == STORE_BUSY)
		charge_decide_again(b);
	else
		answer_failed(b, &b->decided, result);
	cache_trim(b->cache);
	return result;
}

/*
 * The connection was lost. Whether the server wrote the unflushed batch is
 * unknown. Changes that wait were not made.
 */
static void
fail_unflushed(struct charge_batch *b)
{
	answer_failed(b, &b->unflushed, STORE_LOST);
	charge_change_clear(b, true);
}

static enum store_result
run_batch(struct charge_batch *b, int64_t now, struct mono mono)
{
	struct verdict_charge	*c, *next;
	enum store_result	 result;
	size_t			 n = 0;

	/*
	 * Where it is quicker, takes half of the waiting charges: the other
	 * half is decided while the first is being written.
	 */
	if (b->count >= 2 * PART_LEAST && overlap->halves != NULL &&
	    overlap->halves(b->store))
		n = b->count / 2;
	for (; n > 0; n--) {
		c = TAILQ_LAST(&b->waiting, charges);
		TAILQ_REMOVE(&b->waiting, c, entry);
		TAILQ_INSERT_HEAD(&b->next, c, entry);
	}
	result = try_batch(b, now, mono);
	if (result == STORE_OK && b->gathered.npair > 0 &&
	    habits_trim(b->habits, b->store, now) == STORE_LOST)
		result = STORE_LOST;
	/*
	 * After a commit, only charges whose ids are still being read are left
	 * in `waiting`: they go behind `next`, unless they are resets. After
	 * any other result `waiting` has to be decided again, before `next`.
	 */
	for (c = TAILQ_FIRST(&b->waiting); c != NULL && result == STORE_OK;
	    c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->reset)
			continue;
		TAILQ_REMOVE(&b->waiting, c, entry);
		TAILQ_INSERT_TAIL(&b->next, c, entry);
	}
	TAILQ_CONCAT(&b->waiting, &b->next, entry);
	return result;
}

enum store_result
charge_batch_run(struct charge_batch *b, int64_t now, struct mono mono)
{
	enum store_result	changed;

	charge_expire(b, mono, false);
	answer_charges(b, &b->decided);
	changed = charge_change_run(b, now, mono);
	if (changed == STORE_LOST)
		b->last = STORE_LOST;
	else if (!TAILQ_EMPTY(&b->waiting))
		b->last = run_batch(b, now, mono);
	else if (changed == STORE_BUSY)
		return STORE_BUSY;
	/* If nothing ran, the last result still holds. */
	if (b->last == STORE_LOST) {
		fail_unflushed(b);
		charge_expire(b, mono, true);
		answer_failed(b, &b->decided, STORE_LOST);
	}
	return b->last == STORE_OK ? changed : b->last;
}

enum store_result
charge_batch_flush(struct charge_batch *b, bool wait)
{
	enum store_result	result;

	if (overlap->flush == NULL)
		return STORE_OK;
	if ((result = overlap->flush(b->store, wait)) == STORE_LOST)
		fail_unflushed(b);
	return result;
}

bool
charge_batch_unflushed(const struct charge_batch *b)
{
	return !TAILQ_EMPTY(&b->unflushed);
}

int
charge_batch_flush_fd(const struct charge_batch *b)
{
	return overlap->flush != NULL ? overlap->fd(b->store) : -1;
}
