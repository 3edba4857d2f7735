#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/batch/charge_batch.h"
#include "ledger/id.h"
#include "lib/alloc.h"
#include "lib/num.h"
#include "lib/str.h"

#define USUAL		6000	/* bytes; a charge of up to eight keys */
#define SPARES		1024
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
	override_table_settings(b->overrides, settings);
}

size_t
charge_batch_count(const struct charge_batch *b)
{
	return b->count;
}

int
charge_batch_delay(const struct charge_batch *b)
{
	if (store_optional.shared == NULL || !store_optional.shared(b->store))
		return 0;
	return batch_delay(&b->delay, b->count);
}

/*
 * Most charges have one size, and there are many: a finished charge's memory is
 * kept for the next one.
 */
static struct verdict_charge *
charge_new(struct charge_batch *b, size_t size)
{
	struct verdict_charge	*c;

	if (size > USUAL)
		return alloc_resize(NULL, 1, size);
	if ((c = TAILQ_FIRST(&b->spare)) == NULL)
		return alloc_resize(NULL, 1, USUAL);
	TAILQ_REMOVE(&b->spare, c, entry);
	b->spares--;
	return c;
}

static void
charge_free(struct charge_batch *b, struct verdict_charge *c)
{
	free(c->weighed);
	free(c->was);
	if (c->size > USUAL || b->spares == SPARES) {
		free(c);
		return;
	}
	TAILQ_INSERT_HEAD(&b->spare, c, entry);
	b->spares++;
}

static void
charge_drop(struct charge_batch *b, struct charges *list)
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
	charge_drop(b, &b->waiting);
	charge_drop(b, &b->unflushed);
	charge_change_clear(b);
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
	free(b->pair);
	free(b->touch);
	free(b->id);
	free(b->value);
	free(b->hit);
	free(b);
}

/* --- taking charges in --- */

static struct verdict_charge *
charge_take(struct charge_batch *b, uint64_t request, const void *payload,
    size_t len)
{
	struct msg_charge	*m = &b->message;
	struct verdict_charge	*c;
	size_t			 size;

	if (msg_charge_get(m, payload, len) == -1)
		return NULL;
	size = charge_copy_size(m);
	c = charge_new(b, size);
	c->size = size;
	c->request = request;
	charge_copy(c, m);
	charge_was(c, b->settings, m->keys);
	c->weighed = NULL;
	c->reset = false;
	TAILQ_INSERT_TAIL(&b->waiting, c, entry);
	b->count++;
	return c;
}

int
charge_batch_add(struct charge_batch *b, uint64_t request, const void *payload,
    size_t len)
{
	return charge_take(b, request, payload, len) != NULL ? 0 : -1;
}

int
charge_batch_weigh(struct charge_batch *b, uint64_t request,
    const void *payload, size_t len)
{
	struct verdict_charge	*c;

	if ((c = charge_take(b, request, payload, len)) == NULL)
		return -1;
	c->weighed = alloc_zero(1, sizeof(*c->weighed));
	return 0;
}

int
charge_batch_reset(struct charge_batch *b, uint64_t request,
    const void *payload, size_t len)
{
	struct verdict_charge	*c;

	if (charge_batch_weigh(b, request, payload, len) == -1)
		return -1;
	c = TAILQ_LAST(&b->waiting, charges);
	c->reset = true;
	/*
	 * A reset goes before the charges of its batch: see
	 * store_forget_values.
	 */
	TAILQ_REMOVE(&b->waiting, c, entry);
	TAILQ_INSERT_HEAD(&b->waiting, c, entry);
	return 0;
}

uint64_t
charge_batch_learned(const struct charge_batch *b)
{
	return b->learned;
}

struct habits *
charge_batch_habits(struct charge_batch *b)
{
	return b->habits;
}

struct override_table *
charge_batch_overrides(struct charge_batch *b)
{
	return b->overrides;
}

/* --- deciding --- */

static bool
charge_ready(const struct verdict_charge *c)
{
	size_t	i;

	for (i = 0; i < c->nkeys; i++)
		if (!store_loaded(cache_cursor(c->keys[i].id)))
			return false;
	for (i = 0; i < c->nwas; i++)
		if (!store_loaded(cache_cursor(c->was[i].cached)))
			return false;
	return true;
}

static void
charge_keep_hits(struct charge_batch *b, const struct verdict_charge *c,
    const struct verdict_hit *hits, size_t n)
{
	size_t	i;

	if (b->nhit + n > b->hits) {
		b->hits = (b->nhit + n) * 2;
		b->hit = alloc_resize(b->hit, b->hits, sizeof(b->hit[0]));
	}
	for (i = 0; i < n; i++)
		b->hit[b->nhit++] = (struct charge_hit){ hits[i].kind, c,
		    hits[i].key, hits[i].seconds };
}

static void
charge_decide(struct charge_batch *b)
{
	struct verdict_charge	*c, *next;

	for (c = TAILQ_FIRST(&b->waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!charge_ready(c))
			continue;
		verdict_decide(&b->context, c);
		charge_map_tell(c);
		if (c->weighed == NULL || c->mode == CHARGE_ADD)
			charge_keep_hits(b, c, b->context.hits,
			    b->context.nhits);
		charge_settle(b, c);
	}
}

/* --- answering --- */

static void
charge_tell(const struct verdict_charge *c,
    const struct charge_answers *answers)
{
	if (c->weighed == NULL) {
		answers->verdict(answers->arg, c->request, &c->verdict);
		return;
	}
	c->weighed->verdict = c->verdict;
	answers->weighed(answers->arg, c->request, c->weighed);
}

/*
 * If the batch was not committed, its charges are not recorded and its locks
 * not set, but a full window is still full, so refusals stand. If the
 * connection was lost, the result of the commit is unknown: charges are left
 * unanswered, and the engine asks the next ledger.
 */
static void
charge_answer(struct charge_batch *b, struct charges *list,
    enum store_result result, const struct charge_answers *answers)
{
	struct verdict_charge	*c;
	bool			 recorded;

	while ((c = TAILQ_FIRST(list)) != NULL) {
		recorded = c->verdict.verdict != VERDICT_REFUSED &&
		    c->verdict.verdict != VERDICT_BLOCKED;
		if (result != STORE_OK && recorded)
			charge_unavailable(&c->verdict);
		if (result != STORE_OK)
			c->verdict.locked = c->verdict.unlocked = 0;
		if (result != STORE_LOST || c->weighed != NULL || !recorded)
			charge_tell(c, answers);
		TAILQ_REMOVE(list, c, entry);
		charge_free(b, c);
	}
}

/* The commit of these charges is durable. */
static void
charge_on_flushed(void *arg)
{
	struct charge_batch	*b = arg;

	charge_answer(b, &b->unflushed, STORE_OK, &b->answers);
	if (b->answers.answered != NULL)
		b->answers.answered(b->answers.arg);
}

static void
charge_tell_hits(struct charge_batch *b, const struct charge_answers *answers)
{
	size_t	i;

	for (i = 0; i < b->nhit; i++)
		answers->hit(answers->arg, &b->hit[i]);
}

enum store_result
charge_batch_start(struct charge_batch *b, int64_t now)
{
	enum store_result	result;
	bool			later = false;

	if (overlap->flush != NULL)
		overlap->on_flushed(b->store, charge_on_flushed, b);
	if ((result = charge_begin_empty(b, now)) != STORE_OK)
		return result;
	return store_commit(b->store, &later);
}

/*
 * If the store failed to forget the values of a reset, rolls the whole batch
 * back.
 */
static enum store_result
charge_commit(struct charge_batch *b, bool *later)
{
	if (b->context.result == STORE_OK) {
		charge_pairs_learn(b);
		return store_commit(b->store, later);
	}
	*later = false;
	if (b->context.result != STORE_LOST)
		store_rollback(b->store);
	return b->context.result;
}

static enum store_result
charge_try(struct charge_batch *b, int64_t now, struct mono mono,
    const struct charge_answers *answers)
{
	enum store_result	result;
	bool			later;

	b->context.cache = b->cache;
	b->context.store = b->store;
	b->context.habits = b->habits;
	b->context.settings = b->settings;
	b->context.now = now;
	b->context.result = STORE_OK;
	b->context.learned = 0;
	if ((result = charge_gather(b, now, mono)) != STORE_OK ||
	    (result = charge_begin(b)) != STORE_OK)
		goto fail;
	b->context.overrides = b->overrides;
	/* Waiting for a lock may have taken longer than some deadlines. */
	charge_expire(b, clock_mono(), false);
	b->context.value = b->value;
	b->context.nvalue = b->nvalue;
	charge_decide(b);
	later = overlap->flush != NULL && (!TAILQ_EMPTY(&b->next) ||
	    (answers->more != NULL && answers->more(answers->arg)));
	result = charge_commit(b, &later);
	override_table_settle(b->overrides, result == STORE_OK);
	switch (result) {
	case STORE_OK:
		cache_settle(b->cache);
		b->learned += b->context.learned;
		charge_tell_hits(b, answers);
		break;
	case STORE_BUSY:
		cache_rewind(b->cache);
		charge_decide_again(b);
		break;
	default:
		cache_undo(b->cache);
	}
	if (result == STORE_OK && later) {
		TAILQ_CONCAT(&b->unflushed, &b->decided, entry);
		b->answers = *answers;
	} else
		charge_answer(b, &b->decided, result, answers);
	cache_trim(b->cache);
	return result;
 fail:
	/*
	 * Retry after a lock; after any other fault the charges need not wait.
	 */
	if (result != STORE_BUSY) {
		cache_undo(b->cache);
		charge_expire(b, mono, true);
		charge_answer(b, &b->decided, result, answers);
	}
	return result;
}

/* Whether the server wrote the unflushed batch is unknown. */
static enum store_result
charge_lost(struct charge_batch *b, enum store_result result)
{
	if (result == STORE_LOST)
		charge_answer(b, &b->unflushed, STORE_LOST, &b->answers);
	return result;
}

/*
 * Where it is quicker, takes half of the waiting charges: the other half is
 * decided while the first is being written.
 */
static void
charge_part(struct charge_batch *b)
{
	struct verdict_charge	*c;
	size_t			 n;

	if (b->count < 2 * PART_LEAST || overlap->halves == NULL ||
	    !overlap->halves(b->store))
		return;
	for (n = b->count / 2; n > 0; n--) {
		c = TAILQ_LAST(&b->waiting, charges);
		TAILQ_REMOVE(&b->waiting, c, entry);
		TAILQ_INSERT_HEAD(&b->next, c, entry);
	}
}

/*
 * The other half waits behind a first half that has to be decided again. After
 * a batch only charges whose ids are still being read are left of the first
 * half: they go behind the others, but for resets.
 */
static void
charge_whole(struct charge_batch *b, enum store_result result)
{
	struct verdict_charge	*c, *next;

	for (c = TAILQ_FIRST(&b->waiting); c != NULL && result == STORE_OK;
	    c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->reset)
			continue;
		TAILQ_REMOVE(&b->waiting, c, entry);
		TAILQ_INSERT_TAIL(&b->next, c, entry);
	}
	TAILQ_CONCAT(&b->waiting, &b->next, entry);
}

static enum store_result
charge_run(struct charge_batch *b, int64_t now, struct mono mono,
    const struct charge_answers *answers)
{
	enum store_result	result;

	charge_part(b);
	result = charge_lost(b, charge_try(b, now, mono, answers));
	if (result == STORE_OK &&
	    habits_trim(b->habits, b->store, now) == STORE_LOST)
		result = charge_lost(b, STORE_LOST);
	charge_whole(b, result);
	return result;
}

enum store_result
charge_batch_run(struct charge_batch *b, int64_t now, struct mono mono,
    const struct charge_answers *answers)
{
	enum store_result	changed;

	charge_expire(b, mono, false);
	charge_answer(b, &b->decided, STORE_FAILED, answers);
	changed = charge_lost(b, charge_change_run(b, now, mono, answers));
	if (changed == STORE_LOST)
		b->last = STORE_LOST;
	else if (!TAILQ_EMPTY(&b->waiting))
		b->last = charge_run(b, now, mono, answers);
	else if (changed == STORE_BUSY)
		return STORE_BUSY;
	/* If nothing ran, the last result still holds. */
	if (b->last == STORE_LOST) {
		charge_expire(b, mono, true);
		charge_answer(b, &b->decided, STORE_LOST, answers);
	}
	return b->last == STORE_OK ? changed : b->last;
}

enum store_result
charge_batch_flush(struct charge_batch *b, bool wait)
{
	if (overlap->flush == NULL)
		return STORE_OK;
	return charge_lost(b, overlap->flush(b->store, wait));
}

bool
charge_batch_unflushed(const struct charge_batch *b)
{
	return overlap->flush != NULL && overlap->unflushed(b->store);
}

int
charge_batch_flush_fd(const struct charge_batch *b)
{
	return overlap->flush != NULL ? overlap->fd(b->store) : -1;
}
