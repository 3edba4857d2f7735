#ifndef DECIDE_H
#define DECIDE_H

#include "conf/settings.h"
#include "engine/request.h"
#include "ipc/message.h"
#include "lib/str.h"

/*
 * SPEC.md 3 and 4, step by step: which identities a request has, what it counts, which
 * windows must hold, and how the verdict is worded. Pure: request and settings in, a
 * charge out; verdict in, an action out.
 */
enum decide_outcome {
	DECIDE_PASS,		/* success_action; nothing is recorded */
	DECIDE_CHARGE		/* ask the ledger */
};

/* Why nothing is charged, for the log, policyctl explain and the hint of SPEC.md 3. */
enum decide_reason {
	REASON_CHARGED,
	REASON_NO_IDENTITY,
	REASON_NOT_LIMITED,	/* no windows for this id */
	REASON_STAGE_IGNORED,	/* the count mode counts at another stage */
	REASON_NO_STATE,
	REASON__MAX
};

struct decision {
	enum decide_reason	 reason;
	bool			 bad_count;	/* recipient_count was none: counted 1 */
	struct msg_charge	 charge;	/* ids point into `ids` or the request */
	uint16_t		 rule[CHARGE_KEYS_MAX];	/* settings->rules of each key */
	struct str		 ids;		/* reused from request to request */
};

void	decide_init(struct decision *);
void	decide_clear(struct decision *);

/* `random` is the tag of a request without instance, from arc4random. */
enum decide_outcome
	decide_request(struct decision *, const struct settings *,
	    const struct request *, int64_t random);

/*
 * Appends the action for this verdict to `out`, placeholders filled, safe for one
 * line; VERDICT_UNAVAILABLE gives db_error_action ("memory" is resolved before).
 */
void	decide_action(struct str *out, const struct settings *,
	    const struct decision *, const struct msg_verdict *);

const char	*decide_reason_text(enum decide_reason);

/* The main.cf line that the count mode needs, for the hint. */
const char	*decide_stage_hint(enum count_mode);

#endif
