#include "ledger/store.h"

/* For backends whose commits are durable at once. */

bool
store_overlaps(const struct store *s)
{
	(void)s;
	return false;
}

enum store_result
store_flush(struct store *s, bool wait)
{
	(void)s;
	(void)wait;
	return STORE_OK;
}

void
store_on_flushed(struct store *s, void (*flushed)(void *), void *arg)
{
	(void)s;
	(void)flushed;
	(void)arg;
}

bool
store_unflushed(const struct store *s)
{
	(void)s;
	return false;
}

int
store_flush_fd(const struct store *s)
{
	(void)s;
	return -1;
}
