#include "engine/turn.h"

static struct {
	struct mono	now;
	bool		read;
} turn;

struct mono
turn_now(void)
{
	if (!turn.read) {
		turn.now = clock_mono();
		turn.read = true;
	}
	return turn.now;
}

void
turn_end(void)
{
	turn.read = false;
}
