#ifndef SUMS_H
#define SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/pack.h"
#include "ledger/store.h"
#include "lib/str.h"

/*
 * How the ledgers of servers keep a first reading short, however many rows an
 * id has: what is known of such an id, seconds with their sums, is written to
 * mail_sums now and then, with the number of the last row that is in it. A
 * first reading that does not end with its first piece takes these sums and
 * reads the rows that are newer. Sums hold only as long as nobody else changed
 * rows: they bear the count of such changes. Nothing depends on their being
 * there.
 *
 * What a cursor's position says besides a date to go on from:
 */
#define SUMS_RECENT	INT64_MIN	/* sums are read up to `seen`; */
#define SUMS_NEWER	(INT64_MIN + 1)	/* so are its instances */

struct sums_sizes {
	uint32_t	rows;	/* told of an id, until its sums are kept */
	size_t		part;	/* seconds in one row of mail_sums */
	size_t		piece;	/* rows of first readings in one batch */
	size_t		least;	/* of them, of each id */
	int64_t		recent;	/* newest rows whose instances are read */
	int64_t		news;	/* newer rows of an id in one batch */
	int64_t		foreign; /* others' rows of an id in one, at most */
	int64_t		few;	/* of these, of all ids, that are just read */
	int64_t		step;	/* of these, taken in at once */
};
extern struct sums_sizes	sums_sizes;	/* tests make them small */

enum sums_reading {
	SUMS_READ_NEWS,		/* it is known but for newer rows */
	SUMS_READ_FIRST,	/* it is read piece by piece */
	SUMS_READ_KEPT,		/* there may be sums of it */
	SUMS_READ_RECENT,	/* they are known; */
	SUMS_READ_NEWER,	/* and so are instances */
	SUMS_READ__MAX
};

/* With the place and the reason. */
#define STORE_NARROW							\
	"%s: recipient_count of mail_count has 32 bits and cannot be"	\
	" altered, larger amounts are recorded in several rows: %s"

/* Of an amount the part that one row can hold; `narrow`: with 32 bits. */
int64_t	sums_part(int64_t amount, bool narrow);

/* What an id is in want of. */
enum sums_reading	 sums_reading(const struct store_cursor *);

/* Rows of each of so many ids in one piece; `budget` is the batch's. */
size_t	sums_piece(size_t ids, size_t budget);

/* One row of mail_sums for each call; how many counts went into it. */
size_t	sums_pack(struct str *, const struct pack_count *, size_t);

/* Tells all of one such row. -1: it is broken. */
int	sums_tell(const void *, size_t, const struct store_touch *,
	    size_t index, const struct store_reader *);

/*
 * Tells a row that sums hold already, for its instance: what it adds is taken
 * off again.
 */
void	sums_tell_instance(const struct store_row *, const struct store_touch *,
	    size_t index, const struct store_reader *);

/*
 * The touch whose sums are to be kept now, that they are known of; -1: none.
 */
int	sums_choose(const struct store_touch *, size_t, size_t *index);

#endif
