#ifndef LOOP_CLOCK_H
#define LOOP_CLOCK_H

#include "lib/clock.h"

/*
 * The time of one turn of the event loop: the clock is read once for all that
 * happens in it.
 */
struct mono	loop_now(void);
void		loop_turn_end(void);

#endif
