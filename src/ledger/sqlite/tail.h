#ifndef TAIL_H
#define TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/sqlite/filter.h"
#include "ledger/pack.h"
#include "lib/str.h"

/*
 * The tail: the counts of the newest rows of the database, by id, in memory:
 * those that no run includes yet (store_sqlite_runs.c). It only grows, until it
 * is written as a run and freed as a whole. Ids are found by a hash of the
 * caller that is the same in every process.
 */
struct tail;

struct tail	*tail_new(void);
void		 tail_free(struct tail *);

/*
 * Adds a count. tail_add returns the place of the id in this tail, with which
 * tail_add_at adds further counts of the same id.
 */
size_t		 tail_add(struct tail *, uint64_t hash, const char *id,
		    size_t idlen, int64_t date, int64_t amount);
void		 tail_add_at(struct tail *, size_t place, int64_t date,
		    int64_t amount);

/* Prefetches a place to which counts will be added soon, as map_ahead does. */
void		 tail_ahead(const struct tail *, size_t place);

size_t		 tail_rows(const struct tail *);
size_t		 tail_ids(const struct tail *);

/* The oldest and the newest date; the tail must not be empty. */
int64_t		 tail_oldest(const struct tail *);
int64_t		 tail_newest(const struct tail *);

/*
 * The counts of one id, oldest first, each date once; returns their number, 0
 * for an unknown id. Valid until the next call.
 */
size_t		 tail_find(struct tail *, uint64_t hash, const char *id,
		    size_t idlen, const struct pack_count **);

/*
 * Divides the ids into 2^bits parts by the first bits of their hashes; nothing
 * may be added after that.
 */
void		 tail_divide(struct tail *, unsigned int bits);

/* Appends all ids of one part, packed, and adds them to the filter. */
void		 tail_part(struct tail *, size_t part, struct str *,
			    struct filter *);

#endif
