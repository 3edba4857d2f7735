#ifndef LOOP_H
#define LOOP_H

#include <sys/time.h>

#include <event.h>

#include "engine/client.h"
#include "engine/loop_clock.h"
#include "lib/clock.h"

/* What the tests of clients share; to be included after cmocka.h. */
#define PATIENCE_S	20

static inline void
loop_nothing(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* One turn of the event loop, of two milliseconds at the most. */
static inline void
turn(void)
{
	struct timeval	tv = { 0, 2000 };
	struct event	tick;

	evtimer_set(&tick, loop_nothing, NULL);
	evtimer_add(&tick, &tv);
	loop_turn_end();
	assert_int_equal(event_loop(EVLOOP_ONCE), 0);
	loop_turn_end();
	evtimer_del(&tick);
}

/* Waits until no client is connected. */
static inline void
all_gone(const struct clients *clients)
{
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_S * 1000);

	while (client_count(clients) > 0) {
		assert_false(clock_passed(deadline, clock_mono()));
		turn();
	}
}

#endif
