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
 * Sets what a hit of the rule locks, except lock->id: the bytes of the id are
 * appended to the str.
 */
void	decide_lock_of(struct str *, const struct settings *,
	    const struct settings_rule *, const struct request *,
	    struct msg_charge_lock *);

/*
 * Adds to the charge the names of the rules whose locks the request may pass,
 * and the keys that count such mails: one for the login, and one for the
 * largest network of the client that may be locked. `stage`: the request is at
 * RCPT, DATA or END-OF-MESSAGE; at other stages no lock is passed.
 */
void	decide_lock_passes(struct decided *, const struct settings *,
	    const struct request *, bool stage);

#endif
