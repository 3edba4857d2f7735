#ifndef CACHE_H
#define CACHE_H

#include "ledger/store.h"
#include "lib/clock.h"
#include "lib/window.h"

/*
 * What this ledger remembers of the database: a window for each id in use, and which
 * (id, instance, tag) were charged lately. Bounded; the least recently used goes first.
 */
struct cache;
struct cache_id;

/* Seconds for which an instance is remembered (and read back after a restart). */
#define CACHE_INSTANCE_SECONDS	3600

struct cache	*cache_new(size_t max_bytes);
void		 cache_free(struct cache *);
size_t		 cache_bytes(const struct cache *);
size_t		 cache_ids(const struct cache *);

/* The id, made when it is not there; now the most recently used. */
struct cache_id	*cache_touch(struct cache *, const char *id, size_t idlen);
struct window	*cache_window(struct cache_id *);
struct store_cursor	*cache_cursor(struct cache_id *);

/* What was charged to (id, instance) in all; whether (id, instance, tag) was. */
int64_t		 cache_instance_charged(struct cache *, const struct store_row *);
bool		 cache_tag_seen(struct cache *, const struct store_row *);

/* Applies a row, read or just committed; ids that are not in memory are left alone. */
void		 cache_row(struct cache *, const struct store_row *);

/* A failed batch: the id is read again at its next use. */
void		 cache_drop(struct cache *, struct cache_id *);
void		 cache_drop_all(struct cache *);

/* Down to the bound; never drops an id that is touched in the running batch. */
void		 cache_trim(struct cache *, int64_t now);

#endif
