#ifndef TURN_H
#define TURN_H

#include "lib/clock.h"

/*
 * One turn of the event loop is one moment: the clock is read once for all that
 * happens in it.
 */
struct mono	turn_now(void);
void		turn_end(void);

#endif
