#ifndef OPERATOR_H
#define OPERATOR_H

#include "parent/parent.h"

/*
 * Wishes of policyctl. They come through the engine, which may be taken over:
 * no wish can do more than a little harm, and each is limited in its rate.
 */

/* 0, or -1 for an unknown wish. */
int	operator_take(struct parent *, uint64_t wish);

#endif
