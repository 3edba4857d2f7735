#ifndef WRITERS_H
#define WRITERS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Tells whether other daemons add rows, by the numbers given to rows
 * (mail_count.seq), so that a daemon that is alone need not ask for new rows of
 * each id. Call writers_look and writers_own while the locks of a batch's ids
 * are held: all rows of these ids are committed then.
 */
struct writers {
	/* Every row up to this number is attributed to us or to others. */
	int64_t		last;
	int64_t		theirs;	/* the newest that may be another's */
	unsigned int	silent;	/* looks in a row that found no others */
};

void	writers_init(struct writers *);

/*
 * `newest` is the last number given out. True: others may have taken numbers
 * since the last look.
 */
bool	writers_look(struct writers *, int64_t newest);

/*
 * Our rows were given `numbers` numbers, of which `newest` is the last. If
 * there is a gap since the last look, others took the numbers in it.
 */
void	writers_own(struct writers *, int64_t newest, int64_t numbers);

/* Whether there may be rows of others after this number. */
bool	writers_after(const struct writers *, int64_t number);

/* Whether the last 50 looks found no row of others: probably we are alone. */
bool	writers_silent(const struct writers *);

#endif
