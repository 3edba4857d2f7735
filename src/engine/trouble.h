#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/policy.h"
#include "lib/clock.h"

/* Whether the database gives verdicts. All 0: it does. */
struct trouble {
	bool		on;
	struct mono	last;		/* the last request without one */
	uint64_t	without;	/* requests since it began */
};

/* Logs once that there are no verdicts, and once that there are again. */
void	trouble_note(struct trouble *, bool none, const struct policy *);

#endif
