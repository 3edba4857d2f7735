#include <stdlib.h>

#include "decision/habit.h"
#include "ipc/message.h"
#include "lib/num.h"
#include "lib/window.h"

#define DAY		INT64_C(86400)
#define EVICT_SHARE	16	/* of `max`: evicted beyond what is needed */

static int64_t
day_end(int64_t when)
{
	return num_add_clamp(when - when % DAY, DAY);
}

/*
 * A date too far in the future was recorded while a clock was wrong. Such a
 * `first` is not used; such a `last` still says that there was a mail.
 */
bool
habit_known(const struct habit_pair *p, const struct habit_terms *t,
    int64_t now)
{
	return p->first != -1 && p->first <= num_add_clamp(now, WINDOW_SKEW) &&
	    day_end(p->last) > num_sub_clamp(now, t->learn);
}

bool
habit_familiar(const struct habit_pair *network, const struct habit_terms *t,
    int64_t now)
{
	return network != NULL && t->unfamiliar > 0 &&
	    habit_known(network, t, now) &&
	    num_sub_clamp(now, network->first) >= t->unfamiliar;
}

int64_t
habit_amount(const struct habit_pair *network,
    const struct habit_pair *recipient, int64_t n, const struct habit_terms *t,
    int64_t now)
{
	if (habit_familiar(network, t, now))
		return 0;
	if (recipient == NULL)
		return n;
	return habit_known(recipient, t, now) ? 0 : 1;
}

bool
habit_learn(struct habit_pair *p, const struct habit_terms *t, int64_t now)
{
	if (!habit_known(p, t, now))
		p->first = now;
	else if (day_end(p->last) == day_end(now))
		return false;
	p->last = now;
	return true;
}

bool
habit_refuse(struct habit_pair *network, const struct habit_terms *t,
    int64_t now)
{
	/* The time of an unknown network starts with its first mail anyway. */
	if (!habit_known(network, t, now) || network->first >= day_end(now))
		return false;
	network->first = day_end(now);
	return true;
}

bool
habit_learning(int64_t first, int64_t now)
{
	/* A date further in the future is from a wrong clock. */
	return first <= num_add_clamp(now, WINDOW_SKEW) &&
	    num_sub_clamp(now, first) < CHARGE_LEARNING;
}

/* --- eviction --- */

static int
by_last_use(const void *a, const void *b)
{
	const struct habit_entry	*x = a, *y = b;

	if (x->pair.last != y->pair.last)
		return x->pair.last < y->pair.last ? -1 : 1;
	if (x->pair.first != y->pair.first)
		return x->pair.first > y->pair.first ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

size_t
habit_evict(struct habit_entry *list, size_t n, size_t max, bool networks,
    const struct habit_terms *t, int64_t now)
{
	struct habit_entry	swap;
	size_t			strangers = 0, i;

	if (n <= max)
		return 0;
	/* Where a clock was wrong `last` is no later than now. */
	for (i = 0; i < n; i++)
		if (list[i].pair.last > now)
			list[i].pair.last = now;
	/* The entries that are not familiar move to the front. */
	for (i = 0; i < n && networks; i++)
		if (!habit_familiar(&list[i].pair, t, now)) {
			swap = list[i];
			list[i] = list[strangers];
			list[strangers++] = swap;
		}
	qsort(list, strangers, sizeof(list[0]), by_last_use);
	qsort(list + strangers, n - strangers, sizeof(list[0]), by_last_use);
	return n - max + max / EVICT_SHARE;
}
