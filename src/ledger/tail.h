#ifndef TAIL_H
#define TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/filter.h"
#include "ledger/pack.h"
#include "lib/str.h"

/*
 * The newest rows of a database, by id, in memory: those that no run holds yet
 * (store_sqlite_runs.c). It only grows, until it is written out as a run and
 * freed as a whole. Ids are found by a hash of the caller's that is the same in
 * every process.
 */
struct tail;

struct tail	*tail_new(void);
void		 tail_free(struct tail *);

/*
 * The place of the id in this tail, for tail_add_at: what is added to the same
 * id again.
 */
size_t		 tail_add(struct tail *, uint64_t hash, const char *id,
		    size_t idlen, int64_t date, int64_t amount);
void		 tail_add_at(struct tail *, size_t place, int64_t date,
		    int64_t amount);

/* Something will be added there soon: as map_ahead. */
void		 tail_ahead(const struct tail *, size_t place);

size_t		 tail_rows(const struct tail *);
size_t		 tail_ids(const struct tail *);

/* The oldest and the newest date; only where there are rows. */
int64_t		 tail_oldest(const struct tail *);
int64_t		 tail_newest(const struct tail *);

/*
 * Counts of one id in the order of time, each date once; their number, 0 when
 * it has none. Until the next call.
 */
size_t		 tail_find(struct tail *, uint64_t hash, const char *id,
		    size_t idlen, const struct pack_count **);

/*
 * Divides the ids into 2^bits parts by the first bits of their hashes; nothing
 * may be added afterwards.
 */
void		 tail_divide(struct tail *, unsigned int bits);

/* Appends all ids of one part, packed, and adds them to the filter. */
void		 tail_part(struct tail *, size_t part, struct str *,
			    struct filter *);

#endif
