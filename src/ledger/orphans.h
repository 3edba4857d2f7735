#ifndef ORPHANS_H
#define ORPHANS_H

#include <stdint.h>

#include "conf/settings.h"
#include "decision/override.h"
#include "ledger/cache.h"

/*
 * After a reload: logs how many ids in memory, grants and locks belong to each
 * rule that is gone and that no rule names in `was`. The counts stay in the
 * tables.
 */
void	orphans_tell(const struct settings *old, const struct settings *fresh,
	    struct cache *, const struct override_list *, int64_t now);

#endif
