#ifndef WISHES_H
#define WISHES_H

#include "parent/parent.h"

/*
 * What policyctl wishes for. It comes through the engine, which may be in
 * the wrong hands: nothing of it can do more than be tiresome, and not too
 * often.
 */

/* 0, or -1 for a number that is no wish. */
int	wishes_take(struct parent *, uint64_t wish);

#endif
