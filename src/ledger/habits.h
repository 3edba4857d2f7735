#ifndef HABITS_H
#define HABITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/store.h"

/*
 * How the pairs of rules that count new recipients are named in mail_habit, and
 * how many are kept. Names and addresses are stored as hashes only, under a key
 * in mail_state, which all daemons share.
 */
struct habits;

struct habits	*habits_new(void);
void		 habits_free(struct habits *);

/* Reads the key, which the first daemon makes, unless it is known. */
enum store_result	 habits_ready(struct habits *, struct store *);

/*
 * Sets the pair of a key's id, as it is stored, and a network or recipient;
 * nothing is known of it yet. habits_ready must have succeeded before.
 */
void	habits_name(const struct habits *, struct store_pair *,
	    enum store_pair_kind, const char *id, size_t idlen,
	    const char *what, size_t len);

/* The same for a rule; `rule` is what habits_rule makes of its name. */
void		 habits_name_rule(const struct habits *, struct store_pair *,
		    uint64_t rule);
uint64_t	 habits_rule(const char *name, size_t len);

/* The order in which pairs are read and written; for qsort(3). */
int	habits_order(const void *, const void *);

/* Notes that a pair was learned that was not known. */
void	habits_learned(struct habits *, const struct store_pair *,
	    const struct habit_terms *);

/*
 * Deletes the least recently used pairs of the keys that have too many. Not
 * inside a batch. STORE_LOST, or STORE_OK also when it failed: it is done with
 * a later pair.
 */
enum store_result	 habits_trim(struct habits *, struct store *,
			    int64_t now);

#endif
