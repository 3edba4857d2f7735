#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "decision/lock.h"
#include "decision/override.h"
#include "ipc/message.h"
#include "lib/window.h"

/*
 * db_error_action "memory": what this engine saw accepted and refused, so that
 * it can decide while the database gives no verdicts. Bounded: the least
 * recently used ids are dropped. Pure: the time is an argument.
 */
struct mapping;
struct memory;

struct memory	*memory_new(size_t max_bytes);
void		 memory_free(struct memory *);
void		 memory_resize(struct memory *, size_t max_bytes);
size_t		 memory_bytes(const struct memory *);

/* The known answers of id_sql; NULL if the memory is NULL. */
struct mapping	*memory_mapping(struct memory *);

/*
 * Call it before memory_learn if a charge was sent to a second ledger, since
 * the first gave no answer, and the second accepts it. If the first had
 * recorded the charge, the second charges 0, although this memory does not know
 * the charge: replaces each 0 in `charged` by what is new to this memory.
 */
void		 memory_again(struct memory *, const struct msg_charge *,
		    struct msg_verdict *, int64_t now);

/*
 * After a reload: counts that are known under an earlier name of a rule, such
 * as "old", go on under its name.
 */
void		 memory_rename(struct memory *, const char *was,
		    const char *name);

/* Learns the ledger's verdict on a charge at `now` (seconds since 1970). */
void		 memory_learn(struct memory *, const struct msg_charge *,
		    const struct msg_verdict *, int64_t now);

/*
 * Notes what was decided without the ledger and is not in the tables yet:
 * `charged` of each key, at `date`. With `sign` -1 it is in the tables now.
 */
void		 memory_owe(struct memory *, const struct msg_charge *,
		    const int64_t *charged, int64_t date, int sign);

/*
 * The ledger has accepted the charge, but does not know the amounts of
 * memory_owe. True: with these a window is over its limit, and *right is the
 * verdict to use: a refusal, or if only soft keys are over, an acceptance that
 * says so. Always false for a charge with a key that counts different values,
 * since these cannot be taken back.
 */
bool		 memory_over(struct memory *, const struct msg_charge *,
		    const struct msg_verdict *, int64_t now,
		    struct msg_verdict *right);

/*
 * Decides without the ledger: refuses if a known window is full, else accepts
 * and remembers that. Limits that only the database knows (sql_limits_by_id)
 * are not applied, but an id that they refused stays refused until the time
 * that the ledger told.
 */
void		 memory_decide(struct memory *, const struct msg_charge *,
		    int64_t now, struct msg_verdict *);

/*
 * lock_hits() for the last memory_decide, whose charge must still be valid,
 * with this list of locks.
 */
size_t		 memory_locks(const struct memory *,
		    const struct override_list *, struct msg_verdict *,
		    struct lock_hit *, size_t max);

/*
 * The verdict of memory_decide with its known windows; nothing is remembered.
 * Grants, blocks and limits by SQL are not applied.
 */
void		 memory_weigh(struct memory *, const struct msg_charge *,
		    int64_t now, struct msg_weighed *);

/*
 * The counts of an id, with what is owed, until the memory changes; NULL:
 * unknown.
 */
const struct window	*memory_counts(const struct memory *, const char *id,
			    size_t idlen);

/* Calls `each` for all ids. */
void		 memory_each(struct memory *, void (*each)(void *,
		    const char *id, size_t idlen, const struct window *),
		    void *);

#endif
