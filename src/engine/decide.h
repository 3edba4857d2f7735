#ifndef DECIDE_H
#define DECIDE_H

#include "conf/settings.h"
#include "engine/request.h"
#include "ipc/message.h"
#include "lib/str.h"

/*
 * The steps of policyd-rate-limit(8), "The decision", up to the charge: which
 * identities a request has, how much it counts, which windows must have room.
 * Pure: takes a request and the settings, yields a charge. action.h words the
 * verdict.
 */
enum decide_outcome {
	DECIDE_PASS,		/* success_action; nothing is recorded */
	DECIDE_CHARGE		/* ask the ledger */
};

/*
 * How far a request came through the steps, for the log and policyctl explain;
 * with rules, the one that came furthest.
 */
enum decide_reason {
	REASON_NO_IDENTITY,
	REASON_NO_STATE,
	REASON_STAGE_IGNORED,	/* the count mode counts at another stage */
	REASON_CHARGED,
	REASON__MAX
};

struct decision {
	enum decide_reason	 reason;
	bool			 bad_count;	/* no number: counted 1 */
	enum rule_attribute	 identity;	/* without rules: of key 0 */
	/*
	 * Ids and values point into `ids`, instance and state into it or the
	 * request, windows into the settings. deadline and date are left for
	 * the caller.
	 */
	struct msg_charge	 charge;
	/* Its own, reused from request to request; the offsets are in `ids`. */
	struct str		 ids;
	size_t			 id_at[CHARGE_KEYS_MAX];
	size_t			 value_at[CHARGE_KEYS_MAX];
};

void	decide_init(struct decision *);
void	decide_clear(struct decision *);

/*
 * `random` (not 0) is the tag of a request without instance, and of one that
 * count_mode 0 charges; from arc4random.
 */
enum decide_outcome
	decide_request(struct decision *, const struct settings *,
	    const struct request *, int64_t random);

const char	*decide_reason_text(enum decide_reason);

/*
 * Appends what a key is made of, such as "sasl_username" or "sender,helo_name".
 * `identity` is the decision's.
 */
void	decide_key_name(struct str *, const struct settings *,
	    const struct msg_charge_key *, enum rule_attribute identity);

/*
 * Bit i: rule i counts something at the request's stage, whatever the
 * identity; without rules bit 0. And, appended, the line that main.cf needs
 * for those of `rules`.
 */
uint32_t	 decide_stage_rules(const struct settings *,
		    const struct request *);
void		 decide_stage_hint(struct str *, const struct settings *,
		    uint32_t rules);

#endif
