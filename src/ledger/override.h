#ifndef OVERRIDE_H
#define OVERRIDE_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/store.h"
#include "lib/clock.h"

/*
 * What an administrator granted or blocked, as the database has it: read whole,
 * as there is little of it, and again when it is older than a second.
 */
struct overrides;

struct override {
	int64_t	granted;
	int64_t	granted_until;		/* seconds since 1970 */
	int64_t	blocked_until;
};

struct overrides	*override_new(void);
void			 override_free(struct overrides *);

/*
 * STORE_LOST, or STORE_OK also where the database did not tell: what was known
 * stays.
 */
enum store_result	 override_refresh(struct overrides *, struct store *,
			    int64_t now, struct mono);

/* What is known is known to be old. */
void			 override_stale(struct overrides *);

/* By the id as it is stored; what is over at `now` is 0. */
struct override		 override_of(struct overrides *, const char *id,
			    size_t idlen, int64_t now);

#endif
