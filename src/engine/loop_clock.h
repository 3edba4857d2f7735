#ifndef LOOP_CLOCK_H
#define LOOP_CLOCK_H

#include "lib/clock.h"

/*
 * The time of one turn of the event loop: the first loop_now() after
 * loop_turn_end() reads the clock for all that happens in the turn.
 */
struct mono	loop_now(void);
void		loop_turn_end(void);

#endif
