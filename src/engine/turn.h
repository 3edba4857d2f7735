#ifndef TURN_H
#define TURN_H

#include "lib/clock.h"

/*
 * The time of one turn of the event loop: the clock is read once for all that
 * happens in it.
 */
struct mono	turn_now(void);
void		turn_end(void);

#endif
