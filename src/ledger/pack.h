#ifndef PACK_H
#define PACK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

/*
 * A compact encoding of the counts of many ids: for each id its bytes and its
 * (second, amount) pairs, oldest first, in variable-length numbers. Pure.
 * Malformed bytes are refused.
 */
struct pack_count {
	int64_t	date;
	int64_t	amount;
};

/* Appends one id; the counts are oldest first, each date once. */
void	pack_id(struct str *, const char *id, size_t idlen,
	    const struct pack_count *, size_t);

/* Iterates over packed ids. */
struct pack {
	const uint8_t	*at;
	size_t		 left;
	size_t		 counts;	/* of the current id, not read yet */
	int64_t		 date;
};

void	pack_open(struct pack *, const void *, size_t);

/*
 * The next id; skips the remaining counts of the current one. 1; 0: no more;
 * -1: malformed.
 */
int	pack_next(struct pack *, const char **id, size_t *idlen);

/* The next count of the current id. 1; 0: no more; -1: malformed. */
int	pack_count(struct pack *, struct pack_count *);

/*
 * Sorts by date, adds up counts of the same date, drops sums of 0. Returns the
 * new number of counts.
 */
size_t	pack_sort(struct pack_count *, size_t);

#endif
