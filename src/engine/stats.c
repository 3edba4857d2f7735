#include <stddef.h>

#include "engine/stats.h"

static struct stats	stats;

void
stats_add(enum stats_counter counter, uint64_t n)
{
	stats.count[counter] += n;
}

void
stats_answered(int64_t ns)
{
	uint64_t	us;
	unsigned int	i;

	if (ns < 0)
		ns = 0;
	stats.latency_ns += (uint64_t)ns;
	us = (uint64_t)ns / 1000;
	for (i = 0; i < STATS_BUCKETS - 1 && us >> i != 0; i++)
		;
	stats.latency[i]++;
}

const struct stats *
stats_get(void)
{
	return &stats;
}

const char *
stats_name(enum stats_counter counter)
{
	static const char	*const names[STATS__MAX] = {
		[STATS_REQUESTS] = "requests",
		[STATS_MALFORMED] = "malformed",
		[STATS_PASSED] = "passed",
		[STATS_ACCEPTED] = "accepted",
		[STATS_REFUSED] = "refused",
		[STATS_SHADOWED] = "shadowed",
		[STATS_WARNED] = "warned",
		[STATS_UNAVAILABLE] = "unavailable",
		[STATS_MEMORY_REFUSED] = "memory_refused",
		[STATS_LATE] = "late",
		[STATS_REPLAYED] = "replayed",
		[STATS_REPLAY_LOST] = "replay_lost",
		[STATS_CONNECTED] = "connected",
		[STATS_FORBIDDEN] = "forbidden",
		[STATS_CLOSED_IDLE] = "closed_idle",
		[STATS_CLOSED_SLOW] = "closed_slow",
	};

	return counter < STATS__MAX ? names[counter] : NULL;
}
