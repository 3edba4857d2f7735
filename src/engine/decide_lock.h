#ifndef DECIDE_LOCK_H
#define DECIDE_LOCK_H

#include <stdbool.h>

#include "conf/settings.h"
#include "engine/decide.h"
#include "engine/request.h"
#include "ipc/message.h"
#include "lib/str.h"

/* The field `lock` of rules: decision/lock.h. Pure. */

/*
 * Sets what a hit of the rule locks, and appends its id to the str; sets
 * everything but lock->id.
 */
void	decide_lock_of(struct str *, const struct settings *,
	    const struct settings_rule *, const struct request *,
	    struct msg_charge_lock *);

/*
 * Adds to the charge of a decision which rules' locks the request may pass, and
 * the keys that count such mails: one for the login, and one for the client's
 * network, as long as the longest that may be locked. `stage`: the recipient is
 * one that Postfix has asked about.
 */
void	decide_lock_passes(struct decision *, const struct settings *,
	    const struct request *, bool stage);

#endif
