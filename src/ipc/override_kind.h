#ifndef OVERRIDE_KIND_H
#define OVERRIDE_KIND_H

#include <stddef.h>
#include <stdint.h>

/* What an administrator or a rule sets for an id until a time. */
enum override_kind {
	OVERRIDE_GRANT,			/* more mails in each window */
	OVERRIDE_KEY_BLOCK,		/* of one key; by an older version */
	OVERRIDE_BLOCK,			/* of what the id matches */
	OVERRIDE_LOCK,			/* by a rule: decision/lock.h */
	OVERRIDE_LOCKED,		/* the last lock of what it matches */
	OVERRIDE__MAX
};

#define OVERRIDE_ID_MAX		255	/* bytes of the id of a block */
#define OVERRIDE_WHO_MAX	64
#define OVERRIDE_REASON_MAX	255
#define OVERRIDE_MOST		100000	/* of each kind */
#define OVERRIDE_SECONDS_MAX	(10 * INT64_C(366) * 86400)
#define OVERRIDE_FOREVER	INT64_C(253402300799)	/* in the year 9999 */

/* What a hit of a key locks, and for how many seconds: decision/lock.h. */
struct msg_charge_lock {
	int64_t		 seconds;	/* 0: nothing */
	int64_t		 again;		/* instead, soon after another lock */
	const char	*id;		/* struct override's */
	size_t		 idlen;
	const char	*rule;		/* its name */
	size_t		 rulelen;
};

#endif
