#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/events.h"
#include "lib/clock.h"

/*
 * How many lines requests may cause in the log. A subject is a kind of line
 * and an id. Each has a budget of its own, so that a flood of one id does not
 * hide the lines of another. What is not shown is summed for each of them:
 *
 *	not shown: kind="refused" id=<bob> lines=4312 seconds=10
 *
 * and, where there are too many of these,
 *
 *	not shown: ids=4000 lines=9000 seconds=10
 *
 * The followers of events.h are told the sums of subjects.
 */
struct budget;

#define BUDGET_SECONDS	10	/* a subject's period, from its first line */
#define BUDGET_LINES	10	/* of a subject in its period */
#define BUDGET_FIRST	1000	/* in a second, of subjects' first lines */
#define BUDGET_MORE	100	/* in a second, of all others together */
#define BUDGET_SUBJECTS	4096	/* the least recently seen is forgotten */

struct budget	*budget_new(struct followers *);

/*
 * Whether the line may be written now; otherwise it is counted. `kind` is a
 * literal; 256 bytes of the id tell subjects apart.
 */
bool		 budget_line(struct budget *, const char *kind, const void *id,
		    size_t idlen, struct mono now);

/*
 * Logs the sums of periods that have ended. Call it after budget_line returned
 * false, and then each second while it returns true.
 */
bool		 budget_sum_up(struct budget *, struct mono now);

#endif
