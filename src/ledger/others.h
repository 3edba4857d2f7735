#ifndef OTHERS_H
#define OTHERS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether anybody else adds rows, told by the numbers that rows are given
 * (mail_count.seq), so that who is alone with a database need not ask for each
 * id what is new of it. Both calls are for moments when the locks of a batch's
 * ids are held: then what others wrote for these ids is committed.
 */
struct others {
	int64_t		last;	/* what is up to here is known to be whose */
	int64_t		theirs;	/* the last that may be another's */
	unsigned int	silent;	/* looks since they were heard of */
};

void	others_init(struct others *);

/* `newest` of all was given out. True: to others, since the last look. */
bool	others_look(struct others *, int64_t newest);

/*
 * Rows of ours were given so many numbers, `newest` the last of them: others
 * have those between that and the last look.
 */
void	others_own(struct others *, int64_t newest, int64_t numbers);

/* Whether there may be rows of others after number `seen`. */
bool	others_after(const struct others *, int64_t seen);

/* Nothing was heard of others for so long that they may not be there. */
bool	others_silent(const struct others *);

#endif
