#include "engine/loop_clock.h"

static struct {
	struct mono	now;
	bool		read;
} turn;

struct mono
loop_now(void)
{
	if (!turn.read) {
		turn.now = clock_mono();
		turn.read = true;
	}
	return turn.now;
}

void
loop_turn_end(void)
{
	turn.read = false;
}
