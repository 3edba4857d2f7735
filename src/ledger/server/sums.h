#ifndef SUMS_H
#define SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/pack.h"
#include "ledger/store.h"
#include "lib/str.h"

/*
 * How a ledger on a server keeps a first reading short, however many rows an id
 * has: from time to time it writes the id's known counts, by second, to
 * mail_sums, with the seq of the last row that they include. A first reading
 * that does not end with its first piece takes these sums and reads only newer
 * rows. Sums are valid only while nobody else has changed rows: they carry the
 * count of such changes. Everything works without them, but slower.
 */

/* How much of an id the cache has. */
struct store_cursor {
	bool		loaded;		/* first: store.h */
	bool		no_sums;	/* mail_sums has no usable sums of it */
	uint32_t	rows;		/* since its sums were written */
	/* Number of the id's newest row (MySQL: batch) in the cache. */
	int64_t		newest;
	/*
	 * In a first reading: the date at which the next piece begins, or one
	 * of the values below; 0: none has begun, or it is complete.
	 */
	int64_t		position;
	union {
		/* In a first reading by pieces: `newest` after the last one. */
		int64_t	base;
		/*
		 * MySQL, in a first reading from sums: the seq of the last row
		 * that was read after the sums; INT64_MAX: none was yet.
		 */
		int64_t	seq;
		/* MySQL, loaded: the end of the first reading (mono, ns). */
		int64_t	ended;
	};
};
_Static_assert(sizeof(struct store_cursor) <= STORE_CURSOR_SIZE,
    "a cursor is too large for the cache");

#define SUMS_RECENT	INT64_MIN	/* its sums were read, which include
					   rows up to `newest` */
#define SUMS_NEWER	(INT64_MIN + 1)	/* then the instances of recent rows
					   were read, too */

struct sums_sizes {
	uint32_t	rows;	/* with so many an id's sums are written */
	size_t		part;	/* seconds in one row of mail_sums */
	size_t		piece;	/* rows of first readings in one batch */
	size_t		least;	/* fewest of these for each id */
	int64_t		recent;	/* newest rows whose instances are read */
	int64_t		news;	/* newer rows of an id in one batch */
	int64_t		foreign; /* most foreign rows of an id, in a batch */
	int64_t		step;	/* foreign rows in a step of take-in */
};
extern struct sums_sizes	sums_sizes;	/* tests make them small */

enum sums_reading {
	SUMS_READ_NEWS,		/* loaded: newer rows only */
	SUMS_READ_FIRST,	/* piece by piece */
	SUMS_READ_KEPT,		/* from its sums, if there are any */
	SUMS_READ_RECENT,	/* after its sums: instances */
	SUMS_READ_NEWER,	/* after these: newer rows */
	SUMS_READ__MAX
};

/* Arguments: the database and the reason. */
#define STORE_NARROW							\
	"%s: recipient_count of mail_count has 32 bits and cannot be"	\
	" altered, larger amounts are recorded in several rows: %s"

/* The part of an amount that one row can hold; `narrow`: it has 32 bits. */
int64_t	sums_part(int64_t amount, bool narrow);

/* The reading that an id needs next. */
enum sums_reading	 sums_reading(const struct store_cursor *);

/*
 * The number of rows to read for each of `ids` ids, at least one; `budget` is
 * the batch's.
 */
size_t	sums_piece(size_t ids, size_t budget);

/* The date at which the next piece of a first reading begins. */
int64_t	sums_position(const struct store_touch *);

/*
 * Notes that a piece was read: the rows with dates up to `upto` (INT64_MAX: it
 * is the last piece) and numbers up to `newest`. An id with several pieces has
 * enough rows for its sums to be worth writing.
 */
void	sums_end_piece(struct store_cursor *, int64_t upto, int64_t newest);

/* Counts rows that were read, for sums_choose. */
void	sums_count(struct store_cursor *, uint32_t rows);

/* Packs the counts of one row of mail_sums; returns how many it packed. */
size_t	sums_pack(struct str *, const struct pack_count *, size_t);

/* Reports the counts of one such row to the reader. -1: it is malformed. */
int	sums_tell(const void *, size_t, const struct store_touch *,
	    size_t index, const struct store_reader *);

/*
 * Reports a row for its instance only: the sums include its amount, so the same
 * amount is subtracted at once.
 */
void	sums_tell_instance(const struct store_row *, const struct store_touch *,
	    size_t index, const struct store_reader *);

/* Sets *index to the touch whose sums should be written now; -1: none. */
int	sums_choose(const struct store_touch *, size_t, size_t *index);

#endif
