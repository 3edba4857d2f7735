#ifndef CACHE_H
#define CACHE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decision/instance.h"
#include "ledger/store.h"
#include "lib/map.h"
#include "lib/window.h"

/*
 * The ledger's cache of the database: a window of counts for each id in use,
 * and the recent charges of each (id, instance, tag). Its size is bounded: the
 * least recently used id is evicted first. It reads no clock: times are seconds
 * since 1970.
 */
struct cache;

/*
 * An id in the cache. Other files may read `window` and the id, and use `index`
 * as they like within a batch.
 */
struct cache_id {
	struct map_node		 node;		/* first */
	TAILQ_ENTRY(cache_id)	 use;
	struct window		 window;
	/* Room for a struct store_cursor: cache_cursor. */
	_Alignas(int64_t) char	 cursor[STORE_CURSOR_SIZE];
	int64_t			 since;		/* no older counts are kept */
	bool			 begun;		/* `since` is set */
	uint32_t		 batch;		/* that touched it last */
	uint32_t		 reading;	/* its first reading's number */
	uint32_t		 index;
	uint16_t		 idlen;
	char			 id[];
};

/*
 * cache_trim evicts ids while cache_bytes is above `max_bytes`, but leaves them
 * half of that. cache_new chooses how many instances there may be;
 * cache_set_max does not change that.
 */
struct cache	*cache_new(size_t max_bytes);
void		 cache_free(struct cache *);
void		 cache_set_max(struct cache *, size_t max_bytes);

/* The memory of ids, counts and instances, as malloc(3) rounds it. */
size_t		 cache_bytes(const struct cache *);
size_t		 cache_ids(const struct cache *);

/* --- one batch --- */

/*
 * Begins a batch at `now`. An id that is touched is not evicted until the next
 * batch. Returns whether the clock was set back: the cache has seen a time more
 * than a minute later than `now`, so instances that are recent at `now` may
 * have been evicted as too old.
 */
bool		 cache_batch(struct cache *, int64_t now);

/*
 * Returns the entry of an id with this map_hash, created when it is missing,
 * and makes it the most recently used. The entry is valid until cache_trim in a
 * later batch. *first: this is its first touch in the batch.
 */
struct cache_id	*cache_touch(struct cache *, uint64_t hash, const char *id,
		    size_t idlen, bool *first);
struct store_cursor	*cache_cursor(struct cache_id *);

/*
 * cache_loaded: whether the first reading of the id is complete.
 * cache_complete marks it as loaded, for a cache without a store: what was
 * counted of it is all there is.
 */
bool		 cache_loaded(const struct cache_id *);
void		 cache_complete(struct cache_id *);

/*
 * Says that the batch needs the counts of this id from second `since` on.
 * Forgets older counts. If the cache does not go back that far, drops the
 * counts, which are then read again. Returns the second at which a first
 * reading must begin; it is never later than `since`.
 */
int64_t		 cache_need(struct cache *, struct cache_id *, int64_t since);

/*
 * All counts of the id, each second once, oldest first; returns their number.
 * They are valid until the next call of cache_counts.
 */
size_t		 cache_counts(struct cache *, struct cache_id *,
		    const struct pack_count **);

/*
 * Calls `each` for the ids that are loaded among the `most` most recently used,
 * the most recently used first.
 */
void		 cache_each(struct cache *, size_t most, void (*each)(void *,
		    const char *id, size_t idlen, const struct window *),
		    void *);

/*
 * The counts of an id, if they are loaded, valid until the cache changes; NULL:
 * they are not.
 */
const struct window	*cache_peek(const struct cache *, const char *id,
			    size_t idlen);

/*
 * The amount charged to (id, instance), and whether (id, instance, tag) was
 * charged; 0 and false for an unknown one.
 */
int64_t		 cache_charged(struct cache *, const struct instance_keys *);
bool		 cache_has_tag(struct cache *, const struct instance_keys *);

/*
 * Finds one second at which the amount charged to (id, instance) is above 0:
 * true, *date and *amount are set.
 */
bool		 cache_charged_at(struct cache *, const struct instance_keys *,
		    int64_t *date, int64_t *amount);

/*
 * Marks of (id, instance), for rules that count new recipients; they are in
 * memory only. cache_mark adds 1; cache_marked: how many there are.
 */
enum cache_mark {
	CACHE_AT_RCPT,		/* recipients that were accepted at RCPT */
	CACHE_HIT,		/* the report has counted a hit */
	CACHE_MARK__MAX
};
void		 cache_mark(struct cache *, const struct instance_keys *,
		    enum cache_mark);
int64_t		 cache_marked(struct cache *, const struct instance_keys *,
		    enum cache_mark);

/* Counts a row that this batch records, before its commit. */
void		 cache_record(struct cache *, struct cache_id *,
		    const struct instance_keys *, const struct store_row *);

/*
 * Ends a batch: it was committed, or rolled back. STORE_BUSY: takes back the
 * rows that it recorded. Any other failure, where the cursors may have moved:
 * drops every id that it touched, which is then read again.
 */
void		 cache_end(struct cache *, enum store_result);

/* --- what the store reads: struct store_reader --- */

/* `first`: a row of the id's first reading. */
void		 cache_first(struct cache *, struct cache_id *,
		    const struct store_row *);

/* `news`. If the id is not in the cache, only the row's instance is kept. */
void		 cache_news(struct cache *, const struct store_row *);

/*
 * `again`: drops the counts of one id. `changed`: drops all counts, instances
 * and marks. Counts are read again when needed.
 */
void		 cache_drop(struct cache *, struct cache_id *);
void		 cache_drop_all(struct cache *);

/* Evicts down to the bound; never an id that the running batch touched. */
void		 cache_trim(struct cache *);

#endif
