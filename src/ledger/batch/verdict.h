#ifndef VERDICT_H
#define VERDICT_H

#include <sys/queue.h>

#include "decision/decision.h"
#include "decision/lock.h"
#include "ipc/message.h"
#include "ledger/cache.h"
#include "ledger/habits.h"
#include "ledger/id.h"
#include "ledger/lookup.h"
#include "ledger/override_table.h"
#include "ledger/store.h"

/*
 * One charge of a batch. verdict_decide collects what the cache knows of its
 * keys, lets decision/decision.h decide, and records what comes out, in the
 * cache and, for the commit, in the store.
 */
struct charge_batch;

/* One key of a charge. */
struct verdict_key {
	struct msg_charge_key	 charge;	/* its strings as stored */
	/* If charge.map: the fields as the engine sent them, before id_sql. */
	struct {
		const char	*id;
		size_t		 idlen;
		struct limits	 limits;
		uint32_t	 reported;
		char		*room;		/* for the id of id_sql */
	} own;
	/*
	 * The id as sent, not its stored form. Set only if `room` of the charge
	 * exceeds its `nkeys`: a rule has earlier names.
	 */
	const char		*whole;
	size_t			 wholelen;
	struct lookup_entry	*sql;		/* limits; NULL: the charge's */
};

/*
 * An id whose counts count for a key: the key's own, or the same under an
 * earlier name of the key's rule. No row is recorded for the latter, but a
 * reset deletes its values.
 */
struct verdict_id {
	size_t			 key;		/* its index in the charge */
	const char		*id;		/* as it is stored */
	size_t			 idlen;
	uint64_t		 hash;
	struct cache_id		*cached;
	struct instance_keys	 instance;
	struct store_value	*value;		/* or NULL */
	/* CHARGE_HABIT: by kind; NULL: the request does not name it. */
	struct store_pair	*pair[PAIR_KIND__MAX];
	uint64_t		 rule_name;	/* habits_rule; CHARGE_HABIT */
};

/* A hit of a window, for the report and for immediate mails. */
struct charge_hit {
	enum hit_kind			 kind;
	const struct verdict_charge	*charge;
	const struct verdict_key	*key;
	int64_t				 seconds;	/* 0: max_per_mail */
};

struct verdict_charge {
	TAILQ_ENTRY(verdict_charge)	 entry;
	size_t				 size;
	uint64_t			 request;
	uint8_t				 mode;
	int64_t				 deadline;	/* monotonic, ns */
	int64_t				 date;
	int64_t				 tag;		/* 0: none */
	const char			*instance;	/* as it is stored */
	size_t				 instancelen;
	const char			*state;
	size_t				 statelen;
	struct lock_request		 from;		/* may be empty */
	struct msg_verdict		 verdict;
	struct msg_weighed		*weighed;	/* NULL: not weighed */
	bool				 reset;
	size_t				 nids;
	struct verdict_id		*ids;	/* the keys' own come first */
	size_t				 room;	/* the most ids */
	char				*was;	/* the others' bytes */
	size_t				 nkeys;
	struct verdict_key		 keys[];
};

/* The limits that apply to this key now. */
const struct limits	*verdict_limits(const struct verdict_key *);

/*
 * Fills in the verdict, and records what was decided. All ids of the charge
 * must be loaded. For a weighed charge, fills in its windows too, unless a
 * block or a lock answers it; only CHARGE_ADD is recorded. A reset takes back
 * the counts that the cache has of its ids, and deletes their values, except
 * those of CHARGE_EXTERNAL; what was learned stays.
 */
void			 verdict_decide(struct charge_batch *,
			    struct verdict_charge *);

#endif
