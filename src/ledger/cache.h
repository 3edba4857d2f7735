#ifndef CACHE_H
#define CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/store.h"
#include "lib/window.h"

/*
 * What this ledger remembers of the database: a window for each id in use, and
 * what was charged lately to which (id, instance, tag). Bounded; the least
 * recently used goes first. Knows no clock: `now` is seconds since 1970.
 */
struct cache;
struct cache_id;

/*
 * Seconds for which an instance is remembered (and read back after a restart).
 */
#define CACHE_INSTANCE_SECONDS	3600

struct cache	*cache_new(size_t max_bytes);
void		 cache_free(struct cache *);
void		 cache_set_max(struct cache *, size_t max_bytes);
size_t		 cache_bytes(const struct cache *);
size_t		 cache_ids(const struct cache *);

/* --- one batch --- */

/* From here on what is touched stays in memory until the next batch. */
void		 cache_batch(struct cache *);

/*
 * Whether the clock was ahead for a while: instances that are not too old now
 * may have been forgotten as such.
 */
bool		 cache_forgot(const struct cache *, int64_t now);

/*
 * How an id is looked for. Said of all that a batch will touch, before it
 * touches them, they are found sooner.
 */
uint64_t	 cache_hash(const char *id, size_t idlen);
void		 cache_ahead(const struct cache *, uint64_t hash);

/*
 * The id, made when it is not there; now the most recently used. *first: the
 * first touch in this batch.
 */
struct cache_id	*cache_touch(struct cache *, uint64_t hash, const char *id,
		    size_t idlen, bool *first);
const char	*cache_name(const struct cache_id *, size_t *idlen);
struct window	*cache_window(struct cache_id *);
struct store_cursor	*cache_cursor(struct cache_id *);

/*
 * What was recorded from `since` on will be asked of this id: forgets what is
 * older, or has it read again when that much is not in memory. Returns the
 * oldest second that a first reading has to begin at.
 */
int64_t		 cache_want(struct cache *, struct cache_id *, int64_t since);

/* All of it, each second once, the oldest first; until the next call. */
size_t		 cache_counts(struct cache *, struct cache_id *,
		    const struct pack_count **);

/* Of so many ids those whose counts are known, the most recently used first. */
void		 cache_each(struct cache *, size_t most, void (*each)(void *,
		    const char *id, size_t idlen, const struct window *),
		    void *);

/* A place in the batch that the caller gave the id. */
void		 cache_set_index(struct cache_id *, size_t);
size_t		 cache_index(const struct cache_id *);

/*
 * What is remembered of (id, instance), and of (id, instance, tag), by their
 * hashes. Nothing of no instance, and of tag 0.
 */
struct cache_seen {
	bool		has_instance;
	bool		has_tag;
	uint64_t	instance;
	uint64_t	tag;
};

void		 cache_see(struct cache_seen *, uint64_t id_hash,
		    const char *instance, size_t len, int64_t tag);
void		 cache_seen_ahead(const struct cache *,
		    const struct cache_seen *);

/* What was charged to (id, instance); whether (id, instance, tag) was. */
int64_t		 cache_charged(struct cache *, const struct cache_seen *);
bool		 cache_tag_seen(struct cache *, const struct cache_seen *);

/* Some second at which something is charged to (id, instance), and how much. */
bool		 cache_charged_at(struct cache *, const struct cache_seen *,
		    int64_t now, int64_t *date, int64_t *amount);

/* A row that this batch records, counted at once. */
void		 cache_record(struct cache *, struct cache_id *,
		    const struct cache_seen *, const struct store_row *,
		    int64_t now);

/* The batch was committed; or it was not: what it touched is read again. */
void		 cache_settle(struct cache *);
void		 cache_undo(struct cache *);

/* --- what the store reads: struct store_reader --- */

void		 cache_first(struct cache *, struct cache_id *,
		    const struct store_row *, int64_t now);
void		 cache_news(struct cache *, const struct store_row *,
			    int64_t now);

/* What is known of one id, or of all, is void. */
void		 cache_drop(struct cache *, struct cache_id *);
void		 cache_drop_all(struct cache *);

/* Down to the bound; never drops an id that is touched in the running batch. */
void		 cache_trim(struct cache *);

#endif
