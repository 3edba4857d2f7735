#ifndef HABIT_H
#define HABIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a rule that counts "new_recipients" knows of a key: from which networks
 * it sends, and to whom (policyd-rate-limit.conf(5), count). Pure. Times are
 * seconds since 1970, durations are seconds.
 */

/* How many pairs of a key are kept. */
#define HABIT_RECIPIENTS	4096
#define HABIT_NETWORKS		256

/*
 * A key and a network, or a key and a recipient. `last` is exact to the day: a
 * pair is written at most once a day.
 */
struct habit_pair {
	int64_t	first;		/* first accepted mail, or for a network the
				   end of the day of the last refusal, if that
				   was later; -1: not known */
	int64_t	last;		/* last accepted mail */
};

/* The fields of a rule, both durations. */
struct habit_terms {
	int64_t	unfamiliar;	/* a network is familiar after it; 0: never */
	int64_t	learn;		/* a pair is forgotten after it */
};

/*
 * Whether the day of the pair's last accepted mail ended less than `learn` ago.
 */
bool	habit_known(const struct habit_pair *, const struct habit_terms *,
	    int64_t now);

/*
 * Whether the network is familiar to the key. NULL, because the address of the
 * client is unknown: it is not.
 */
bool	habit_familiar(const struct habit_pair *network,
	    const struct habit_terms *, int64_t now);

/*
 * The amount of a request with `n` recipients: the new ones, if the network is
 * unfamiliar. `recipient` is NULL where the request names none: all are new.
 */
int64_t	habit_amount(const struct habit_pair *network,
	    const struct habit_pair *recipient, int64_t n,
	    const struct habit_terms *, int64_t now);

/*
 * habit_learn: a mail of the pair was accepted. habit_refuse: the rule itself
 * refused a mail, so the network's time starts again at the end of the day.
 * True: the pair has changed and is to be written.
 */
bool	habit_learn(struct habit_pair *, const struct habit_terms *,
	    int64_t now);
bool	habit_refuse(struct habit_pair *network, const struct habit_terms *,
	    int64_t now);

/* Whether the rule whose name was first seen at `first` only learns. */
bool	habit_learning(int64_t first, int64_t now);

struct habit_entry {
	uint64_t		hash;
	struct habit_pair	pair;
};

/*
 * Chooses which pairs of a key to delete, so that at most `max` are left: the
 * least recently used, and with `networks` unfamiliar ones first. Returns their
 * number and moves them to the front of the list. A few more than needed are
 * chosen, so that the next new pairs fit without another call.
 */
size_t	habit_evict(struct habit_entry *, size_t n, size_t max, bool networks,
	    const struct habit_terms *, int64_t now);

#endif
