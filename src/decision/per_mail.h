#ifndef PER_MAIL_H
#define PER_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"

/*
 * The limit of one mail, max_per_mail of a rule. Pure.
 */

/*
 * Whether `amount` more would exceed the key's max_per_mail, which is not 0;
 * `charged` is what the mail's instance was charged already.
 */
bool	per_mail_exceeded(const struct msg_charge_key *, int64_t charged,
	    int64_t amount);

/*
 * Notes in the verdict that key `n` is exceeded. Returns true if its rule is in
 * shadow, so that the decision goes on; else the verdict becomes a refusal,
 * whatever soft actions were noted before: those are for limits only.
 */
bool	per_mail_goes_on(struct msg_verdict *, const struct msg_charge_key *,
	    size_t n, int64_t charged);

#endif
