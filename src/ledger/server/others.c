#include "ledger/server/others.h"

#define SILENT		50		/* looks */

void
others_init(struct others *o)
{
	o->last = -1;
	o->theirs = INT64_MAX;
	o->silent = 0;
}

bool
others_look(struct others *o, int64_t newest)
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
others_own(struct others *o, int64_t newest, int64_t numbers)
{
	if (newest - o->last != numbers) {
		o->theirs = newest - 1;
		o->silent = 0;
	}
	o->last = newest;
}

bool
others_after(const struct others *o, int64_t seen)
{
	return seen < o->theirs;
}

bool
others_silent(const struct others *o)
{
	return o->silent >= SILENT;
}
