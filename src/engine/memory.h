#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

/*
 * db_error_action "memory": what this engine saw accepted and refused, to go
 * on limiting by it while the database gives no verdicts. Bounded; the ids
 * that were seen least recently go first. Pure: the time is an argument.
 */
struct memory;

struct memory	*memory_new(size_t max_bytes);
void		 memory_free(struct memory *);
void		 memory_resize(struct memory *, size_t max_bytes);
size_t		 memory_bytes(const struct memory *);

/*
 * A second ledger's verdict on a charge that a first one had and did not
 * answer: what that one recorded is said to be charged, as far as it is not
 * known here.
 */
void		 memory_again(struct memory *, const struct msg_charge *,
		    struct msg_verdict *, int64_t now);

/* The ledger's verdict on a charge, at `now` (seconds since 1970). */
void		 memory_learn(struct memory *, const struct msg_charge *,
		    const struct msg_verdict *, int64_t now);

/*
 * What was decided in the ledger's place and is not in the tables yet: for each
 * key `charged`, at `date`; `sign` is -1 when it is there.
 */
void		 memory_owe(struct memory *, const struct msg_charge *,
		    const int64_t *charged, int64_t date, int sign);

/*
 * The ledger accepted a charge, but did not know of what is owed to the same
 * ids, and with that a window is more than full: true, and *right is the
 * verdict that is right, which is a refusal or, where only soft keys are over,
 * accepts too. Different values, which cannot be taken back, are not
 * looked at.
 */
bool		 memory_over(struct memory *, const struct msg_charge *,
		    const struct msg_verdict *, int64_t now,
		    struct msg_verdict *right);

/*
 * The verdict in the ledger's place: refused when a window that is known is
 * full, else accepted, and remembered as that. Limits that only the database
 * knows (sql_limits_by_id) are not applied, but who was refused by them stays
 * refused until the time that was told.
 */
void		 memory_decide(struct memory *, const struct msg_charge *,
		    int64_t now, struct msg_verdict *);

/*
 * That verdict, and the windows that it rests on, as far as they are known;
 * nothing is remembered. What the database alone knows is not among it: grants,
 * blocks, limits by SQL.
 */
void		 memory_weigh(struct memory *, const struct msg_charge *,
		    int64_t now, struct msg_weighed *);

#endif
