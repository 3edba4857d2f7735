#include <poll.h>
#include <stdlib.h>

#include "ledger/mysql/store_mysql.h"
#include "lib/clock.h"

/*
 * When daemons on different nodes compete for an id, the quickest would win
 * each time, and the others would miss the deadlines of their requests. So a
 * daemon that has won waits for about as long as its batch took. The others run
 * their batches meanwhile.
 */
#define RIVALS_MS	10000
#define YIELD_MS	100		/* at most */

void
store_yield(struct store *s)
{
	int64_t	most = s->took * 3 < YIELD_MS ? s->took * 3 : YIELD_MS;

	if (s->took > 0 && !clock_passed(s->rivals, clock_mono()))
		(void)poll(NULL, 0, (int)arc4random_uniform((uint32_t)most +
		    1));
	s->took = 0;
	s->begun = clock_mono();
}

void
store_rival(struct store *s)
{
	if (s->cluster)
		s->rivals = clock_after(clock_mono(), RIVALS_MS);
}

void
store_won(struct store *s)
{
	if (s->cluster)
		s->took = (clock_mono().ns - s->begun.ns) / 1000000 + 1;
}
