#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/habits.h"
#include "lib/alloc.h"
#include "lib/map.h"

#define SLOTS		4096
#define SHARE		64	/* of the most pairs: learned between checks */
#define PENDING_MAX	64

/* Keys that may have too many pairs. */
struct pending {
	int64_t			who;
	uint8_t			kind;
	struct habit_terms	terms;
};

struct habits {
	uint64_t	key[2];
	bool		known;
	/*
	 * By a hash of key and kind: how many pairs were learned since the
	 * last check. 0: there was none since the start.
	 */
	uint8_t		learned[SLOTS];
	struct pending	pending[PENDING_MAX];
	size_t		npending;
};

struct habits *
habits_new(void)
{
	return alloc_zero(1, sizeof(struct habits));
}

void
habits_free(struct habits *h)
{
	freezero(h, sizeof(*h));
}

enum store_result
habits_ready(struct habits *h, struct store *store)
{
	static const char *const	name[2] = {
		"habit_key1", "habit_key2"
	};
	enum store_result		result;
	int64_t				number;
	size_t				i;

	for (i = 0; i < 2 && !h->known; i++) {
		arc4random_buf(&number, sizeof(number));
		result = store_first_number(store, name[i], &number);
		if (result != STORE_OK)
			return result;
		h->key[i] = (uint64_t)number;
	}
	h->known = true;
	return STORE_OK;
}

void
habits_name(const struct habits *h, struct store_pair *p,
    enum store_pair_kind kind, const char *id, size_t idlen, const char *what,
    size_t len)
{
	p->kind = (uint8_t)kind;
	p->who = (int64_t)map_siphash(h->key, id, idlen);
	p->what = (int64_t)map_siphash(h->key, what, len);
	p->known.first = -1;
	p->known.last = 0;
	p->changed = false;
}

void
habits_name_rule(const struct habits *h, struct store_pair *p, uint64_t rule)
{
	char	text[17];

	/* The same on every machine. */
	(void)snprintf(text, sizeof(text), "%016" PRIx64, rule);
	habits_name(h, p, PAIR_RULE, text, 16, "", 0);
}

uint64_t
habits_rule(const char *name, size_t len)
{
	static const uint64_t	fixed[2] = { 0, 0 };

	return map_siphash(fixed, name, len);
}

int
habits_order(const void *a, const void *b)
{
	const struct store_pair	*x = a, *y = b;

	if (x->who != y->who)
		return x->who < y->who ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->what < y->what ? -1 : x->what > y->what;
}

/* --- how many are kept --- */

static size_t
pairs_max(uint8_t kind)
{
	return kind == PAIR_NETWORK ? HABIT_NETWORKS : HABIT_RECIPIENTS;
}

void
habits_learned(struct habits *h, const struct store_pair *p,
    const struct habit_terms *terms)
{
	uint8_t	*learned;

	learned = &h->learned[((uint64_t)p->who + p->kind) % SLOTS];
	if (*learned > 0 && *learned <= pairs_max(p->kind) / SHARE) {
		++*learned;
		return;
	}
	/* If there is no room, the next pair asks again. */
	if (h->npending == PENDING_MAX)
		return;
	*learned = 1;
	h->pending[h->npending++] = (struct pending){ p->who, p->kind,
	    *terms };
}

struct list {
	struct habit_entry	*entry;
	size_t			 n;
	size_t			 room;
};

static void
list_add(void *arg, const struct habit_entry *e)
{
	struct list	*list = arg;

	list->entry = alloc_room(list->entry, list->n, &list->room,
	    sizeof(list->entry[0]));
	list->entry[list->n++] = *e;
}

enum store_result
habits_trim(struct habits *h, struct store *store, int64_t now)
{
	struct list		 list = { NULL, 0, 0 };
	const struct pending	*of;
	struct store_pair	*gone;
	enum store_result	 result = STORE_OK;
	size_t			 n, i, j;

	for (i = 0; i < h->npending && result != STORE_LOST; i++) {
		of = &h->pending[i];
		list.n = 0;
		result = store_pairs(store, of->who,
		    (enum store_pair_kind)of->kind, list_add, &list);
		if (result != STORE_OK)
			continue;
		n = habit_evict(list.entry, list.n, pairs_max(of->kind),
		    of->kind == PAIR_NETWORK, &of->terms, now);
		gone = alloc_zero(n, sizeof(gone[0]));
		for (j = 0; j < n; j++) {
			gone[j].who = of->who;
			gone[j].kind = of->kind;
			gone[j].what = (int64_t)list.entry[j].hash;
		}
		result = store_drop_pairs(store, gone, n);
		free(gone);
	}
	free(list.entry);
	if (result == STORE_LOST)
		return STORE_LOST;
	h->npending = 0;
	return STORE_OK;
}
