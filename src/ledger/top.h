#ifndef TOP_H
#define TOP_H

#include "conf/settings.h"
#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/lookup.h"
#include "ledger/override_table.h"

/*
 * The ids in memory in the order that is asked for: those that were asked for
 * since the start, as far as the memory reaches. At most TOP_MAX. Ids point
 * into the cache. Only windows that hold something are looked at.
 */
void	top_find(struct msg_topped *, const struct msg_top *, struct cache *,
	    struct lookup *,
	    const struct override_list *,
	    const struct settings *, int64_t now);

#endif
