#ifndef OPERATOR_H
#define OPERATOR_H

#include "parent/parent.h"

/*
 * Requests of policyctl to the parent. They come through the engine, which may
 * be taken over. So each can do little harm, and is limited in its rate.
 */

/* 0, or -1 for an unknown request. */
int	operator_take(struct parent *, uint64_t task);

#endif
