#include <string.h>

#include "ledger/dispatch_habit.h"
#include "ledger/id.h"
#include "lib/clock.h"

static int
habit_charge(struct msg_charge *charge, const struct message *m)
{
	size_t	i;

	if (msg_charge_get(charge, m->payload, m->len) == -1 ||
	    charge->nkeys == 0)
		return -1;
	for (i = 0; i < charge->nkeys; i++)
		if (charge->keys[i].kind != CHARGE_HABIT)
			return -1;
	return 0;
}

static void
habit_name(const struct habits *h, struct store_pair *p,
    const struct msg_charge_key *key)
{
	char		 room[ID_STORED_MAX + 1];
	size_t		 len = key->idlen;
	const char	*id = id_stored(key->id, &len, room);

	habits_name(h, p, PAIR_NETWORK, id, len, key->network,
	    key->networklen);
}

int
dispatch_habit_trust(struct habits *h, struct store *store,
    struct msg_charge *charge, const struct message *m,
    enum store_result *result)
{
	struct store_pair	list[CHARGE_KEYS_MAX];
	size_t			i;

	if (habit_charge(charge, m) == -1)
		return -1;
	*result = habits_ready(h, store);
	for (i = 0; i < charge->nkeys && *result == STORE_OK; i++) {
		habit_name(h, &list[i], &charge->keys[i]);
		/* No waiting time, as for a network used long ago. */
		list[i].known.first = 0;
		list[i].known.last = clock_wall();
	}
	if (*result == STORE_OK)
		*result = store_set_pairs(store, list, charge->nkeys);
	return 0;
}

int
dispatch_habit_forget(struct habits *h, struct store *store,
    struct msg_charge *charge, const struct message *m,
    enum store_result *result)
{
	struct store_pair	pair;
	int64_t			n;
	size_t			i;

	if (habit_charge(charge, m) == -1)
		return -1;
	*result = habits_ready(h, store);
	for (i = 0; i < charge->nkeys && *result == STORE_OK; i++) {
		habit_name(h, &pair, &charge->keys[i]);
		*result = store_forget_pairs(store, pair.who, charge->date,
		    &n);
	}
	return 0;
}
