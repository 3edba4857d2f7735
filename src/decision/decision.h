#ifndef DECISION_H
#define DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decision/habit.h"
#include "ipc/message.h"
#include "lib/window.h"

/*
 * The decision on one charge, as policyd-rate-limit(8), "The decision",
 * describes: the one piece of code that knows the rules. The ledger and the
 * engine's memory fill in what they know of each key, and record what comes
 * out. Pure: no clock, no I/O, no cache.
 */

/* The ledger had no room for this amount until that time. */
struct decision_wait {
	int64_t		until;		/* seconds since 1970; 0: none */
	int64_t		amount;		/* this or more has no room */
	struct limit	limit;		/* the window that was full */
};

struct decision_key {
	/* In: the rule's fields; of its limits only `limits` are used. */
	const struct msg_charge_key	*charge;
	const struct limits		*limits;	/* in force now */
	const struct window		*window;	/* counts of the id */
	int64_t		 granted;	/* is added to each limit */
	int64_t		 granted_until;	/* a time_t: the grant ends then */
	int64_t		 charged;	/* to the instance; 0 without one */
	int64_t		 charged_at;	/* when last, a time_t */
	bool		 repeated;	/* its tag was charged before */
	int64_t		 seen;		/* CHARGE_HAS_VALUE: when the value was
					   last seen, a time_t; -1: never */
	/*
	 * For CHARGE_HABIT. NULL in `network`: the caller knows no networks,
	 * and the rule is not applied.
	 */
	const struct habit_pair	*network;
	const struct habit_pair	*recipient;
	bool		 learning;	/* the rule refuses nothing yet */
	int64_t		 at_rcpt;	/* recipients of the instance that were
					   accepted at RCPT */
	struct decision_wait	 wait;
	/* Out. */
	int64_t		 amount;	/* the part that is new */
};

/* A window that was hit; DECISION_MAIL: it was max_per_mail. */
#define DECISION_MAIL	LIMITS_MAX

struct decision_hit {
	size_t	key;
	size_t	window;			/* index in the key's limits */
};

struct decision {
	/* In: see struct msg_charge. */
	uint8_t			 mode;
	int64_t			 date;
	int64_t			 tag;
	int64_t			 now;	/* seconds since 1970 */
	uint8_t			 pass;	/* LOCK_PASS_*, of lock_closed: which
					   keys are charged */
	size_t			 nkeys;
	struct decision_key	 key[CHARGE_KEYS_MAX];
	/* Out, by decision_make: hits for the report. */
	size_t			 nhits;
	struct decision_hit	 hits[CHARGE_KEYS_MAX * LIMITS_MAX];
	size_t			 nnear;	/* warn_at was reached */
	struct decision_hit	 near[CHARGE_KEYS_MAX * LIMITS_MAX];
};

/*
 * Whether the key is charged. With `pass` 0 only keys without LOCK_PASS_ bits
 * are, otherwise only those with one of these bits.
 */
bool	decision_counts(const struct msg_charge_key *, uint8_t pass);

/*
 * Decides: fills in the verdict, each key's amount, and the hits. Only a
 * CHARGE_ONCE or CHARGE_EACH may be refused.
 */
void	decision_make(struct decision *, struct msg_verdict *);

/* Sets each key's amount, as decision_make does, and decides nothing. */
void	decision_amounts(struct decision *);

/*
 * After decision_make: fills in the keys, with all windows of those that are
 * charged, but not what is known of new recipients (`habit` is false), and not
 * the verdict.
 */
void	decision_weigh(const struct decision *, struct msg_weighed *);

/* An amount to record for a key at a second; it may be negative. */
struct decision_record {
	size_t	key;
	int64_t	date;
	int64_t	amount;
	int64_t	tag;
};

#define DECISION_RECORDS_MAX	(2 * CHARGE_KEYS_MAX)

/*
 * What an accepted charge records: the amounts of its keys. A value that was
 * seen before is taken back at the second of the last time, and recorded at the
 * second of this one; if the last time is the later one, since the clock was
 * set back, nothing is recorded. Returns the number of records, at most
 * DECISION_RECORDS_MAX.
 */
size_t	decision_records(const struct decision *, struct decision_record *);

/*
 * Whether the charge was refused so that the instance's earlier charges are
 * taken back (policyd-rate-limit.conf(5), count_mode 0).
 */
bool	decision_takes_back(const struct decision *,
	    const struct msg_verdict *);

/*
 * Two steps of decision_make, for a verdict that is corrected later. Each may
 * make it a refusal. decision_check_mail checks max_per_mail of key `n`;
 * decision_no_room is called if this window of key `n`, in which `used` mails
 * count, has no room.
 */
void	decision_check_mail(struct decision *, struct msg_verdict *, size_t n);
void	decision_no_room(const struct decision *, struct msg_verdict *,
	    size_t n, const struct limit *, int64_t used);

#endif
