#ifndef MEMTABLE_H
#define MEMTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/sqlite/bloom.h"
#include "ledger/pack.h"
#include "lib/str.h"

/*
 * A memtable: counts by id, in memory. It holds the tail, which is the rows
 * that no run includes yet (store_sqlite_runs.c), or the counts of the runs
 * that are being merged. It grows until it is written as a run and freed as a
 * whole; a cleaning drops its oldest counts. Ids are found by a hash of the
 * caller that is the same in every process.
 */
struct memtable {
	/* For others to read. */
	size_t			  rows;		/* added, forgotten ones too */
	/* No count is older or newer; set once there are rows. */
	int64_t			  oldest;
	int64_t			  newest;
	/* The rest is of memtable.c. */
	struct map		 *map;
	struct memtable_id	**place;	/* every id */
	size_t			  places;	/* room */
	struct memtable_chunk	 *chunks;
	struct memtable_count	 *count;
	size_t			  ncount;
	size_t			  size;		/* room */
	unsigned int		  bits;
	size_t			 *end;		/* of each part in `place` */
	struct pack_count	 *found;
	size_t			  finds;	/* room */
};

struct memtable	*memtable_new(void);
void		 memtable_free(struct memtable *);

/*
 * Adds a count. memtable_add returns the place of the id in this memtable, with
 * which memtable_add_at adds further counts of the same id.
 */
size_t		 memtable_add(struct memtable *, uint64_t hash, const char *id,
		    size_t idlen, int64_t date, int64_t amount);
void		 memtable_add_at(struct memtable *, size_t place, int64_t date,
		    int64_t amount);

size_t		 memtable_ids(const struct memtable *);

/*
 * The counts of one id, oldest first, each date once; returns their number, 0
 * for an unknown id. Valid until the next call. NULL is legal.
 */
size_t		 memtable_find(struct memtable *, uint64_t hash, const char *id,
		    size_t idlen, const struct pack_count **);

/* Drops counts that are older than `first`; their ids stay. NULL is legal. */
void		 memtable_forget(struct memtable *, int64_t first);

/*
 * Divides the ids into 2^bits parts by the first bits of their hashes, once;
 * nothing may be added after that.
 */
void		 memtable_divide(struct memtable *, unsigned int bits);

/*
 * Appends the ids of one part that have counts, packed, and adds them to the
 * filter.
 */
void		 memtable_part(struct memtable *, size_t part, struct str *,
			    struct bloom *);

#endif
