#include "ledger/others.h"

void
others_init(struct others *o)
{
	o->last = -1;
	o->theirs = INT64_MAX;
}

bool
others_look(struct others *o, int64_t newest)
{
	if (newest == o->last)
		return false;
	o->last = o->theirs = newest;
	return true;
}

void
others_own(struct others *o, int64_t newest, int64_t numbers)
{
	if (newest - o->last != numbers)
		o->theirs = newest - 1;
	o->last = newest;
}

bool
others_after(const struct others *o, int64_t seen)
{
	return seen < o->theirs;
}
