#include "decision/retry.h"
#include "lib/num.h"

/* The first time from `at` on at which the key's amount fits; -1: never. */
static int64_t
retry_key_at(const struct retry_key *k, int64_t at)
{
	struct limit	copy[LIMITS_MAX];
	struct limits	limits = { k->nlimits, copy };
	int64_t		granted, after;
	size_t		i;

	if (at < k->not_before)
		at = k->not_before;
	granted = at < k->granted_until ? k->granted : 0;
	for (i = 0; i < k->nlimits; i++) {
		copy[i].mails = num_add_clamp(k->limits[i].mails, granted);
		copy[i].seconds = k->limits[i].seconds;
	}
	if ((after = window_retry_after(k->window, &limits, k->amount,
	    at)) == -1)
		return -1;
	after = num_add_clamp(at, after);
	/* A grant that has ended by then has no effect. */
	if (granted > 0 && after >= k->granted_until)
		return retry_key_at(k, k->granted_until);
	return after;
}

int64_t
retry_after(const struct retry_key *keys, size_t nkeys, int64_t now)
{
	int64_t	at = now, then;
	size_t	i = 0;

	/*
	 * While it waits for one key, a correction may leave a window of
	 * another and make that full again, so all are checked again from the
	 * later time on.
	 */
	while (i < nkeys) {
		if ((then = retry_key_at(&keys[i], at)) == -1)
			return -1;
		i = then > at ? 0 : i + 1;
		at = then;
	}
	return num_sub_clamp(at, now);
}
