#ifndef TOP_H
#define TOP_H

#include "conf/settings.h"
#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/lookup.h"
#include "ledger/override_table.h"
#include "ledger/tally.h"

/*
 * Finds at most TOP_MAX of the ids in the cache, in the requested order. Ids
 * that were not used since the start, or were evicted, are not found. Only
 * windows with counts are considered. With `domain`, finds the domains whose
 * ids have used most of the wanted or the longest window. The result's ids
 * point into the cache, or into the tally that is returned, which the caller
 * frees.
 */
struct tally	*top_find(struct msg_topped *, const struct msg_top *,
		    struct cache *, struct lookup *,
		    const struct override_list *, const struct settings *,
		    int64_t now);

#endif
