#ifndef SEEN_H
#define SEEN_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/map.h"

/*
 * What an instance was charged under an id, and its latest tags; or when a
 * value was last seen. Keyed by a hash with the secret of the process. Pure.
 */
#define SEEN_TAGS	2	/* Postfix repeats its latest requests */

struct seen {
	struct map_node		 node;
	STAILQ_ENTRY(seen)	 entry;
	int64_t			 amount;
	int64_t			 made;
	int64_t			 date;			/* last seen */
	int64_t			 tags[SEEN_TAGS];	/* the latest first */
};

struct seen_table {
	struct map		*map;
	STAILQ_HEAD(, seen)	 queue;		/* the oldest first */
	size_t			 bytes;
};

void		 seen_init(struct seen_table *);
void		 seen_clear(struct seen_table *);

/* Hash of bytes that belong to an id, which is given by its own hash. */
uint64_t	 seen_hash(uint64_t id, const char *, size_t);

struct seen	*seen_find(struct seen_table *, uint64_t hash);

/* Adds to the amount at `now`; a tag of 0 means none. */
void		 seen_add(struct seen_table *, uint64_t hash, int64_t tag,
		    int64_t amount, int64_t now);

bool		 seen_has_tag(const struct seen *, int64_t tag);

/*
 * Drops entries made before that time, then the oldest until they take at most
 * `max_bytes`.
 */
void		 seen_trim(struct seen_table *, int64_t before,
		    size_t max_bytes);

#endif
