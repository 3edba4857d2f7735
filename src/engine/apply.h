#ifndef APPLY_H
#define APPLY_H

#include "conf/settings.h"
#include "engine/request.h"
#include "engine/stage.h"
#include "ipc/message.h"
#include "lib/str.h"

/*
 * The steps of policyd-rate-limit(8), "The decision", up to the charge: which
 * identities a request has, how much it counts, which windows must have room.
 * Pure: takes a request and the settings, yields a charge. action.h words the
 * verdict.
 */

/*
 * How many of the steps a request has passed, for the log and policyctl
 * explain. With rules, the most that it passed of any rule.
 */
enum apply_reason {
	REASON_NO_IDENTITY,
	REASON_NO_STATE,
	REASON_STAGE_IGNORED,	/* count_mode counts at another stage */
	REASON_EXEMPT,		/* exempt, and recorded under no key */
	REASON_CHARGED,
	REASON__MAX
};

struct applied {
	const struct settings	*settings;
	bool			 soft;		/* fail_action takes mail */
	enum apply_reason	 reason;
	enum stage		 stage;
	bool			 bad_count;	/* no number; counted as 1 */
	bool			 exempt;	/* no limit applies */
	bool			 locks;		/* a rule may lock */
	enum rule_attribute	 identity;	/* without rules: of keys[0] */
	/*
	 * Ids and values point into `ids`, instance and state into `ids` or the
	 * request, windows and names of rules into the settings: all must stay
	 * until the charge is no longer used. The caller sets deadline, date
	 * and subject.
	 */
	struct msg_charge	 charge;
	/*
	 * Memory for the charge, reused for each request; the offsets are in
	 * `ids`.
	 */
	struct str		 ids;
	size_t			 id_at[CHARGE_KEYS_MAX];
	size_t			 value_at[CHARGE_KEYS_MAX];
	size_t			 network_at[CHARGE_KEYS_MAX];
	size_t			 lock_at[CHARGE_KEYS_MAX];
	size_t			 passes_at;
	struct limit		 pass_limit;	/* of keys that have `pass` */
};

void	apply_init(struct applied *);
void	apply_clear(struct applied *);

/* Sets the settings for apply_request. */
void	apply_use(struct applied *, const struct settings *);

/*
 * Fills in `applied` for the request; what it had before is forgotten. `random`
 * is not 0, and most likely unlike that of any other charge. It becomes the
 * charge's tag if the request has no instance, or is charged by count_mode 0.
 */
void	apply_request(struct applied *, const struct request *,
	    int64_t random);

const char	*apply_reason_text(enum apply_reason);

/*
 * Appends the attributes of a key, such as "sasl_username" or
 * "sender,helo_name". `identity` is the decision's.
 */
void	apply_key_name(struct str *, const struct settings *,
	    const struct msg_charge_key *, enum rule_attribute identity);

#endif
