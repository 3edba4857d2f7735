#ifndef PACK_H
#define PACK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * Counts of many ids in few bytes: for each id its bytes and its (second,
 * amount) pairs in the order of time, numbers in as many bytes as they need.
 * Pure. Bytes that were not written by pack_id are refused, never trusted.
 */
struct pack_count {
	int64_t	date;
	int64_t	amount;
};

/* Appends one id; counts are in the order of time, each date once. */
void	pack_id(struct str *, const char *id, size_t idlen,
	    const struct pack_count *, size_t);

/* Walks over what was packed. */
struct pack {
	const uint8_t	*at;
	size_t		 left;
	size_t		 counts;	/* of the current id, not yet taken */
	int64_t		 date;
};

void	pack_open(struct pack *, const void *, size_t);

/*
 * The next id (what is left of the current one is skipped): 1; 0: no more; -1:
 * broken.
 */
int	pack_next(struct pack *, const char **id, size_t *idlen);

/* The next count of the current id: 1; 0: no more; -1: broken. */
int	pack_count(struct pack *, struct pack_count *);

/*
 * By date; what has the same one is added up and what is 0 left out. The new
 * count.
 */
size_t	pack_sort(struct pack_count *, size_t);

#endif
