#include <string.h>

#include "engine/memory.h"
#include "engine/memory_state.h"

static void
weigh_window(struct msg_weighed_key *told, const struct window *window,
    const struct limit *limit, int64_t now)
{
	struct limit		 copy = *limit;
	struct limits		 one = { 1, &copy };
	struct msg_window	*w = &told->windows[told->nwindows++];

	w->limit = *limit;
	w->used = window_used(window, limit->seconds, now);
	w->amount = told->amount;
	w->retry_after = window_retry_after(window, &one, told->amount, now);
}

/* The window that refused stays full, even if its limit is from SQL. */
static void
weigh_refusal(struct msg_weighed_key *told, const struct memory_id *id,
    int64_t now)
{
	size_t	i;

	for (i = 0; i < told->nwindows; i++)
		if (told->windows[i].limit.mails == id->limit.mails &&
		    told->windows[i].limit.seconds == id->limit.seconds)
			break;
	if (i == LIMITS_MAX || id->limit.seconds == 0)
		return;
	if (i == told->nwindows)
		weigh_window(told, &id->window, &id->limit, now);
	told->windows[i].retry_after = id->until - now;
}

static void
weigh_key(struct memory *m, const struct msg_charge_key *key, uint64_t hash,
    int64_t now, struct msg_weighed_key *told)
{
	struct memory_id	*id = memory_id_find(m, key, hash);
	struct window		 empty, *window = &empty;
	size_t			 i;

	window_init(&empty);
	if (id != NULL)
		window = &id->window;
	for (i = 0; i < key->limits.count; i++)
		weigh_window(told, window, &key->limits.list[i], now);
	if (memory_id_waits(id, key, told->amount, now))
		weigh_refusal(told, id, now);
}

void
memory_weigh(struct memory *m, const struct msg_charge *charge, int64_t now,
    struct msg_weighed *told)
{
	struct msg_window	*room = told->store;
	uint64_t		 hash[CHARGE_KEYS_MAX];
	size_t			 i;

	memset(told->keys, 0, sizeof(told->keys));
	memory_judge(m, charge, now, hash, &told->verdict);
	told->nkeys = charge->nkeys;
	for (i = 0; i < charge->nkeys; i++) {
		told->keys[i].amount = told->verdict.charged[i];
		told->keys[i].windows = room;
		weigh_key(m, &charge->keys[i], hash[i], now, &told->keys[i]);
		room += told->keys[i].nwindows;
	}
}
