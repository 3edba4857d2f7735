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
 * Adds an amount to an id, whose first `bare` bytes are the name of its rule
 * and a colon; with `domain`, to the domain in the rest of it, or if that has
 * no "@", to all of it, under the same rule.
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
