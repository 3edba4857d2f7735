#include "ledger/server/writers.h"

#define SILENT		50		/* looks */

void
writers_init(struct writers *o)
{
	o->last = -1;
	o->theirs = INT64_MAX;
	o->silent = 0;
}

bool
writers_look(struct writers *o, int64_t newest)
{
	if (newest == o->last) {
		if (o->silent < SILENT)
			o->silent++;
		return false;
	}
	o->last = o->theirs = newest;
	o->silent = 0;
	return true;
}

void
writers_own(struct writers *o, int64_t newest, int64_t numbers)
{
	if (newest - o->last != numbers) {
		o->theirs = newest - 1;
		o->silent = 0;
	}
	o->last = newest;
}

bool
writers_after(const struct writers *o, int64_t number)
{
	return number < o->theirs;
}

bool
writers_silent(const struct writers *o)
{
	return o->silent >= SILENT;
}
