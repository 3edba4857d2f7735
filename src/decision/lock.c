#include <string.h>

#include "decision/lock.h"
#include "lib/num.h"

bool
lock_is_of(const struct override *lock, const char *rule, size_t len)
{
	return lock->wholen == len && memcmp(lock->who, rule, len) == 0;
}

bool
lock_is_partial(const struct override *lock)
{
	const size_t	len = sizeof(OVERRIDE_UNFAMILIAR) - 1;

	return lock->idlen > len &&
	    memcmp(lock->id, OVERRIDE_UNFAMILIAR, len) == 0;
}

bool
lock_charges(const struct msg_charge_key *key, uint8_t pass)
{
	return pass == 0 ? key->pass == 0 : (key->pass & pass) != 0;
}

/* Whether the rule of the lock is among the names, which commas separate. */
static bool
lock_is_among(const struct override *lock, const char *names, size_t len)
{
	const char	*end = names + len, *comma;

	while (names < end) {
		if ((comma = memchr(names, ',', (size_t)(end - names))) == NULL)
			comma = end;
		if (lock_is_of(lock, names, (size_t)(comma - names)))
			return true;
		names = comma + 1;
	}
	return false;
}

const struct override *
lock_closed(const struct override_list *l, const struct lock_request *r,
    int64_t now, uint8_t *pass)
{
	const struct override	*locks[OVERRIDE_LOCKS];
	size_t			 n, i;
	uint8_t			 bit;

	*pass = 0;
	n = r->exempt ? 0 : override_locks(l, &r->subject, now, locks);
	for (i = 0; i < n; i++) {
		if (lock_is_partial(locks[i]) && (r->unfamiliar == NULL ||
		    !r->unfamiliar(r->arg, locks[i])))
			continue;
		bit = locks[i]->id[0] == 'n' ? LOCK_PASS_CLIENT :
		    LOCK_PASS_LOGIN;
		if ((r->pass & bit) == 0 || !lock_is_among(locks[i], r->passes,
		    r->passeslen))
			return locks[i];
		*pass |= bit;
	}
	return NULL;
}

void
lock_end(struct override *record, int64_t now)
{
	record->since = now + 1;
}

bool
lock_outlasts(struct override *lock, int64_t longest, int64_t now)
{
	if (longest == 0)
		longest = lock->amount;
	if (lock->until <= num_add_clamp(now, longest))
		return false;
	lock->since = now;
	lock->until = num_add_clamp(now, longest);
	return true;
}
