#ifndef TALLY_H
#define TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

/* Sums by name: of ids, or of the domains in them. */
struct tally;

#define TALLY_MOST	200000	/* names; further ones are left out */

struct tally	*tally_new(void);
void		 tally_free(struct tally *);

/*
 * Adds an amount to the sum of an id. The first `bare` bytes of the id are the
 * name of its rule and a colon, or none. With `domain` the sum is that of the
 * domain, under the same rule; an id without "@" is added as a whole. A name is
 * in shadow if all its amounts were added with `shadow`.
 */
void		 tally_add(struct tally *, const char *id, size_t idlen,
		    size_t bare, bool domain, int64_t amount, bool shadow);

/*
 * Fills in the largest sums as `used`, at most `n` and TOP_MAX, each with a
 * window of `seconds`, and the number of all names as `total`. The ids point
 * into the tally.
 */
void		 tally_top(struct tally *, struct msg_topped *, size_t n,
		    int64_t seconds);

#endif
